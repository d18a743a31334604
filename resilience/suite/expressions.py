"""Refuse a marker expression before a run, in the words of the one who wrote it."""

from __future__ import annotations

import ast
import re

from resilience.core.errors import UsageError

_WORD = re.compile(r"[\w:+.\-\[\]\\/]+")


def check(text: str) -> None:
    """Raise UsageError unless the text is a marker expression: names, `not`, `and`, `or` and parentheses."""
    plain = _WORD.sub(lambda m: m.group() if m.group() in ("and", "or", "not") else "x", text)
    try:
        ast.parse(plain.strip() or "x", mode="eval")
    except SyntaxError:
        found = True
    else:
        found = bool(re.search(r"[^\sx()andort]", plain))
    if found:
        raise UsageError(
            f"select={text!r}: a marker expression was expected.",
            hint='names joined by "not", "and", "or": "critical or mission_critical"',
        )

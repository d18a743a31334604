"""Refuse a marker expression before a run, in the words of the one who wrote it."""

from __future__ import annotations

import ast
import re

from resilience.core.errors import UsageError
from resilience.core.plain import clean

_WORD = re.compile(r"[\w:+.\-\[\]\\/]+")


_GRAMMAR = (ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Name, ast.Load)


def check(text: str) -> None:
    """Raise UsageError unless the text is a marker expression: names, `not`, `and`, `or` and parentheses.

    What the plug-in cannot read would select nothing and let the whole suite run, so that it never gets there.
    """
    plain = _WORD.sub(lambda m: m.group() if m.group() in ("and", "or", "not") else "x", text)
    try:
        found = all(isinstance(node, _GRAMMAR) for node in ast.walk(ast.parse(plain.strip() or "x", mode="eval")))
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # two of them for parentheses without end
        found = False
    if not found or re.search(r"[^\sx()andort]", plain):
        raise UsageError(
            f"select={clean(text, 100)!r}: a marker expression was expected.",
            hint='names joined by "not", "and", "or": "critical or mission_critical"',
        )

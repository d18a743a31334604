"""Turn a frozen text and what the code says today into the lines that differ, as a person reads them."""

from __future__ import annotations

import difflib
from pathlib import Path


def differences(frozen: Path, now: str, module: str) -> str:
    """Return the lines that differ, each under its headings, and what to type where that is meant; empty where none."""
    before = frozen.read_text(encoding="utf-8").splitlines()
    lines = list(difflib.unified_diff(before, now.splitlines(), "frozen", "today", n=2, lineterm=""))
    if not lines:
        return ""
    meant = f"If it is meant: python -m {module} > tests/data/{frozen.name}, and say why in the commit."
    return "\n".join((f"tests/data/{frozen.name} is not what the code says today.", *lines, meant))

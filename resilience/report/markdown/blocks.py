"""Write the blocks that Markdown is made of: tables, folded parts and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from resilience.report.texts import prose


def plain(text: str) -> str:
    return prose(text.replace("“", "").replace("”", ""))


def sentence(line: str) -> str:
    """Return a line with its noun in bold (STAGING:, TESTS:), and the rest as prose."""
    head, colon, rest = line.partition(": ")
    return f"**{prose(head)}:** {prose(rest)}" if colon and head.isupper() else prose(line)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already; a pipe or a line's end in one is made harmless."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def folded(title: str, body: str, *, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{title}</summary>\n\n{body}\n\n</details>"


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())

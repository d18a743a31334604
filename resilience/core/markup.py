"""Turn text of others into Markdown in which none of it means anything: code spans, fences, and prose that is harmless."""

from __future__ import annotations

import re

_FENCE = re.compile(r"`+")


def code(text: str) -> str:
    """Return a Markdown code span that holds the text whatever backticks are in it; one line."""
    text = " ".join(text.split())
    if not text:
        return "–"
    longest = max((len(run) for run in _FENCE.findall(text)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def fence(text: str, language: str = "text") -> str:
    """Return a fenced block whose fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in _FENCE.findall(text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


_HARMLESS = re.compile(r"[\w \t.,;:()'\"/%+=?!–—…·×≥≤→°-]*")
_MARKS = re.compile(r"\bGH-\d|://|\bwww\.|^\s*(?:[-+]|\d+[.)])\s|^\s*=+\s*$|\bduplicate of\b", re.IGNORECASE)


def prose(text: str) -> str:
    """Return a sentence as Markdown: as it is where nothing in it means anything to Markdown or GitHub, else as code.

    Unknown characters are no reason to trust: what is not on the list of harmless ones makes the whole sentence code.
    """
    text = " ".join(text.split())
    if _HARMLESS.fullmatch(text) and not _MARKS.search(text):
        return text.replace("_", "\\_")
    return code(text)

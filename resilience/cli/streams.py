"""Turn whatever stdout and stderr are, closed or with few characters, into streams on which everything can be printed."""

from __future__ import annotations

import codecs
import os
import sys
from typing import TextIO

_SIGNS = {
    "●": "*", "▲": "!", "✕": "x", "✗": "x", "✓": "+", "–": "-", "—": "-", "·": "-", "•": "-", "→": "->", "⇒": "=>",
    "…": "...", "×": "x", "≥": ">=", "≤": "<=", "±": "+-", "’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ",
}  # fmt: skip
"""What stands for a sign of ours where a terminal has only ASCII; any other character is a question mark."""


def prepare_streams() -> None:
    """Open what was closed to nowhere, and let signs fall back to ASCII where the locale has no other.

    A descriptor that is closed (`>&-`) would be given to the next file that is opened, and output be written into it.
    """
    codecs.register_error("resilience.signs", _in_ascii)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
            setattr(sys, name, open(descriptor, "w", encoding="utf-8"))  # noqa: SIM115 - until the process ends
        elif not is_unicode(stream) and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="resilience.signs")


def is_unicode(stream: TextIO) -> bool:
    """Say whether every character can be written to this stream."""
    return (stream.encoding or "utf-8").lower().replace("_", "-").startswith("utf")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_SIGNS.get(sign, "?") for sign in error.object[error.start : error.end]), error.end

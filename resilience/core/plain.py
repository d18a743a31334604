"""Turn text of others into text that no terminal, browser or reader acts on."""

from __future__ import annotations

import re

ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b\n]{0,2000}(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b\n]{0,2000}(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours, cursor
    r"|\x1b[ -/]{0,8}[0-~]"
)
_LINES = re.compile("\r\n?|\x85|\u2028|\u2029|\x0b|\x0c")
UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_BROKEN = re.compile("[\ud800-\udfff\ufffe\uffff]")


def plain(text: str) -> str:
    """Return the text without ANSI sequences, control, bidi and zero-width characters; lines end in a newline.

    It also replaces halves of surrogate pairs, which cannot be written as UTF-8. The patterns have bounds, so that a
    hostile text costs no more than its length.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _LINES.sub("\n", ESCAPES.sub("", text))
    return _BROKEN.sub("\ufffd", UNSEEN.sub("", text))


def clean(text: str | bytes, limit: int = 300, *, one_line: bool = True) -> str:
    """Return a text that a service supplied as one that may be shown: plain, at most `limit` characters long.

    It hides nothing: where secrets may be in it, `Redactor.short` is the one to call, as cutting comes after hiding.

    Bytes are read as UTF-8, and no more than 64 times `limit` of them. A text that was cut ends in "…", which counts.
    """
    if isinstance(text, bytes):
        text = text[: limit * 64].decode("utf-8", "replace")
    text = plain(text)
    return _shorten(" ".join(text.split()) if one_line else text.strip(), limit)


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def start(data: str, limit: int) -> str:
    """Return the first characters, with dots where there are more: by them `Redactor` sees that a secret may be cut in two."""
    return data if len(data) <= limit else data[:limit] + "..."

"""Turn PostgreSQL's COPY text format into rows of texts and back (manual, COPY, Text Format)."""

from __future__ import annotations

import re
from collections.abc import Iterable

Row = list[str | None]
_ESCAPED = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(.))", re.S)
_SPECIAL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_WRITTEN = str.maketrans({"\\": "\\\\", **{sign: f"\\{name}" for name, sign in _SPECIAL.items()}})


def rows_of(data: bytes) -> list[Row]:
    """Return the rows of what COPY TO wrote. Bytes that are no UTF-8 stay what they are (surrogateescape)."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return [[_value(field) for field in line.split("\t")] for line in lines[:-1]]


def bytes_of(rows: Iterable[Row]) -> bytes:
    """Return rows as COPY FROM reads them."""
    return b"".join(line_of(row) for row in rows)


def line_of(row: Row) -> bytes:
    fields = ("\\N" if value is None else value.translate(_WRITTEN) for value in row)
    return ("\t".join(fields) + "\n").encode("utf-8", "surrogateescape")


def _value(field: str) -> str | None:
    if "\\" not in field:
        return field
    return None if field == "\\N" else _ESCAPED.sub(_sign, field)


def _sign(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    if match[2]:
        return chr(int(match[2], 8))
    return _SPECIAL.get(match[3], match[3])

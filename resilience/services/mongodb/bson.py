"""Turn small documents into BSON and back: the types that a server's `hello` is made of (bsonspec.org, version 1.1)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

DEEPEST = 16


def encoded(document: Mapping[str, Any]) -> bytes:
    """Return a document of texts, numbers, flags, bytes and documents as BSON."""
    body = b"".join(_element(name, value) for name, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _element(name: str, value: Any) -> bytes:
    key = name.encode() + b"\0"
    if isinstance(value, bool):
        return b"\x08" + key + bytes([value])
    if isinstance(value, int):
        return b"\x10" + key + struct.pack("<i", value)
    if isinstance(value, float):
        return b"\x01" + key + struct.pack("<d", value)
    if isinstance(value, str):
        text = value.encode()
        return b"\x02" + key + struct.pack("<i", len(text) + 1) + text + b"\0"
    if isinstance(value, bytes):
        return b"\x05" + key + struct.pack("<i", len(value)) + b"\0" + value
    if isinstance(value, Mapping):
        return b"\x03" + key + encoded(value)
    if isinstance(value, list):
        return b"\x04" + key + encoded({str(at): one for at, one in enumerate(value)})
    raise TypeError(f"a {type(value).__name__} in BSON")


def decoded(data: bytes) -> dict[str, Any]:
    """Return a document; times and identifiers come as numbers and bytes. Raises ValueError for what is none.

    A document that is deeper than DEEPEST, or of a type that no `hello` holds, is refused: it may be hostile.
    """
    try:
        document, end = _document(data, 0, 0)
    except (struct.error, IndexError, UnicodeDecodeError) as exc:
        raise ValueError("a document that is cut") from exc
    if end != len(data):
        raise ValueError("bytes behind the document")
    return document


def _document(data: bytes, at: int, depth: int) -> tuple[dict[str, Any], int]:
    (size,) = struct.unpack_from("<i", data, at)
    end = at + size - 1
    if depth > DEEPEST or size < 5 or end >= len(data) or data[end]:
        raise ValueError("a document that is no BSON")
    at += 4
    found: dict[str, Any] = {}
    while at < end:
        kind = data[at]
        stop = data.index(b"\0", at + 1)
        name, at = data[at + 1 : stop].decode(), stop + 1
        found[name], at = _value(kind, data, at, depth)
    if at != end:
        raise ValueError("a value that runs over its document")
    return found, end + 1


_FIXED = {0x01: ("<d", 8), 0x09: ("<q", 8), 0x10: ("<i", 4), 0x11: ("<Q", 8), 0x12: ("<q", 8)}
"""Types of one number: its format and its size."""
_BYTES = {0x07: 12, 0x13: 16}
"""Types of so many bytes: an ObjectId, a Decimal128."""


def _value(kind: int, data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """Return a value of this type and where it ends."""
    if kind in _FIXED:
        layout, size = _FIXED[kind]
        return struct.unpack_from(layout, data, at)[0], at + size
    if kind in _BYTES:
        return data[at : at + _BYTES[kind]], at + _BYTES[kind]
    if kind in (0x03, 0x04):
        document, end = _document(data, at, depth + 1)
        return (document if kind == 0x03 else list(document.values())), end
    if kind == 0x08:
        return bool(data[at]), at + 1
    if kind == 0x0A:
        return None, at
    if kind not in (0x02, 0x05):
        raise ValueError(f"a value of type {kind:#x}")
    (size,) = struct.unpack_from("<i", data, at)
    at += 4 if kind == 0x02 else 5
    if size < 0 or at + size > len(data):
        raise ValueError("a value that is cut")
    value = data[at : at + size]
    return (value[:-1].decode("utf-8", "replace") if kind == 0x02 else value), at + size

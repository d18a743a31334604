"""Documents are written and read as bsonspec.org writes its examples, and hostile ones are refused."""

from __future__ import annotations

import struct

import pytest

from resilience.services.mongodb.bson import decoded, encoded

HELLO = bytes.fromhex("160000000268656c6c6f0006000000776f726c640000")
"""{"hello": "world"}, the first example of the specification."""
AWESOME = bytes.fromhex(
    "310000000442534f4e002600000002300008000000617765736f6d65000131003333333333331440103200c20700000000"
)
"""{"BSON": ["awesome", 5.05, 1986]}, the second."""


def test_the_examples_of_the_specification() -> None:
    assert encoded({"hello": "world"}) == HELLO
    assert decoded(HELLO) == {"hello": "world"}
    assert encoded({"BSON": ["awesome", 5.05, 1986]}) == AWESOME
    assert decoded(AWESOME) == {"BSON": ["awesome", 5.05, 1986]}


def test_the_types_of_a_hello_are_read() -> None:
    oid = bytes(range(12))
    body = (
        b"\x07id\0" + oid + b"\x09time\0" + struct.pack("<q", 1700000000000) + b"\x0anone\0"
        b"\x11stamp\0" + struct.pack("<Q", 2**40) + b"\x12long\0" + struct.pack("<q", -5) + b"\x05bytes\0\x02\0\0\0\0ab"
        b"\x13dec\0" + bytes(16) + b"\x08flag\0\x01"
    )
    document = struct.pack("<i", len(body) + 5) + body + b"\0"
    assert decoded(document) == {
        "id": oid,
        "time": 1700000000000,
        "none": None,
        "stamp": 2**40,
        "long": -5,
        "bytes": b"ab",
        "dec": bytes(16),
        "flag": True,
    }


def test_a_document_that_is_cut_anywhere_is_refused() -> None:
    for end in range(len(AWESOME)):
        with pytest.raises(ValueError, match=r"document|value"):
            decoded(AWESOME[:end])


def test_a_hostile_document_is_refused() -> None:
    deep = b"\x05\0\0\0\0"
    for _ in range(40):
        deep = struct.pack("<i", len(deep) + 8) + b"\x03a\0" + deep + b"\0"
    for hostile in (
        deep,
        b"\x06\0\0\0\xff\0",
        b"\x0d\0\0\0\x02a\0\xff\xff\xff\x7f\0\0",
        HELLO + b"\0",
        b"\xff\xff\xff\xff\0",
        HELLO[:4] + b"\x0b" + HELLO[5:],
    ):
        with pytest.raises(ValueError, match=r"document|value"):
            decoded(hostile)


def test_another_implementation_reads_what_is_written_and_is_read() -> None:
    bson = pytest.importorskip("bson")
    document = {"hello": 1, "deep": {"list": [1, "two", {"three": 3.5}], "flag": False}, "$db": "admin"}
    assert bson.decode(encoded(document)) == document
    assert decoded(bson.encode(document)) == document

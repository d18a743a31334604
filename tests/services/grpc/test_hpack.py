"""Headers are read as RFC 7541 writes them in its examples, and what we write is read by others as it was meant."""

from __future__ import annotations

import pytest

from resilience.services.grpc.hpack import Decoder, encoded

FIRST = [
    (":status", "302"),
    ("cache-control", "private"),
    ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
    ("location", "https://www.example.com"),
]


def test_the_examples_with_huffmans_code_are_read_one_after_the_other() -> None:
    """Appendix C.6, but for its small table, of which nothing is said there in the blocks."""
    decoder = Decoder()
    block = (
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3"
    )
    assert decoder.headers(bytes.fromhex(block)) == FIRST
    assert decoder.headers(bytes.fromhex("4883640effc1c0bf")) == [(":status", "307"), *FIRST[1:]]


def test_the_examples_without_it_are_read_too() -> None:
    """Appendix C.5."""
    block = (
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
        "6e1768747470733a2f2f7777772e6578616d706c652e636f6d"
    )
    assert Decoder().headers(bytes.fromhex(block)) == FIRST


def test_what_is_kept_is_let_go_when_it_is_too_much_or_when_the_other_side_says_so() -> None:
    decoder = Decoder()
    decoder.headers(bytes.fromhex("4883640eff"))
    assert decoder.headers(b"\xbe") == [(":status", "307")]
    decoder.headers(b"\x20")
    with pytest.raises(ValueError, match="number 62"):
        decoder.headers(b"\xbe")
    for at in range(60):
        decoder.headers(b"\x40\x03k%02d\x7f\x05%s" % (at, b"x" * 132))
    assert decoder.headers(b"\xbe")[0][0] == "k59"
    with pytest.raises(ValueError, match="a header of number"):
        decoder.headers(b"\xff\x00")


@pytest.mark.parametrize("block", [b"\x40", b"\x40\x05ab", b"\x80", b"\xff\xff\xff\xff\xff\x7f", b"\x00\x81"])
def test_a_broken_block_is_refused(block: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut|number"):
        Decoder().headers(block)


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 300, 20000])
def test_what_is_written_is_read_again(size: int) -> None:
    headers = [("authorization", "x" * size), ("n" * max(size % 200, 1), "é")]
    assert Decoder().headers(encoded(headers)) == headers


def test_others_read_what_is_written_and_are_read() -> None:
    hpack = pytest.importorskip("hpack")
    headers = [
        ("x-team", "payments"),
        ("authorization", "Bearer " + "~Az09_-." * 40),
        ("grpc-message", "no%20way !<>^`"),
    ]
    assert list(hpack.Decoder().decode(encoded(headers))) == headers
    assert Decoder().headers(hpack.Encoder().encode(headers, huffman=True)) == headers

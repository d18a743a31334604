"""Turn header lists into the bytes that HTTP/2 sends, and back (HPACK, RFC 7541).

A library for HTTP/2 takes 47 ms to import and grpcio 138 ms, where all of the probe takes 3: so it is written out here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Header = tuple[str, str]

_STATUSES = "200 204 206 304 400 404 500"
_OTHERS = (
    "accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control "
    "content-disposition content-encoding content-language content-length content-location content-range content-type "
    "cookie date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since "
    "last-modified link location max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after "
    "server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate"
)
_STATIC: tuple[Header, ...] = (
    *((":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html")),
    *((":scheme", "http"), (":scheme", "https"), *((":status", code) for code in _STATUSES.split())),
    *(("accept-charset", ""), ("accept-encoding", "gzip, deflate"), *((name, "") for name in _OTHERS.split())),
)
"""Appendix A."""
_TABLE_BYTES = 4096
_LENGTHS = (
    *(6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10),
    *(13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6),
    *(15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13),
)
"""Appendix B: how many bits the code of each sign from the space to ~ has; the codes follow from that, as they are canonical."""
_NUL_BITS = 13


def _codes() -> dict[tuple[int, int], str]:
    """Return (bits, code) → sign: codes of one length follow each other in the order of the signs.

    The signs that are left out have longer codes, but for NUL.
    """
    found, code, before = dict[tuple[int, int], str](), 0, 0
    for bits, sign in sorted([(_NUL_BITS, 0), *((bits, sign) for sign, bits in enumerate(_LENGTHS, ord(" ")))]):
        code <<= bits - before
        found[bits, code] = chr(sign)
        code, before = code + 1, bits
    return found


_CODES: dict[tuple[int, int], str] = {}


def encoded(headers: Iterable[Header]) -> bytes:
    """Return a header block of literals that nobody keeps, so that no secret stays in a table on the way."""
    block = bytearray()
    for name, value in headers:
        block += b"\x10" + _text(name.lower()) + _text(value)
    return bytes(block)


def _text(text: str) -> bytes:
    data = text.encode()
    return _number(len(data), 7) + data


def _number(number: int, bits: int) -> bytes:
    """Return an integer with a prefix of so many bits (5.1)."""
    most = (1 << bits) - 1
    if number < most:
        return bytes([number])
    left, out = number - most, bytearray([most])
    while left >= 128:
        out.append(left % 128 + 128)
        left //= 128
    return bytes([*out, left])


class Decoder:
    """Reads the header blocks of one connection, in their order. Raises ValueError for what is none."""

    def __init__(self) -> None:
        self._kept: list[Header] = []

    def headers(self, block: bytes) -> list[Header]:
        """Return the headers of a block (section 6)."""
        data, found = _Bytes(block), list[Header]()
        while data.left:
            first = data.peek()
            if first & 0x80:
                found.append(self._entry(data.number(7)))
            elif first & 0x40:
                found.append(self._literal(data, 6))
                self._keep(found[-1])
            elif first & 0x20:
                data.number(5)
                self._kept.clear()
            else:
                found.append(self._literal(data, 4))
        return found

    def _literal(self, data: _Bytes, bits: int) -> Header:
        index = data.number(bits)
        name = self._entry(index)[0] if index else data.text()
        return name, data.text()

    def _entry(self, index: int) -> Header:
        every = (*_STATIC, *self._kept)
        if not 0 < index <= len(every):
            raise ValueError(f"a header of number {index}")
        return every[index - 1]

    def _keep(self, header: Header) -> None:
        """Keep a header at the front, and let go of the oldest where they are more than 4,096 bytes (4.1 and 4.4)."""
        self._kept.insert(0, header)
        while sum(len(name) + len(value) + 32 for name, value in self._kept) > _TABLE_BYTES:
            self._kept.pop()


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def peek(self) -> int:
        if not self.left:
            raise ValueError("a header block that is cut")
        return self.data[self.at]

    def number(self, bits: int) -> int:
        """Read an integer with a prefix of so many bits (5.1); one of more than four bytes is no length of ours."""
        most = (1 << bits) - 1
        number = self.peek() & most
        self.at += 1
        if number < most:
            return number
        for place in range(4):
            byte = self.peek()
            self.at += 1
            number += (byte & 0x7F) << (7 * place)
            if not byte & 0x80:
                return number
        raise ValueError("a number that is too long")

    def text(self) -> str:
        """Read a string, plain or in Huffman's code (5.2)."""
        is_coded = bool(self.peek() & 0x80)
        size = self.number(7)
        if size > self.left:
            raise ValueError("a header that is cut")
        data = self.data[self.at : self.at + size]
        self.at += size
        return "".join(_decoded(data)) if is_coded else data.decode("utf-8", "replace")


def _decoded(data: bytes) -> Iterator[str]:
    """Yield the signs of Huffman's code. One that cannot be printed ends it: no header that is asked for here holds any."""
    if not _CODES:
        _CODES.update(_codes())
    bits, code = 0, 0
    for byte in data:
        for place in range(7, -1, -1):
            bits, code = bits + 1, code << 1 | byte >> place & 1
            if (sign := _CODES.get((bits, code))) is not None:
                yield sign
                bits, code = 0, 0
            elif bits > 19:
                return

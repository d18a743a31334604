"""Turn an LDAP directory into what a login and the entry at the base say."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from resilience.core.plain import start
from resilience.core.records import FaultCode
from resilience.core.settings import Service
from resilience.services.ldap.kind import ldap_fault
from resilience.services.reading import FRAME, Reading
from resilience.services.wire import Address, ProbeContext, Refused, Trace, open_wire, parse, sniff

BIND_ANSWER, ENTRY, DONE, REFERENCE, EXTENDED_ANSWER = 0x61, 0x64, 0x65, 0x73, 0x78
START_TLS = b"1.3.6.1.4.1.1466.20037"
ANSWERS = 20


async def probe_ldap(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Log in with the URL's user, who is a DN, else as nobody; then read the entry at the base, which is the URL's path.

    Without a path the server's own entry is read (the root DSE), which most show to anybody. Nothing is written.
    """
    address = parse(service.kind, url)
    base = unquote(address.path.strip("/"))
    trace.expected = f"the entry {base}" if base else "the server's own entry"
    wire = await open_wire(service, address, trace, context)
    session = Session(Reading(wire, "LDAP", address.endpoint))
    try:
        if service.options.get("starttls") == "required" and not address.tls:
            await session.start_tls(context, service, address)
        await session.bind(address)
        trace.facts["login"] = "by password" if address.user else "not tried (no user in the url)"
        found = await session.read(base)
        trace.facts["reads"] = "ok"
        trace.found = trace.expected
        for name, fact in (("vendorName", "product"), ("vendorVersion", "server_version"), ("namingContexts", "bases")):
            if name in found:
                trace.facts[fact] = start(found[name], 120)
    finally:
        wire.abort()


class Session:
    """As much of LDAP (RFC 4511) as a look needs."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self._number = 0

    async def start_tls(self, context: ProbeContext, service: Service, address: Address) -> None:
        """Go on in TLS. Raises Refused where the server does not grant it."""
        await self._ask(tlv(0x77, tlv(0x80, START_TLS)), EXTENDED_ANSWER)
        await self.reading.start_tls(context.tls(service.tls_ca), address.host)

    async def bind(self, address: Address) -> None:
        """Log in by a simple bind. Raises Refused with the server's code and words."""
        version = tlv(0x02, b"\x03")
        told = version + tlv(0x04, address.user.encode()) + tlv(0x80, address.password.encode())
        await self._ask(tlv(0x60, told), BIND_ANSWER)

    async def read(self, base: str) -> dict[str, str]:
        """Return the first value of each attribute that is asked for, of the entry at this base."""
        wanted = b"".join(tlv(0x04, name) for name in (b"vendorName", b"vendorVersion", b"namingContexts"))
        told = tlv(0x04, base.encode()) + tlv(0x0A, b"\0") * 2 + tlv(0x02, b"\x01") + tlv(0x02, b"\x03")
        told += tlv(0x01, b"\0") + tlv(0x87, b"objectClass") + tlv(0x30, wanted if not base else tlv(0x04, b"1.1"))
        entries = await self._ask(tlv(0x63, told), DONE)
        if not entries:
            raise self.reading.refused(FaultCode.APP_NO_DB, "no entry came, and no error: this user may not see it")
        return _attributes(entries[0])

    async def _ask(self, operation: bytes, last: int) -> list[bytes]:
        """Send a request, and return the entries that come before its last answer. Raises Refused by its result code."""
        self._number += 1
        self.reading.wire.write(tlv(0x30, tlv(0x02, bytes([self._number])) + operation))
        entries = []
        try:
            for _ in range(ANSWERS):
                (_, number), (kind, body) = list(elements(await self._message()))[:2]
                if kind == ENTRY:
                    entries.append(body)
                elif kind in (last, EXTENDED_ANSWER):
                    self._check(body)
                    return entries
                elif kind != REFERENCE or number != bytes([self._number]):
                    raise self.reading.wrong(f"an answer of type {kind:#x}")
        except ValueError:
            raise self.reading.wrong("a message that is cut") from None
        raise self.reading.wrong("an answer that does not end")

    def _check(self, body: bytes) -> None:
        """Raise Refused where the result code is not success."""
        (_, code), _, (_, text) = list(elements(body))[:3]
        if number := int.from_bytes(code, "big"):
            said = start(text.decode("utf-8", "replace"), 160)
            raise Refused(ldap_fault(number, said, endpoint=self.reading.endpoint))

    async def _message(self) -> bytes:
        """Return the content of one message; raises Refused for what is none, or is longer than FRAME."""
        head = await self.reading.take(2)
        if head[0] != 0x30:
            raise self.reading.wrong(sniff(head + bytes(self.reading.wire.buffer[:14])))
        size = head[1]
        if size & 0x80:
            if not 1 <= size & 0x7F <= 4:
                raise self.reading.wrong("a message without a length")
            size = int.from_bytes(await self.reading.take(size & 0x7F), "big")
        if size > FRAME:
            raise self.reading.wrong(f"a message of {size} bytes")
        return await self.reading.take(size)


def tlv(kind: int, content: bytes) -> bytes:
    """Return an element of BER: its type, its length and its content (X.690, 8.1)."""
    size = len(content)
    if size < 128:
        return bytes([kind, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([kind, 0x80 | len(length)]) + length + content


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the elements of a content. Raises ValueError where one is cut."""
    at = 0
    while at < len(data):
        kind, size, at = data[at], data[at + 1] if at + 1 < len(data) else 0x80, at + 2
        if size & 0x80:
            count = size & 0x7F
            if not 1 <= count <= 4 or at + count > len(data):
                raise ValueError("an element without a length")
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + size > len(data):
            raise ValueError("an element that is cut")
        yield kind, data[at : at + size]
        at += size


def _attributes(entry: bytes) -> dict[str, str]:
    """Return attribute → its first value."""
    found = {}
    _, (_, attributes) = list(elements(entry))[:2]
    for _, attribute in elements(attributes):
        (_, name), (_, values) = list(elements(attribute))[:2]
        if first := next(elements(values), None):
            found[name.decode("utf-8", "replace")] = first[1].decode("utf-8", "replace")
    return found

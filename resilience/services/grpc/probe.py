"""Turn a gRPC server into what its health service says (grpc.health.v1), over HTTP/2 of our own."""

from __future__ import annotations

import struct
from urllib.parse import unquote

from resilience.core.faults import fault, http_fault
from resilience.core.plain import start
from resilience.core.records import FaultCode, Phase
from resilience.core.settings import Service
from resilience.services.grpc.hpack import Decoder, Header, encoded
from resilience.services.grpc.kind import grpc_fault
from resilience.services.reading import Reading
from resilience.services.wire import Address, ProbeContext, Refused, Trace, open_wire, parse, quoted_headers

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
FRAMES, BYTES = 100, 64 * 1024
STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
UNIMPLEMENTED, NOT_FOUND = 12, 5


async def probe_grpc(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Ask for the health of the service that the URL's path names; of the whole server where it names none.

    A server that has no health service answers UNIMPLEMENTED: it is up, and no more is known of it, which the fact
    `health` says. The configured headers are sent as metadata. No client library is used.
    """
    address = parse(service.kind, url)
    name = unquote(address.path.strip("/"))
    trace.expected = f"SERVING of {name}" if name else "SERVING"
    metadata = [(key.lower(), value) for key, value in quoted_headers(service.headers)]
    wire = await open_wire(service, address, trace, context, protocol="h2")
    call = Call(Reading(wire, "gRPC", address.endpoint))
    try:
        status, text, message = await call.health(name, address, metadata)
    finally:
        wire.abort()
    if server := call.told.get("server"):
        trace.facts["server"] = start(server, 60)
    if status == UNIMPLEMENTED:
        trace.facts["health"] = "not implemented"
        trace.found = "a gRPC server without the health service"
        return
    if status:
        raise Refused(grpc_fault(status, start(text, 160), endpoint=address.endpoint))
    serving = health_of(message)
    if serving != "SERVING":
        code = FaultCode.APP_NO_DB if serving == "SERVICE_UNKNOWN" else FaultCode.APP_STARTING
        raise call.reading.refused(code, f"[health] ({serving}) == SERVING")
    trace.facts |= {"reads": "ok", "health": serving}
    trace.found = trace.expected


def health_of(message: bytes) -> str:
    """Return the status of a HealthCheckResponse. Proto3 leaves out the zero of an enum, so an empty one is UNKNOWN."""
    if len(message) >= 2 and message[0] == 8 and message[1] < len(STATUSES):
        return STATUSES[message[1]]
    return STATUSES[0]


class Call:
    """One unary call on a connection of its own: as much of HTTP/2 (RFC 9113) as that needs."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.told: dict[str, str] = {}
        """The headers of the answer, its trailers among them."""

    async def health(self, name: str, address: Address, metadata: list[Header]) -> tuple[int, str, bytes]:
        """Ask, and return the call's status, the text with it, and the message. Raises Refused for what is no gRPC.

        The status comes in the trailers, or at once in the headers where the call is refused.
        """
        headers = [
            *((":method", "POST"), (":scheme", "https" if address.tls else "http")),
            *((":path", "/grpc.health.v1.Health/Check"), (":authority", address.endpoint), ("te", "trailers")),
            *(("content-type", "application/grpc"), ("user-agent", "resilience-probe"), *metadata),
        ]
        request = b"\x0a" + _varint(len(name.encode())) + name.encode() if name else b""
        body = b"\0" + struct.pack(">I", len(request)) + request
        first = _frame(SETTINGS, 0, 0) + _frame(HEADERS, END_HEADERS, 1, encoded(headers))
        self.reading.wire.write(PREFACE + first + _frame(DATA, END_STREAM, 1, body))
        await self.reading.starts(b"\0\0")
        answer = await self._answer()
        if self.told.get(":status", "200") != "200":
            status = int(self.told[":status"]) if self.told[":status"].isdecimal() else 0
            plain = fault(FaultCode.APP_HTTP_STATUS, Phase.QUERY, f"HTTP {status}")
            raise Refused(http_fault(status, endpoint=self.reading.endpoint) or plain)
        code = self.told.get("grpc-status", "")
        if not self.told.get("content-type", "").startswith("application/grpc") or not code.isdecimal():
            raise self.reading.wrong("an HTTP/2 server that speaks no gRPC")
        return int(code), unquote(self.told.get("grpc-message", "")), _message(answer)

    async def _answer(self) -> bytes:
        """Read until our stream ends, and return its data; the headers are noted. Raises Refused where it does not come."""
        decoder, data, block, ends, seen = Decoder(), bytearray(), bytearray(), False, 0
        for number in range(FRAMES):
            kind, flags, stream, body = await self._frame()
            if number == 0 and (kind, stream) != (SETTINGS, 0):
                raise self.reading.wrong("a server that speaks no HTTP/2")
            seen += len(body)
            if seen > BYTES:
                break
            if kind == SETTINGS and not flags & ACK:
                self.reading.wire.write(_frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self.reading.wire.write(_frame(PING, ACK, 0, body))
            elif kind == GOAWAY:
                raise self._gone("GOAWAY", body[4:8])
            if stream != 1:
                continue
            if kind == RESET:
                raise self._gone("RST_STREAM", body[:4])
            if kind in (HEADERS, CONTINUATION):
                block += _bare(kind, flags, body)
                ends = ends or (kind == HEADERS and bool(flags & END_STREAM))
                if flags & END_HEADERS:
                    self._note(decoder, bytes(block))
                    block.clear()
            elif kind == DATA:
                data += _bare(kind, flags, body)
                ends = bool(flags & END_STREAM)
            if ends and not block:
                return bytes(data)
        raise self.reading.wrong("an HTTP/2 server whose answer does not end")

    def _note(self, decoder: Decoder, block: bytes) -> None:
        try:
            self.told |= dict(decoder.headers(block))
        except ValueError as exc:
            raise self.reading.wrong(f"an HTTP/2 server with {exc}") from None

    def _gone(self, name: str, code: bytes) -> Refused:
        """Return the fault of a server that gives the stream or the connection up: it is at its limit, or going down."""
        number = int.from_bytes(code, "big")
        meaning = {7: FaultCode.APP_OVERLOAD, 11: FaultCode.APP_OVERLOAD, 0: FaultCode.APP_SHUTDOWN}
        return self.reading.refused(meaning.get(number, FaultCode.APP_ERROR), f"{name} with code {number}")

    async def _frame(self) -> tuple[int, int, int, bytes]:
        head = await self.reading.take(9)
        stream = int.from_bytes(head[5:9], "big") & 0x7FFFFFFF
        return head[3], head[4], stream, await self.reading.take(int.from_bytes(head[:3], "big"))


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number % 128 + 128]) + _varint(number // 128)


def _frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body


def _bare(kind: int, flags: int, body: bytes) -> bytes:
    """Return a frame's content without its padding and its priority."""
    if kind == CONTINUATION:
        return body
    pad = body[0] if flags & PADDED and body else 0
    begin = (1 if flags & PADDED else 0) + (5 if kind == HEADERS and flags & PRIORITY else 0)
    return body[begin : len(body) - pad]


def _message(data: bytes) -> bytes:
    """Return the first message of a stream, without its prefix of flag and length."""
    size = int.from_bytes(data[1:5], "big") if len(data) >= 5 else 0
    return data[5 : 5 + size]

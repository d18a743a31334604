"""Turn a WebSocket endpoint into what it did: handshake (RFC 6455), then an echo where configured, else a ping."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import struct
from collections.abc import Coroutine

from resilience.core.faults import fault, http_fault
from resilience.core.records import FaultCode, Phase
from resilience.core.settings import Service
from resilience.services.http.probe import headers_of, read_response, request
from resilience.services.websocket.kind import ws_close_fault
from resilience.services.wire import Address, ProbeContext, Refused, Trace, Wire, open_wire, parse

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MESSAGE_LIMIT = 64 * 1024
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10


async def probe_websocket(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Upgrade, then have a message echoed or a ping answered; close codes become faults.

    A ping is answered by the protocol's layer even where the application hangs: only an `echo` looks deeper. The message
    has to leave within WEBSOCKET_SEND_TIMEOUT and the answer to come within WEBSOCKET_RECV_TIMEOUT, each where that is
    less than what is left of the deadline.
    """
    address = parse(service.kind, url)
    trace.expected = "101 and " + ("the message echoed" if service.echo else "a pong")
    key = base64.b64encode(os.urandom(16)).decode()
    headers = [
        *headers_of(service, address),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
    ]
    asked = request("GET", address, headers=headers)
    wire = await open_wire(service, address, trace, context)
    try:
        wire.write(asked)
        await _handshake(wire, address, key, trace)
        wire.trace.started_bytes = False
        await _exchange(wire, service, trace, address, context)
        wire.write(_frame(_CLOSE, struct.pack("!H", 1000)))
    finally:
        if wire.transport is not None:
            wire.transport.close() if not address.tls else wire.transport.abort()


async def _exchange(wire: Wire, service: Service, trace: Trace, address: Address, context: ProbeContext) -> None:
    """Send the configured message and await it, else a ping with four random bytes and await these."""
    asked = service.echo.encode() if service.echo else os.urandom(4)
    frame = _frame(_TEXT if service.echo else _PING, asked)
    await _within(
        context.send_s, wire.send(frame), trace, address, "it did not take our message", "WEBSOCKET_SEND_TIMEOUT"
    )
    answer = (_await_echo if service.echo else _await_pong)(wire, asked, trace, address)
    await _within(context.recv_s, answer, trace, address, "no answer", "WEBSOCKET_RECV_TIMEOUT")


async def _within(
    seconds: float, step: Coroutine[object, object, None], trace: Trace, address: Address, what: str, variable: str
) -> None:
    """Await a step for that long, and no longer than the deadline of the whole. Raises Refused with the variable's name."""
    if seconds >= trace.left_s:
        await step
        return
    try:
        async with asyncio.timeout(seconds):
            await step
    except TimeoutError:
        detail = f"{what} within {seconds:g} s ({variable})"
        raise Refused(fault(FaultCode.PROTO_SILENT, Phase.QUERY, detail, endpoint=address.endpoint)) from None


async def _handshake(wire: Wire, address: Address, key: str, trace: Trace) -> None:
    """Accept only a 101 that answers our own key (RFC 6455, section 4.2.2). Raises Refused.

    A 4xx or 5xx is judged as of any HTTP service; 426 and all below 400 say that this is no WebSocket endpoint. A wrong
    accept key means that a cache or proxy made the 101 up.
    """
    response = await read_response(wire, address)
    trace.facts["status"] = str(response.status)
    trace.found = f"status {response.status}"
    if response.status != 101:
        if response.status >= 400 and response.status != 426:
            meant = http_fault(
                response.status,
                retry_after=response.headers.get("retry-after", ""),
                body=response.body,
                endpoint=address.endpoint,
            )
        else:
            meant = None
        detail = f"HTTP {response.status} instead of 101"
        raise Refused(meant or fault(FaultCode.WS_NOT_UPGRADED, Phase.QUERY, detail, endpoint=address.endpoint))
    digest = hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()
    if response.headers.get("sec-websocket-accept", "") != base64.b64encode(digest).decode():
        detail = "101 with a Sec-WebSocket-Accept that does not answer our key: a cache or proxy made it up"
        raise Refused(fault(FaultCode.PROTO_WRONG, Phase.QUERY, detail, endpoint=address.endpoint))


async def _await_echo(wire: Wire, expected: bytes, trace: Trace, address: Address) -> None:
    """Return when a message holds what was sent; other messages may come first.

    Raises Refused after 100, or more than 64 KiB.
    """
    message = b""
    seen = 0
    while seen < 100:  # other messages may come first; a flood of them is no echo
        opcode, final, payload = await _next(wire, address)
        if opcode in (_TEXT, _BINARY, 0):
            message = payload if opcode else message + payload
            if final:
                seen += 1
                if expected in message:
                    trace.found += ", echoed"
                    return
        if len(message) > _MESSAGE_LIMIT:
            break
    detail = f"{seen} messages came, none was the echo"
    raise Refused(fault(FaultCode.APP_BAD_BODY, Phase.QUERY, detail, endpoint=address.endpoint))


async def _await_pong(wire: Wire, token: bytes, trace: Trace, address: Address) -> None:
    """Return at the pong that carries our own bytes: a pong to nothing proves nothing.

    Raises Refused after 1,000 frames.
    """
    for _ in range(1000):
        opcode, _, payload = await _next(wire, address)
        if opcode == _PONG and payload == token:
            trace.found += ", pong"
            return
    raise Refused(
        fault(FaultCode.PROTO_WRONG, Phase.QUERY, "1,000 frames came, none was the pong", endpoint=address.endpoint)
    )


async def _next(wire: Wire, address: Address) -> tuple[int, bool, bytes]:
    """Return the next frame that is not a ping; a close frame becomes its fault, the end of the stream 1006."""
    while True:
        opcode, final, payload = await _read_frame(wire, address)
        if opcode == _PING:
            wire.write(_frame(_PONG, payload))
        elif opcode == _CLOSE:
            code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
            reason = payload[2:].decode("utf-8", "replace")
            meant = ws_close_fault(code, reason, endpoint=address.endpoint)
            detail = "closed with 1000 before it answered"
            raise Refused(meant or fault(FaultCode.PROTO_CLOSED, Phase.QUERY, detail, endpoint=address.endpoint))
        else:
            return opcode, final, payload


async def _read_frame(wire: Wire, address: Address) -> tuple[int, bool, bytes]:
    """Return a frame's opcode, whether it is the last of its message, and its payload (RFC 6455, section 5.2).

    Raises Refused for reserved bits, a masked frame of a server, an unknown opcode, a control frame that is long or in
    parts, and a message of more than 64 KiB: we never asked for one.
    """
    await _need(wire, 2, address)
    first, second = wire.buffer[0], wire.buffer[1]
    opcode, final, size = first & 0x0F, bool(first & 0x80), second & 0x7F
    start = 2
    if size == 126:
        await _need(wire, 4, address)
        size, start = struct.unpack("!H", wire.buffer[2:4])[0], 4
    elif size == 127:
        await _need(wire, 10, address)
        size, start = struct.unpack("!Q", wire.buffer[2:10])[0], 10
    if (
        first & 0x70
        or second & 0x80
        or opcode not in (0, 1, 2, 8, 9, 10)
        or (opcode >= 8 and (size > 125 or not final))
    ):
        raise Refused(fault(FaultCode.PROTO_WRONG, Phase.QUERY, "a frame against RFC 6455", endpoint=address.endpoint))
    if size > _MESSAGE_LIMIT:
        detail = f"it sent a message of {size} bytes, the probe reads 64 KiB"
        raise Refused(fault(FaultCode.PROTO_WRONG, Phase.QUERY, detail, endpoint=address.endpoint))
    await _need(wire, start + size, address)
    payload = bytes(wire.buffer[start : start + size])
    del wire.buffer[: start + size]
    return opcode, final, payload


async def _need(wire: Wire, size: int, address: Address) -> None:
    """Read until so many bytes are there.

    Raises Refused (1006, proto_reset) where the stream ends without a close frame.
    """
    try:
        while len(wire.buffer) < size:
            if not await wire.more():
                raise Refused(ws_close_fault(None, endpoint=address.endpoint))  # type: ignore[arg-type]
    except ConnectionResetError:
        raise Refused(ws_close_fault(None, endpoint=address.endpoint)) from None  # type: ignore[arg-type]


def _frame(opcode: int, payload: bytes) -> bytes:
    """Write a masked client frame of at most 64 KiB."""
    mask = os.urandom(4)
    size = len(payload)
    head = bytes([0x80 | opcode])
    head += bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack("!H", size)
    repeated = mask * (size // 4 + 1)
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated[:size], "big")).to_bytes(size, "big")
    return head + mask + masked

"""A WebSocket is well where it upgrades, answers a ping and echoes; its close codes are faults, byte for byte."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import socket
import struct

import pytest
import websockets

from resilience.core.records import ConnectivityStatus, FaultCode, Phase
from resilience.services.looking import ProbeContext, probe
from tests.kits.kinds import ServiceType
from tests.kits.servers import fakes
from tests.kits.servers.looking import look, service

C, T, S = FaultCode, ServiceType, ConnectivityStatus


def accepts(*frames: bytes, then: fakes.Handler | None = None, key: str = "") -> fakes.Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
        assert asked
        digest = hashlib.sha1(asked.group(1) + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        answer = key.encode() or base64.b64encode(digest)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + answer + b"\r\n\r\n")
        for frame in frames:
            writer.write(frame)
        await writer.drain()
        if then is not None:
            await then(reader, writer)
        else:
            await reader.read(-1)

    return handler


def close_frame(code: int, reason: bytes = b"") -> bytes:
    payload = struct.pack("!H", code) + reason
    return bytes([0x88, len(payload)]) + payload


@pytest.mark.parametrize("echo", ["", "hello", "x" * 70_0], ids=["ping", "echo", "long echo"])
async def test_a_real_websocket_server(echo: str) -> None:
    async def handler(connection: websockets.ServerConnection) -> None:
        await connection.send('{"type": "welcome"}')
        async for message in connection:
            await connection.send(message)

    async with websockets.serve(handler, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        seen = await look(T.WEBSOCKET, f"ws://127.0.0.1:{port}/", echo=echo)
    assert seen.fault is None
    assert seen.phases.query_s is not None


CLOSES = {
    1001: C.APP_SHUTDOWN,
    1012: C.APP_SHUTDOWN,
    1013: C.APP_OVERLOAD,
    1008: C.APP_AUTH,
    3000: C.APP_AUTH,
    3003: C.APP_AUTH,
    4401: C.APP_AUTH,
    4429: C.APP_RATE_LIMIT,
    1011: C.APP_ERROR,
    1009: C.APP_MESSAGE_TOO_BIG,
    1002: C.PROTO_WRONG,
    1000: C.PROTO_CLOSED,
    4999: C.APP_ERROR,
}


@pytest.mark.parametrize("number", CLOSES)
async def test_a_close_code_is_a_fault(number: int) -> None:
    async with fakes.serve(accepts(close_frame(number, b"because"))) as port:
        seen = await look(T.WEBSOCKET, f"ws://127.0.0.1:{port}/")
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (CLOSES[number], Phase.QUERY)


AFTER = {
    "closed without a frame": (accepts(then=fakes.close_at_once), C.PROTO_RESET),
    "reset": (accepts(then=fakes.reset_at_once), C.PROTO_RESET),
    "silent": (accepts(then=fakes.silent), C.PROTO_SILENT),
    "a wrong accept key": (accepts(key="d3Jvbmc="), C.PROTO_WRONG),
    "a masked frame": (accepts(b"\x81\x81abcd\x00"), C.PROTO_WRONG),
    "a huge frame": (accepts(b"\x82\x7f" + struct.pack("!Q", 1 << 40)), C.PROTO_WRONG),
    "garbage": (accepts(b"\xff" * 30), C.PROTO_WRONG),
    "no upgrade": (fakes.says(fakes.http(200, b"hello")), C.WS_NOT_UPGRADED),
    "426": (fakes.says(fakes.http(426)), C.WS_NOT_UPGRADED),
}


@pytest.mark.parametrize("how", AFTER)
async def test_after_the_connection_is_accepted(how: str) -> None:
    handler, code = AFTER[how]
    async with fakes.serve(handler) as port:
        seen = await look(T.WEBSOCKET, f"ws://127.0.0.1:{port}/", timeout_s=0.6)
    assert seen.fault is not None
    assert seen.fault.code is code


async def test_a_pong_without_an_echo_is_not_depth() -> None:
    """An application that hangs still answers pings: its library does."""

    async def deaf(connection: websockets.ServerConnection) -> None:
        await connection.wait_closed()

    async with websockets.serve(deaf, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        ping = await look(T.WEBSOCKET, f"ws://127.0.0.1:{port}/")
        echo = await look(T.WEBSOCKET, f"ws://127.0.0.1:{port}/", echo="x", timeout_s=0.4)
    assert ping.fault is None
    assert echo.fault is not None
    assert echo.fault.code is C.PROTO_SILENT


async def test_the_guides_receive_time_out_cuts_the_wait_for_an_answer() -> None:
    async with fakes.serve(accepts(then=fakes.silent)) as port:
        with ProbeContext() as context:
            context.recv_s = 0.2
            seen = await probe(service(T.WEBSOCKET, f"ws://127.0.0.1:{port}/", timeout_s=20), context=context)
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (C.PROTO_SILENT, Phase.QUERY)
    assert "WEBSOCKET_RECV_TIMEOUT" in seen.fault.detail


async def test_the_guides_send_time_out_cuts_a_message_that_the_other_side_does_not_take() -> None:
    """It accepts the connection and reads no more: its buffers fill, and the echo never leaves this machine."""
    loop = asyncio.get_running_loop()
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)

        async def takes_nothing_more() -> None:
            connection, _ = await loop.sock_accept(listening)
            with connection:
                asked = re.search(rb"Sec-WebSocket-Key: (\S+)", await loop.sock_recv(connection, 1024))
                assert asked
                answer = base64.b64encode(hashlib.sha1(asked[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
                head = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + answer + b"\r\n\r\n"
                await loop.sock_sendall(connection, head)
                await asyncio.Event().wait()

        server = asyncio.create_task(takes_nothing_more())
        url = f"ws://127.0.0.1:{listening.getsockname()[1]}/"
        with ProbeContext() as context:
            context.send_s = 0.2
            seen = await probe(service(T.WEBSOCKET, url, timeout_s=5, echo="x" * 60_000), context=context)
        server.cancel()
        await asyncio.wait([server])
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (C.PROTO_SILENT, Phase.QUERY)
    assert "WEBSOCKET_SEND_TIMEOUT" in seen.fault.detail


async def test_a_flood_of_other_messages_is_no_echo() -> None:
    async with fakes.serve(accepts(then=fakes.pours(b"", b"\x81\x01x" * 1000))) as port:
        seen = await look(T.WEBSOCKET, f"ws://127.0.0.1:{port}/", echo="hello", timeout_s=3)
    assert seen.fault is not None
    assert seen.fault.code is C.APP_BAD_BODY

"""Tables 4 to 6 of the diagnosis: HTTP, OpenAI-compatible, ClickHouse and WebSocket endpoints, byte for byte."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import re
import struct
from typing import Any

import pytest
import websockets

from resilience.core.records import ConnectivityStatus, FaultCode, Phase
from tests.kits.kinds import ServiceType
from tests.kits.servers import fakes
from tests.kits.servers.looking import look, result

C, T, S = FaultCode, ServiceType, ConnectivityStatus

STATUSES = {
    401: (C.APP_AUTH, False, False),
    403: (C.APP_AUTH, False, False),
    404: (C.APP_HTTP_404, False, False),
    402: (C.APP_QUOTA, False, False),
    429: (C.APP_RATE_LIMIT, False, False),
    500: (C.APP_ERROR, False, False),
    502: (C.APP_UPSTREAM, True, True),
    503: (C.APP_OVERLOAD, True, True),
    504: (C.APP_UPSTREAM, True, True),
    520: (C.APP_UPSTREAM, True, True),
    529: (C.APP_OVERLOAD, True, True),
    418: (C.APP_HTTP_STATUS, False, False),
    302: (C.APP_HTTP_STATUS, False, False),
}


@pytest.mark.parametrize("kind", [T.HTTP, T.OPENAI, T.WEBSOCKET, T.CLICKHOUSE], ids=str)
@pytest.mark.parametrize("status", STATUSES)
async def test_a_status_is_a_fault(status: int, kind: ServiceType) -> None:
    code, retryable, infrastructure = STATUSES[status]
    scheme = "ws" if kind is T.WEBSOCKET else "http"
    answer = fakes.http(status, b"", "Retry-After: 7", "Location: https://u:s3kr3t@login.example/x?t0k3n=1")
    async with fakes.serve(fakes.says(answer)) as port:
        url = f"{scheme}://127.0.0.1:{port}/x"
        seen = await look(kind, url)
    assert seen.fault is not None
    if kind is T.WEBSOCKET and status < 400:
        code = C.WS_NOT_UPGRADED
    assert seen.fault.code is code
    assert (seen.fault.retryable, seen.fault.infrastructure) == (retryable, infrastructure)
    assert str(status) in seen.fault.detail
    assert "s3kr3t" not in repr(seen)
    assert "t0k3n" not in repr(seen)
    judged = result(seen, kind, url)
    assert judged.status is (S.DEGRADED if status == 429 else S.UNAVAILABLE)
    if status in (429, 503) and kind is not T.CLICKHOUSE:
        assert "Retry-After: 7" in judged.detail


@pytest.mark.parametrize("word", ["insufficient_quota", "billing_hard_limit_reached"])
async def test_429_that_names_the_quota_is_quota(word: str) -> None:
    body = json.dumps({"error": {"message": "You exceeded your current quota", "type": word, "code": word}}).encode()
    async with fakes.serve(fakes.says(fakes.http(429, body))) as port:
        seen = await look(T.OPENAI, f"http://127.0.0.1:{port}/v1")
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.retryable) == (C.APP_QUOTA, False)


async def test_an_expected_status_is_well_whatever_it_is() -> None:
    async with fakes.serve(fakes.says(fakes.http(401))) as port:
        seen = await look(T.HTTP, f"http://127.0.0.1:{port}/", expect_status=(200, 401))
    assert seen.fault is None
    assert seen.found == "status 401"


LOGIN = b'<!DOCTYPE html><html><body><form action=/login><input type="password"></form></body></html>'
BODIES: dict[str, tuple[bytes, dict[str, Any], FaultCode | None]] = {
    "json as expected": (
        b'{"status": {"db": "ok"}, "n": [1, true]}',
        {"expect_json": {"status.db": "ok", "n.1": "true"}},
        None,
    ),
    "json with another value": (b'{"status": "down"}', {"expect_json": {"status": "ok"}}, C.APP_BAD_BODY),
    "json without the field": (b"{}", {"expect_json": {"status": "ok"}}, C.APP_BAD_BODY),
    "html where json is expected": (b"<html>hello</html>", {"expect_json": {"status": "ok"}}, C.PROTO_WRONG),
    "no json": (b"OK", {"expect_json": {"status": "ok"}}, C.PROTO_WRONG),
    "json too deep": (b"[" * 100_000, {"expect_json": {"status": "ok"}}, C.PROTO_WRONG),
    "a login page": (LOGIN, {}, C.PROTO_WRONG),
    "a plain page": (b"<html><body>all well</body></html>", {}, None),
    "text as expected": (b"all systems go", {"expect_body": "systems"}, None),
    "another text": (b"maintenance", {"expect_body": "systems"}, C.APP_BAD_BODY),
}


@pytest.mark.parametrize("how", BODIES)
async def test_a_body_is_compared(how: str) -> None:
    body, expected, code = BODIES[how]
    async with fakes.serve(fakes.says(fakes.http(200, body))) as port:
        seen = await look(T.HTTP, f"http://127.0.0.1:{port}/health", **expected)
    assert (seen.fault.code if seen.fault else None) is code


ENCODINGS = {
    "chunked": b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n6;x=y\r\n": 1}\n\r\n0\r\n\r\n',
    "until the end": b'HTTP/1.0 200 OK\r\n\r\n{"a": 1}',
    "gzip": fakes.http(200, gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip"),
    "after 100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n" + fakes.http(200, b'{"a": 1}'),
}


@pytest.mark.parametrize("how", ENCODINGS)
async def test_bodies_are_read_however_they_are_sent(how: str) -> None:
    whole = ENCODINGS[how]
    async with fakes.serve(fakes.says(*(whole[i : i + 7] for i in range(0, len(whole), 7)))) as port:
        seen = await look(T.HTTP, f"http://127.0.0.1:{port}/", expect_json={"a": "1"})
    assert seen.fault is None


BROKEN = {
    "body cut": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx", C.PROTO_CLOSED),
    "headers cut": (b"HTTP/1.1 200 OK\r\nContent-", C.PROTO_CLOSED),
    "chunk cut": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", C.PROTO_CLOSED),
    "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", C.PROTO_WRONG),
    "bad gzip": (fakes.http(200, b"not gzip at all", "Content-Encoding: gzip"), C.PROTO_WRONG),
    "unasked encoding": (fakes.http(200, b"x", "Content-Encoding: br"), C.PROTO_WRONG),
    "bad length": (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", C.PROTO_WRONG),
    "bad status": (b"HTTP/1.1 abc\r\n\r\n", C.PROTO_WRONG),
    "headers too long": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, C.PROTO_WRONG),
    "HTTP/2": (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", C.PROTO_WRONG),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_an_answer_against_the_rules(how: str) -> None:
    answer, code = BROKEN[how]
    async with fakes.serve(fakes.says(answer)) as port:
        seen = await look(T.HTTP, f"http://127.0.0.1:{port}/")
    assert seen.fault is not None
    assert seen.fault.code is code


BOMB = gzip.compress(b"\0" * 50_000_000)


@pytest.mark.parametrize(
    "answer",
    [
        fakes.http(200, BOMB, "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["gzip bomb", "ten gigabytes", "endless"],
)
async def test_a_body_without_end_is_read_to_256_kib(answer: bytes) -> None:
    sent = [0]
    async with fakes.serve(fakes.pours(answer, b"x" * 65536, sent)) as port:
        seen = await look(T.HTTP, f"http://127.0.0.1:{port}/")
    assert seen.fault is None
    assert sent[0] < 64_000_000, "kernel buffers, not our memory"


async def test_ten_megabytes_of_error_text_and_terminal_codes_are_cleaned() -> None:
    body = ("\x1b[2J\u202e<b>" + "e" * 10_000_000).encode()
    async with fakes.serve(fakes.says(fakes.http(200, body))) as port:
        seen = await look(T.HTTP, f"http://127.0.0.1:{port}/", expect_body="all well")
    assert seen.fault is not None
    assert len(repr(seen)) < 3000
    assert "\x1b" not in seen.fault.detail
    assert "\u202e" not in seen.fault.detail


async def test_headers_and_users_are_sent_and_never_shown() -> None:
    from resilience.core.secret import Secret

    got: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(fakes.http(401, got[0]))
        await writer.drain()

    async with fakes.serve(handler) as port:
        seen = await look(
            T.HTTP, f"http://user:pa55word@127.0.0.1:{port}/a%20b?q=ü", headers={"X-Key": Secret("k3y-of-staging")}
        )
    assert b"GET /a%20b?q=%C3%BC HTTP/1.1" in got[0]
    assert b"X-Key: k3y-of-staging" in got[0]
    assert base64.b64encode(b"user:pa55word") in got[0]
    assert "pa55word" not in repr(seen)
    assert "k3y-of-staging" not in repr(seen)


async def test_a_token_that_comes_back_in_a_body_is_hidden() -> None:
    from resilience.core.secret import Secret

    body = b'{"status": "who is t0ken-0f-staging-42?"}'
    async with fakes.serve(fakes.says(fakes.http(200, body))) as port:
        seen = await look(
            T.HTTP,
            f"http://127.0.0.1:{port}/",
            headers={"Authorization": Secret("Bearer t0ken-0f-staging-42")},
            expect_json={"status": "ok"},
        )
    assert seen.fault is not None
    assert "t0ken" not in repr(seen)


async def test_a_header_with_a_line_break_is_refused() -> None:
    from resilience.core.secret import Secret

    seen = await look(T.HTTP, "http://127.0.0.1:1/", headers={"X": Secret("a\r\nHost: evil")})
    assert seen.fault is not None
    assert seen.fault.code is C.CONFIG_INVALID
    assert "evil" not in repr(seen)


# --- OpenAI-compatible

MODELS = {
    "a list": (b'{"object": "list", "data": [{"id": "a"}, {"id": "b"}]}', None),
    "html": (b"<html>sign in</html>", C.PROTO_WRONG),
    "other json": (b'{"models": []}', C.APP_BAD_BODY),
    "a long list": (b'{"data": [' + b'{"id": "xxxxxxxxxxxxxxxx"},' * 20_000 + b"{}]}", None),
}


@pytest.mark.parametrize("how", MODELS)
@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/models", "/openai/v1"])
async def test_models_are_listed(path: str, how: str) -> None:
    body, code = MODELS[how]
    asked: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(fakes.http(200, body))
        await writer.drain()
        await reader.read(-1)

    async with fakes.serve(handler) as port:
        seen = await look(T.OPENAI, f"http://127.0.0.1:{port}{path}")
    assert (seen.fault.code if seen.fault else None) is code
    assert b"/v1/models HTTP/1.1" in asked[0]


# --- ClickHouse


def clickhouse(answers: dict[str, bytes]) -> fakes.Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            body = await reader.readexactly(int(length.group(1))) if length else b""
            name = "replicas" if b"system.replicas" in head else "write" if body else "one"
            writer.write(answers[name])
            await writer.drain()

    return handler


WELL = {"one": fakes.http(200, b"1\n"), "replicas": fakes.http(200, b"0\t0\t0\n"), "write": fakes.http(200)}


async def test_clickhouse_well_with_write_check() -> None:
    async with fakes.serve(clickhouse(WELL)) as port:
        seen = await look(T.CLICKHOUSE, f"http://u:p@127.0.0.1:{port}/", write_check=True)
    assert seen.fault is None
    assert seen.facts["writes"] == "ok"


async def test_clickhouse_is_asked_for_the_urls_database_at_its_own_path() -> None:
    heads: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(WELL["replicas" if b"system.replicas" in heads[-1] else "one"])

    async with fakes.serve(handler) as port:
        seen = await look(T.CLICKHOUSE, f"http://u:p@127.0.0.1:{port}/shop%20db")
    assert seen.fault is None
    assert heads
    assert all(head.startswith(b"GET /?") and b"database=shop%20db" in head for head in heads)


def exception(code: int, status: int = 500) -> bytes:
    return fakes.http(
        status, f"Code: {code}, e.displayText() = DB::Exception: what happened (version 18.16.1)\n".encode()
    )


CLICKHOUSE = {
    192: (401, C.APP_AUTH),
    193: (401, C.APP_AUTH),
    516: (403, C.APP_AUTH),
    81: (404, C.APP_NO_DB),
    164: (500, C.APP_READONLY),
    159: (500, C.APP_SLOW),
    202: (500, C.APP_OVERLOAD),
    209: (500, C.APP_UPSTREAM),
    210: (500, C.APP_UPSTREAM),
    241: (500, C.APP_OVERLOAD),
    242: (500, C.APP_READONLY),
    252: (500, C.APP_OVERLOAD),
    319: (500, C.APP_ERROR),
    999: (500, C.APP_REPLICA_DOWN),
    62: (400, C.APP_ERROR),
    60: (404, C.APP_SCHEMA_GAP),
}


@pytest.mark.parametrize("number", CLICKHOUSE)
async def test_clickhouse_code_is_read_from_the_text_not_the_status(number: int) -> None:
    status, code = CLICKHOUSE[number]
    async with fakes.serve(clickhouse(WELL | {"one": exception(number, status)})) as port:
        seen = await look(T.CLICKHOUSE, f"http://127.0.0.1:{port}/")
    assert seen.fault is not None
    assert seen.fault.code is code
    assert f"Code: {number}" in seen.fault.detail
    assert seen.fault.retryable == (number in (159, 202, 209, 210, 241, 319, 999))


OTHER_ANSWERS = {
    "an error at the end of a 200": (
        fakes.http(200, b"1\nCode: 153, e.displayText() = DB::Exception: Division by zero\n"),
        C.APP_ERROR,
    ),
    "code in a header only": (fakes.http(500, b"", "X-ClickHouse-Exception-Code: 241"), C.APP_OVERLOAD),
    "newer wording": (
        fakes.http(500, b"Code: 241. DB::Exception: Memory limit. (MEMORY_LIMIT_EXCEEDED)"),
        C.APP_OVERLOAD,
    ),
    "the native port": (fakes.http(400, b"Port 9000 is for clickhouse-client program\r\n"), C.PROTO_WRONG),
    "a login page": (fakes.http(200, LOGIN), C.PROTO_WRONG),
    "ping's answer": (fakes.http(200, b"Ok.\n"), C.PROTO_WRONG),
}


@pytest.mark.parametrize("how", OTHER_ANSWERS)
async def test_clickhouse_answers_that_mislead(how: str) -> None:
    answer, code = OTHER_ANSWERS[how]
    async with fakes.serve(clickhouse(WELL | {"one": answer})) as port:
        seen = await look(T.CLICKHOUSE, f"http://127.0.0.1:{port}/")
    assert seen.fault is not None
    assert seen.fault.code is code


@pytest.mark.parametrize(
    ("replicas", "code"),
    [
        (fakes.http(200, b"2\t0\t8\n"), C.APP_READONLY),
        (fakes.http(200, b"0\t900\t8\n"), C.APP_REPLICA_LAG),
        (fakes.http(200, b"0\t3\t8\n"), None),
        (exception(497, 403), None),
    ],
    ids=["read-only", "behind", "well", "not permitted to ask"],
)
async def test_clickhouse_replicas(replicas: bytes, code: FaultCode | None) -> None:
    async with fakes.serve(clickhouse(WELL | {"replicas": replicas})) as port:
        url = f"http://127.0.0.1:{port}/"
        judged = result(await look(T.CLICKHOUSE, url), T.CLICKHOUSE, url)
    assert judged.fault is code
    assert judged.status is (S.DEGRADED if code else S.AVAILABLE)


async def test_clickhouse_without_keep_alive_is_asked_on_a_second_connection() -> None:
    answers = {name: answer.replace(b"HTTP/1.1", b"HTTP/1.0") for name, answer in WELL.items()}
    async with fakes.serve(clickhouse(answers)) as port:
        seen = await look(T.CLICKHOUSE, f"clickhouse+http://127.0.0.1:{port}/?database=analytics")
    assert seen.fault is None


# --- WebSocket


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
    from resilience.services.looking import ProbeContext, probe
    from tests.kits.servers.looking import service

    async with fakes.serve(accepts(then=fakes.silent)) as port:
        with ProbeContext() as context:
            context.recv_s = 0.2
            seen = await probe(service(T.WEBSOCKET, f"ws://127.0.0.1:{port}/", timeout_s=20), context=context)
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (C.PROTO_SILENT, Phase.QUERY)
    assert "WEBSOCKET_RECV_TIMEOUT" in seen.fault.detail


async def test_a_stand_in_is_looked_at_by_its_local_url() -> None:
    from resilience.core.secret import Secret
    from resilience.services.looking import ProbeContext, probe
    from tests.kits.servers.looking import service

    async with fakes.serve(fakes.says(fakes.http(200))) as port:
        asked = service(T.HTTP, "http://staging.invalid/", local=Secret(f"http://127.0.0.1:{port}/"))
        with ProbeContext() as context:
            seen = await probe(asked, context=context, target="stand_in")
    assert seen.fault is None
    assert seen.endpoint == f"127.0.0.1:{port}"


async def test_a_flood_of_other_messages_is_no_echo() -> None:
    async with fakes.serve(accepts(then=fakes.pours(b"", b"\x81\x01x" * 1000))) as port:
        seen = await look(T.WEBSOCKET, f"ws://127.0.0.1:{port}/", echo="hello", timeout_s=3)
    assert seen.fault is not None
    assert seen.fault.code is C.APP_BAD_BODY

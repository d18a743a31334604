"""Table 4 of the diagnosis: what an HTTP endpoint answers, byte for byte."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from typing import Any

import pytest

from resilience.core.records import ConnectivityStatus, FaultCode
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

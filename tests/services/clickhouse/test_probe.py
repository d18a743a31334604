"""ClickHouse is judged by its own codes and replicas, byte for byte, as its HTTP status says less."""

from __future__ import annotations

import asyncio
import re

import pytest

from resilience.core.records import ConnectivityStatus, FaultCode
from tests.kits.kinds import ServiceType
from tests.kits.servers import fakes
from tests.kits.servers.looking import look, result

C, T, S = FaultCode, ServiceType, ConnectivityStatus
LOGIN = b'<!DOCTYPE html><html><body><form action=/login><input type="password"></form></body></html>'


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

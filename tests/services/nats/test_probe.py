"""A NATS server is looked at by its greeting and a ping. What a real one answers: test_stand_in.py."""

from __future__ import annotations

import asyncio

from resilience.core.records import FaultCode
from tests.kits.kind_kit import check_dead_and_mute, code_of, look, of_kind, seen_against
from tests.kits.servers import fakes

URL = "nats://127.0.0.1:{port}"
INFO = b'INFO {"server_id":"x","version":"2.9.10","max_payload":1048576%s}\r\n'


def greets(more: bytes, *answers: bytes) -> fakes.Handler:
    """Greet, then answer what comes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO % more)
        await reader.readuntil(b"PING\r\n")
        for answer in answers:
            writer.write(answer)
        await writer.drain()
        await reader.read(-1)

    return handler


async def test_dead_mute_closing_and_strange_ones_are_told_apart() -> None:
    await check_dead_and_mute("nats", URL)


async def test_a_pong_is_what_it_is_known_by() -> None:
    seen = await seen_against("nats", URL, greets(b',"jetstream":true,"ldm":true', b"+OK\r\n", b"PONG\r\n"))
    assert (seen.fault, seen.found) == (None, "PONG")
    assert (seen.facts["server_version"], seen.facts["jetstream"], seen.facts["lame_duck"]) == ("2.9.10", "yes", "yes")


async def test_what_it_refuses_is_said_in_its_own_words() -> None:
    seen = await seen_against("nats", URL, greets(b"", b"-ERR 'Maximum Connections Exceeded'\r\n"))
    assert code_of(seen) is FaultCode.APP_OVERLOAD
    assert seen.fault is not None
    assert "Maximum Connections Exceeded" in seen.fault.detail


async def test_a_greeting_without_a_document_is_none() -> None:
    assert code_of(await seen_against("nats", URL, fakes.says(b"INFO [1]\r\n", first=True))) is FaultCode.PROTO_WRONG


async def test_a_password_goes_over_tls_where_the_server_asks_for_it() -> None:
    told: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO % b',"tls_required":true')
        told.append(await reader.read(1))
        writer.close()

    async with fakes.serve(handler) as port:
        seen = await look(of_kind("nats", f"nats://app:secret@127.0.0.1:{port}"))
    assert set(told) == {b"\x16"}, "a TLS handshake, and not the password"
    assert seen.fault is not None

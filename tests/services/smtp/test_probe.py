"""A mail server is looked at by its greeting, EHLO, TLS where it is wanted, and a login where there is a user."""

from __future__ import annotations

import asyncio

from resilience.core.records import FaultCode
from tests.kits.kind_kit import check_dead_and_mute, code_of, seen_against
from tests.kits.servers import fakes

URL = "smtp://127.0.0.1:{port}"
USER = "smtp://app:pw@127.0.0.1:{port}"


def server(greeting: bytes, *replies: bytes) -> fakes.Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        for reply in replies:
            await reader.readline()
            writer.write(reply)
            await writer.drain()
        await reader.read()

    return handle


async def test_dead_mute_closing_and_strange_ones_are_told_apart() -> None:
    await check_dead_and_mute("smtp", URL)


async def test_one_that_greets_is_well_and_that_no_login_was_tried_is_said() -> None:
    seen = await seen_against("smtp", URL, server(b"220-hello\r\n220 mail\r\n", b"250-mail\r\n250 STARTTLS\r\n"))
    assert seen.fault is None
    assert "not tried" in seen.facts["login"]
    assert seen.facts["starttls"] == "offered, not used"


async def test_a_login_is_made_by_what_the_server_offers() -> None:
    plain = server(b"220 x\r\n", b"250-x\r\n250 AUTH PLAIN\r\n", b"235 ok\r\n")
    assert (await seen_against("smtp", USER, plain)).facts["login"] == "PLAIN"
    login = server(b"220 x\r\n", b"250-x\r\n250 AUTH LOGIN\r\n", b"334 a\r\n", b"334 b\r\n", b"235 ok\r\n")
    assert (await seen_against("smtp", USER, login)).facts["login"] == "LOGIN"
    none = await seen_against("smtp", USER, server(b"220 x\r\n", b"250 x\r\n"))
    assert code_of(none) is FaultCode.APP_AUTH


async def test_what_it_refuses_is_said_by_its_code() -> None:
    assert code_of(await seen_against("smtp", URL, server(b"421 too busy\r\n"))) is FaultCode.APP_SHUTDOWN
    refused = server(b"220 x\r\n", b"250-x\r\n250 AUTH PLAIN\r\n", b"535 wrong\r\n")
    assert code_of(await seen_against("smtp", USER, refused)) is FaultCode.APP_AUTH


async def test_tls_that_is_required_and_not_offered_is_a_fault() -> None:
    plain = server(b"220 x\r\n", b"250 x\r\n")
    seen = await seen_against("smtp", URL, plain, options={"starttls": "required"})
    assert code_of(seen) is FaultCode.TLS_REFUSED

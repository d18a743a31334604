"""A MySQL server is looked at as far as it lets one: the handshake, the login, one question, and its state."""

from __future__ import annotations

import asyncio

from resilience.core.records import FaultCode
from tests.kits.kind_kit import check_dead_and_mute, code_of, seen_against
from tests.kits.servers import fakes

URL = "mysql://app:pw@127.0.0.1:{port}/shop"
SALT = b"12345678", b"123456789012\0"


def packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


def greeting(plugin: bytes = b"mysql_native_password", capabilities: int = 0x8FF7F) -> bytes:
    low, high = capabilities & 0xFFFF, capabilities >> 16
    body = b"\x0a8.0.36\0" + b"\1\0\0\0" + SALT[0] + b"\0" + low.to_bytes(2, "little") + b"\x21\2\0"
    body += high.to_bytes(2, "little") + b"\x15" + b"\0" * 10 + SALT[1] + plugin + b"\0"
    return packet(0, body)


def error(number: int, text: bytes, *, state: bytes = b"#28000") -> bytes:
    return b"\xff" + number.to_bytes(2, "little") + state + text


def row(*texts: bytes) -> bytes:
    return b"".join(bytes([len(text)]) + text for text in texts)


def answer(name: bytes, value: bytes) -> bytes:
    column = row(b"def", b"", b"", b"", name, name) + b"\x0c" + b"\0" * 12
    eof = b"\xfe\0\0\2\0"
    return packet(1, b"\1") + packet(2, column) + packet(3, eof) + packet(4, row(value)) + packet(5, eof)


def server(*answers: bytes, hello: bytes | None = None) -> fakes.Handler:
    """Greets, then gives one of these for each packet that comes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting() if hello is None else hello)
        for one in answers:
            size = int.from_bytes((await reader.readexactly(4))[:3], "little")
            await reader.readexactly(size)
            writer.write(one)
            await writer.drain()
        await reader.read()

    return handle


async def test_dead_mute_closing_and_strange_ones_are_told_apart() -> None:
    await check_dead_and_mute("mysql", URL)


async def test_a_server_that_answers_one_is_well_and_its_state_is_noted() -> None:
    seen = await seen_against(
        "mysql",
        URL,
        server(
            packet(2, b"\0\0\0\2\0\0\0"),
            answer(b"1", b"1"),
            answer(b"@@global.read_only", b"1"),
            packet(1, error(1227, b"you need privileges")),
            packet(1, error(1064, b"no such statement")),
        ),
    )
    assert (seen.fault, seen.found) == (None, "1")
    assert seen.facts["server_version"] == "8.0.36"
    assert seen.facts["read_only"] == "1"
    assert "not known" in seen.facts["replication"]


async def test_a_refused_login_and_a_full_server_are_named_by_their_numbers() -> None:
    seen = await seen_against("mysql", URL, server(packet(2, error(1045, b"Access denied for user"))))
    assert code_of(seen) is FaultCode.APP_AUTH
    seen = await seen_against("mysql", URL, server(packet(2, error(1049, b"Unknown database"))))
    assert code_of(seen) is FaultCode.APP_NO_DB
    full = packet(0, error(1040, b"Too many connections", state=b""))
    assert code_of(await seen_against("mysql", URL, server(hello=full))) is FaultCode.APP_OVERLOAD


async def test_a_login_that_is_not_spoken_is_said_and_no_fault() -> None:
    seen = await seen_against("mysql", URL, server(hello=greeting(b"client_ed25519")))
    assert seen.fault is None
    assert "client_ed25519" in seen.facts["login"]
    assert "no login" in seen.found
    sha2 = server(packet(2, b"\x01\x04"), hello=greeting(b"caching_sha2_password"))
    seen = await seen_against("mysql", URL, sha2)
    assert seen.fault is None
    assert "over TLS" in seen.facts["login"]


async def test_tls_that_is_asked_for_and_not_there_is_a_fault() -> None:
    plain = server(hello=greeting(capabilities=0x8F77F))
    seen = await seen_against("mysql", URL + "?ssl-mode=REQUIRED", plain)
    assert code_of(seen) is FaultCode.TLS_REFUSED

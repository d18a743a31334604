"""One port speaks TLS with who begins with it and is plain for all others; a handshake that fails is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from resilience.host.authority import Authority
from resilience.host.either import Either


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())
        self.transport.close()


class Port:
    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        self.refused: list[str] = []
        self.told = asyncio.Event()
        self.either = Either(Echo, self.authority.context(folder), refused=self.refuse)

    def refuse(self, why: str) -> None:
        self.refused.append(why)
        self.told.set()

    async def ask(self, context: ssl.SSLContext | None) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.either.port, ssl=context)
        writer.write(b"hello")
        try:
            return await reader.read()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[Port]:
    made = Port(tmp_path)
    yield made
    made.either.close()
    await asyncio.sleep(0)


async def test_it_speaks_as_it_is_spoken_to(port: Port) -> None:
    trusting = ssl.create_default_context(cadata=port.authority.certificate.decode())
    assert await asyncio.gather(*(port.ask(one) for one in (trusting, None, trusting))) == [b"HELLO"] * 3
    assert port.refused == []


async def test_a_client_that_does_not_trust_it_is_told_of(port: Port) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await port.ask(ssl.create_default_context())
    await asyncio.wait_for(port.told.wait(), 5)
    assert port.refused == ["it ended the handshake"], "a client of asyncio says no more"


async def test_an_alert_of_a_client_is_passed_on(port: Port) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        await asyncio.to_thread(httpx.get, f"https://127.0.0.1:{port.either.port}", trust_env=False)
    await asyncio.wait_for(port.told.wait(), 5)
    assert port.refused == ["tlsv1 alert unknown ca"]


async def test_a_client_that_leaves_without_a_word_is_no_failure(port: Port) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port.either.port)
    writer.close()
    await writer.wait_closed()
    assert await port.ask(None) == b"HELLO"
    assert port.refused == []


async def test_a_port_that_is_taken_is_an_error(port: Port, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="in use"):
        Either(Echo, port.authority.context(tmp_path), port=port.either.port)

"""Turn a PostgreSQL server, with TLS as its URL asks for it, into a port of this machine that speaks none.

The programs of the wheel know no TLS. So whatever reads staging in a lesson goes through here: as the probe looks up, connects and
verifies, once for each connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from resilience.core.settings import Service
from resilience.services.postgresql.probe import ask_tls, tls_of
from resilience.services.wire import Address, ProbeContext, Refused, Trace, dial, upgrade

_PIECE = 1 << 16
_SASL = b"\0\0\0\x0a"
"""The code of AuthenticationSASL (PostgreSQL manual, message formats)."""


@dataclass(slots=True)
class Forwarder:
    """A port of 127.0.0.1 that leads to one server. `refused` says why the latest connection could not be made."""

    port: int = 0
    refused: str = ""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def forwarding(
    service: Service, address: Address, context: ProbeContext, connect_s: float
) -> AsyncIterator[Forwarder]:
    """Listen on a port that leads to this address until the context is left; then every connection through it is ended."""
    forwarder = Forwarder()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        forwarder.tasks.add(task)
        try:
            await _forward(reader, writer, service, address, context, connect_s)
        except Refused as exc:
            forwarder.refused = exc.fault.detail or exc.fault.cause
        except (OSError, EOFError, TimeoutError) as exc:
            forwarder.refused = f"{type(exc).__name__}: {exc}"
        except asyncio.CancelledError:
            pass  # the context was left: asyncio would log it as an error of the handler
        finally:
            forwarder.tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    forwarder.port = server.sockets[0].getsockname()[1]
    try:
        yield forwarder
    finally:
        server.close()
        running = tuple(forwarder.tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()


async def _forward(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    service: Service,
    address: Address,
    context: ProbeContext,
    connect_s: float,
) -> None:
    """Connect as the probe does, and pass bytes both ways until either side ends. Raises Refused, OSError and TimeoutError."""
    mode = address.query.get("sslmode", "prefer").replace("_", "-")
    trace = Trace(connect_s)
    loop = asyncio.get_running_loop()
    there = asyncio.StreamReader(limit=_PIECE, loop=loop)
    async with asyncio.timeout(connect_s):
        tls = tls_of(service, address, mode, context)
        sock = await dial(address, trace, context)
        try:
            if mode == "disable" or address.socket_path or not await ask_tls(sock, mode, trace, address):
                tls = None
        except BaseException:
            sock.close()
            raise
        protocol = asyncio.StreamReaderProtocol(there, loop=loop)
        transport = await upgrade(sock, lambda: protocol, address.host, trace, tls)
    out = asyncio.StreamWriter(transport, protocol, there, loop)
    ways = [asyncio.ensure_future(_pass_on(reader, out)), asyncio.ensure_future(_pass_back(there, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait(ways, timeout=0.05)  # the last words of the other side, such as why it ended
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        transport.abort()


async def _pass_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what the server says, its first offer of how to log in without the way that binds the login to TLS.

    libpq ends where it is offered SCRAM-SHA-256-PLUS without TLS of its own, and the TLS here is ours, verified as the URL asks.
    """
    with suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readexactly(1)
            if head not in (b"R", b"v"):
                writer.write(head)
                break
            size = await reader.readexactly(4)
            body = await reader.readexactly(max(0, min(int.from_bytes(size, "big"), _PIECE) - 4))
            if head == b"R" and body[:4] == _SASL:
                body = _without_plus(body)
            writer.write(head + (len(body) + 4).to_bytes(4, "big") + body)
            if head == b"R":
                break
        await _pass_on(reader, writer)


def _without_plus(body: bytes) -> bytes:
    """Return an offer of mechanisms, each ended by a zero byte and all by one more, without the one that needs TLS."""
    names = [name for name in body[4:].split(b"\0") if name and name != b"SCRAM-SHA-256-PLUS"]
    return _SASL + b"".join(name + b"\0" for name in names) + b"\0"


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()

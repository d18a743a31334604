"""Turn a port of this machine into one that speaks TLS with who begins a handshake, and goes on in plain with all others.

So our own looks need no certificate, and a client that insists on TLS has it, both at one address.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

HANDSHAKE = b"\x16"
"""What begins a handshake (RFC 8446, 5.1)."""
_SHAKE_S, _SHUT_S = 10.0, 0.2
_PAUSE_S = 0.1


class Either:
    """One port. `refused` is told why a handshake failed; a client that left before it began one is no failure."""

    def __init__(
        self,
        protocol: Callable[[], asyncio.BaseProtocol],
        context: ssl.SSLContext,
        *,
        bind: str = "127.0.0.1",
        port: int = 0,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Listen from now on. Raises OSError where the port is taken."""
        self._protocol, self._context, self._refused = protocol, context, refused
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        self._socket = socket.create_server((bind, port), family=family, backlog=128)
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._greeted: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def close(self) -> None:
        self._accepting.cancel()
        for task in self._greeted:
            task.cancel()
        self._socket.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._socket)
            except OSError:
                await asyncio.sleep(_PAUSE_S)  # too many open files, or a client that left in the queue
                continue
            task = loop.create_task(self._greet(client))
            self._greeted.add(task)
            task.add_done_callback(self._greeted.discard)

    async def _greet(self, client: socket.socket) -> None:
        """Look at the first byte without taking it, and hand the connection over."""
        loop = asyncio.get_running_loop()
        try:
            await _readable(client)
            first = client.recv(1, socket.MSG_PEEK)
        except OSError:
            first = b""
        except asyncio.CancelledError:
            client.close()
            raise
        if not first:
            client.close()
            return
        tls = first == HANDSHAKE
        try:
            await loop.connect_accepted_socket(
                self._protocol, client, ssl=self._context if tls else None,
                ssl_handshake_timeout=_SHAKE_S if tls else None, ssl_shutdown_timeout=_SHUT_S if tls else None,
            )  # fmt: skip
        except ssl.SSLError as exc:
            self._refused(str(exc.reason or exc).lower().replace("_", " "))
        except OSError:
            # A client of asyncio that does not trust us ends the connection and sends no alert.
            if tls:
                self._refused("it ended the handshake")


def over_tls(transport: asyncio.BaseTransport | None) -> bool:
    return transport is not None and transport.get_extra_info("sslcontext") is not None


async def _readable(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    there: asyncio.Future[None] = loop.create_future()

    def seen() -> None:
        with suppress(asyncio.InvalidStateError):
            there.set_result(None)

    loop.add_reader(client, seen)
    try:
        await there
    finally:
        loop.remove_reader(client)

"""Turn a port of 127.0.0.1 into one that passes, refuses, is mute, slow or resets, and can change while clients are connected."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any

MODES = ("pass", "refuse", "mute", "slow", "reset")
LATENCY_S = 0.6
"""Of each piece that a slow server sends: more than the tests' own limits of 0.4 s, less than the probe's deadline."""


def reserve() -> socket.socket:
    """Return a socket bound to a free port, not listening: who connects is refused, and nobody else can take the port.

    Below the ports that systems hand out by themselves, so that a port closed for a while stays ours. None is given twice in
    a process: two sockets that do not listen may have the same, and a port may be closed for a while.
    """
    while True:
        port = random.randint(20000, 32000)  # not for secrets
        with contextlib.suppress(OSError):
            if not {port, port + 1} & _GIVEN:
                sock = _bound(port)
                _GIVEN.update((port, port + 1))
                return sock


_GIVEN: set[int] = set()


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True, name="proxies")
        self.thread.start()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


class Proxy:
    """One address that clients know. The port next to it is kept closed: it is the wrong port of those who mistype."""

    def __init__(self, loop: Loop, target: Callable[[], int]) -> None:
        self.loop, self.target, self.mode = loop, target, "refuse"
        while True:
            self.held: socket.socket | None = reserve()
            self.port: int = self.held.getsockname()[1]
            try:
                self.wrong = _bound(self.port + 1)
                break
            except OSError:
                self.held.close()
        self.server: asyncio.Server | None = None
        self.live: set[asyncio.StreamWriter] = set()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.triggers: dict[bytes, Callable[[], None]] = {}
        self.connections = 0

    def set(self, mode: str) -> None:
        assert mode in MODES
        self.loop.do(self._set(mode))

    async def _set(self, mode: str) -> None:
        if mode == self.mode:
            return
        was, self.mode = self.mode, mode
        if mode == "refuse":
            if self.server is not None:
                self.server.close()
                self.server = None
            self.held = await self._again()
        elif self.server is None:
            if self.held is not None:
                self.held.close()
                self.held = None
            self.server = await asyncio.start_server(self._client, sock=await self._again(), backlog=200)
        if {mode, was} != {"pass", "slow"}:
            self._cut()

    async def _again(self) -> socket.socket:
        """Bind our port anew. A process that is being started holds a copy of the old socket until it runs its program."""
        for _ in range(500):
            with contextlib.suppress(OSError):
                return _bound(self.port)
            await asyncio.sleep(0.002)
        return _bound(self.port)

    def cut(self) -> None:
        """Reset every connection that is open."""

        async def now() -> None:
            self._cut()

        self.loop.do(now())

    def _cut(self) -> None:
        for writer in list(self.live):
            _reset(writer)
        for task in list(self.tasks):
            task.cancel()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.live.add(writer)
        try:
            if self.mode == "reset":
                _reset(writer)
            elif self.mode == "mute":
                while await reader.read(65536):
                    pass
            elif self.mode in ("pass", "slow"):
                await self._through(reader, writer)
        except (OSError, asyncio.CancelledError):
            _reset(writer)
        finally:
            self.live.discard(writer)
            self.tasks.discard(task)
            writer.close()

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target())
        self.live.add(far_writer)
        try:
            ways = [
                asyncio.create_task(self._pump(reader, far_writer, to_client=False)),
                asyncio.create_task(self._pump(far_reader, writer, to_client=True)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                if ways[0].done() and not ways[1].done():  # the client closed: what the server still says may pass
                    await asyncio.wait(ways, timeout=1)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self.live.discard(far_writer)
            far_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_client: bool) -> None:
        while data := await reader.read(65536):
            if not to_client:
                for mark, act in list(self.triggers.items()):
                    if mark in data:
                        act()
                        return
            elif self.mode == "slow":
                await asyncio.sleep(LATENCY_S)
            writer.write(data)
            await writer.drain()
        if not to_client and writer.can_write_eof():
            with contextlib.suppress(OSError):
                writer.write_eof()

    def close(self) -> None:
        self.set("refuse")
        for sock in (self.held, self.wrong):
            if sock is not None:
                sock.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

"""Put a fault between a client and a real server: a TCP proxy on 127.0.0.1 whose dial can be turned at run time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_CHUNK = 65_536
_HEAD_LIMIT = 65_536
_RESET = struct.pack("ii", 1, 0)
_GARBAGE = b"\xde\xad\xbe\xef this is no protocol anybody speaks \xc3\x28\r\n\r\n"


class Mode(StrEnum):
    """What a client meets at the proxy.

    `black_hole` drops the first packet, `silent` accepts and says nothing, `cut` ends in the middle of an answer,
    `rate` drips it, `flapping` fails some connections by turns. What each looks like to a client is what a probe must
    tell apart.
    """

    HEALTHY = "healthy"
    REFUSE = "refuse"
    BLACK_HOLE = "black_hole"
    SILENT = "silent"
    RESET = "reset"
    END_OF_FILE = "end_of_file"
    GARBAGE = "garbage"
    CUT = "cut"
    LATENCY = "latency"
    RATE = "rate"
    HTTP_STATUS = "http_status"
    FLAPPING = "flapping"


_LIVE = frozenset({Mode.HEALTHY, Mode.LATENCY, Mode.RATE})
_FROZEN = frozenset({Mode.BLACK_HOLE, Mode.SILENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """A mode with its figures; each figure belongs to the mode named with it.

    Seconds and bytes. Figures of other modes are without effect, and a scenario that names one is refused.
    """

    mode: Mode = Mode.HEALTHY
    after_bytes: int = 16
    """cut: bytes of the server's answer that still arrive."""
    latency_s: float = 1.0
    """latency: delay of whatever the server sends."""
    bytes_per_s: float = 10.0
    """rate: how fast the server's answer drips."""
    status: int = 503
    """http_status: the answer to any request, WebSocket handshakes included."""
    retry_after_s: int = 5
    """http_status: value of Retry-After with 429 and 503."""
    payload: bytes = _GARBAGE
    """garbage: what is sent instead of the protocol."""
    fail: int = 1
    of: int = 2
    """flapping: `fail` of every `of` connections meet `then`."""
    then: Mode = Mode.RESET


HEALTHY = Dial()

_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class FaultProxy:
    """A door to `upstream` on a free port of 127.0.0.1; `set` turns the dial, `async with` opens and closes it.

    A black hole is a full accept queue: the kernel drops the SYN, so that a client's connect really times out. In the
    modes black_hole and silent open connections freeze, as when packets are lost; they are reset when the dial is
    turned on. All other dead modes reset them at once.

    No iptables and no root: all of it is done with listening sockets, so that a drill runs in any container.
    """

    def __init__(self, upstream: tuple[str, int], *, name: str = "") -> None:
        self.name = name
        self.upstream = upstream
        self.port = 0
        self.accepted = 0
        """Connections taken since the start; those dropped or refused by the kernel cannot be counted."""
        self.relayed = 0
        """Connections that were given to the server."""
        self.dial = HEALTHY
        self._holder: socket.socket | None = None
        self._listener: socket.socket | None = None
        self._fillers: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._untouched: set[socket.socket] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._flow = asyncio.Event()
        self._flow.set()
        self._turn = asyncio.Lock()
        self._flaps = 0

    @property
    def open_connections(self) -> int:
        return len(self._tasks)

    async def __aenter__(self) -> FaultProxy:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Take a free port and listen. Raises OSError."""
        # A second, bound socket that never listens keeps the port ours while the mode is `refuse`: the kernel answers
        # RST, and neither another server nor the source port of some client can take it.
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        self.port = holder.getsockname()[1]
        self._holder = holder
        self._listen()

    async def stop(self) -> None:
        """Close the port and reset what is open; safe to call again."""
        async with self._turn:
            self._close_listener()
            self._drop_connections()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=2)
            await asyncio.sleep(0)  # lets the transports close their sockets
            if self._holder is not None:
                self._holder.close()
                self._holder = None

    async def set(self, dial: Dial) -> None:
        """Turn the dial; when this returns, new connections meet the new mode and the open ones are dealt with.

        Raises RuntimeError where the proxy is not open, or where the system's accept queue cannot be filled.
        """
        async with self._turn:
            if self._holder is None:
                raise RuntimeError(f"the proxy {self.name or self.port} is not open")
            before, self.dial, self._flaps = self.dial, dial, 0
            if before.mode is Mode.BLACK_HOLE and dial.mode is not Mode.BLACK_HOLE:
                self._leave_black_hole()
            if before.mode in _FROZEN and dial.mode not in _FROZEN:
                self._drop_connections()
            if dial.mode in _FROZEN:
                self._flow.clear()
            elif dial.mode not in _LIVE:
                self._drop_connections()
            if dial.mode is Mode.REFUSE:
                self._close_listener()
            elif self._listener is None:
                self._listen()
            if dial.mode is Mode.BLACK_HOLE and before.mode is not Mode.BLACK_HOLE:
                await self._enter_black_hole()
            if dial.mode not in _FROZEN:
                self._flow.set()

    def _listen(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        try:
            listener.bind(("127.0.0.1", self.port))
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE or self._holder is None:
                listener.close()
                raise
            # Systems other than Linux do not share a port between a bound and a listening socket.
            self._holder.close()
            listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def _close_listener(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def _enter_black_hole(self) -> None:
        """Fill the accept queue and leave it so: the next SYN is dropped by the kernel.

        Up to eight fillers, as systems round the length of the queue; the last one that does not connect shows that
        it is full.
        """
        loop = asyncio.get_running_loop()
        listener = self._listener
        assert listener is not None
        loop.remove_reader(listener)
        while conn := _accept_one(listener):
            conn.close()
        listener.listen(0)
        for _ in range(8):
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            filler.setblocking(False)
            try:
                await asyncio.wait_for(loop.sock_connect(filler, ("127.0.0.1", self.port)), 0.05)
            except TimeoutError:
                filler.close()
                return
            self._fillers.append(filler)
        raise RuntimeError(
            f"port {self.port} cannot be made a black hole: its queue takes {len(self._fillers)} connections"
        )

    def _leave_black_hole(self) -> None:
        """Take our own fillers out of the queue, and accept connections again."""
        listener = self._listener
        assert listener is not None
        ours = {filler.getsockname() for filler in self._fillers}
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        listener.listen(128)
        while ours and (conn := _accept_one(listener)):
            with contextlib.suppress(OSError):
                ours.discard(conn.getpeername())
            conn.close()
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def _accept(self) -> None:
        while self._listener is not None and (conn := _accept_one(self._listener)):
            conn.setblocking(False)
            self.accepted += 1
            self._untouched.add(conn)
            self._spawn(self._meet(conn, self._mode_for_next()))

    def _mode_for_next(self) -> Mode:
        if self.dial.mode is not Mode.FLAPPING:
            return self.dial.mode
        turn = self._flaps % max(1, self.dial.of)
        self._flaps += 1
        return self.dial.then if turn < self.dial.fail else Mode.HEALTHY

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _drop_connections(self) -> None:
        for writer in tuple(self._open):
            _reset(writer)
        for task in tuple(self._tasks):
            task.cancel()
        for conn in self._untouched:
            conn.close()
        self._untouched.clear()
        self._flow.set()

    async def _meet(self, conn: socket.socket, mode: Mode) -> None:
        """Treat one connection as the mode says that was set when it came, until it ends or the dial is turned."""
        self._untouched.discard(conn)
        if mode in (Mode.RESET, Mode.REFUSE, Mode.BLACK_HOLE):
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            conn.close()
            return
        try:
            reader, writer = await asyncio.open_connection(sock=conn)
        except OSError:
            conn.close()
            return
        self._open.add(writer)
        try:
            if mode is Mode.SILENT:
                await _swallow(reader)
            elif mode is Mode.END_OF_FILE:
                writer.write_eof()
                await _swallow(reader)
            elif mode is Mode.GARBAGE:
                writer.write(self.dial.payload)
                await writer.drain()
                await _swallow(reader)
            elif mode is Mode.HTTP_STATUS:
                await self._answer_status(reader, writer)
            else:
                await self._relay(reader, writer, self.dial.after_bytes if mode is Mode.CUT else None)
        except OSError:
            pass  # the client or the server went away; that is what proxies are for
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer_status(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the head of a request with the dialled status, and wait for the client to go, at most a second."""
        head = b""
        while b"\r\n\r\n" not in head:
            data = await reader.read(_CHUNK)
            head += data
            if not data or len(head) > _HEAD_LIMIT:
                return
        status = self.dial.status
        body = f'{{"status": "{status}", "detail": "{_REASONS.get(status, "error")}"}}\n'.encode()
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}", "Content-Type: application/json"]
        if status in (429, 503):
            lines.append(f"Retry-After: {self.dial.retry_after_s}")
        lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()
        writer.write_eof()
        await _swallow(reader, 1.0)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut_after: int | None) -> None:
        """Hand bytes to and fro until the server has nothing more to say; reset the client where no server is."""
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.upstream)
        except OSError:
            _reset(writer)
            return
        self.relayed += 1
        self._open.add(up_writer)
        try:
            request = asyncio.create_task(self._pump(reader, up_writer))
            answer = asyncio.create_task(self._pump_answer(up_reader, writer, cut_after))
            try:
                await answer  # the server may still speak when the client has finished, not the other way round
            finally:
                request.cancel()
                answer.cancel()
                await asyncio.gather(request, answer, return_exceptions=True)
        finally:
            self._open.discard(up_writer)
            up_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK):
                await self._flow.wait()
                writer.write(data)
                await writer.drain()
            await self._flow.wait()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            _reset(writer)

    async def _pump_answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut_after: int | None
    ) -> None:
        """Hand on the server's answer as the dial says at that moment: late, slowly, or up to `cut_after` bytes.

        What has arrived waits for its time in a queue of (due, bytes); empty bytes are the end.
        """
        loop = asyncio.get_running_loop()
        waiting: deque[tuple[float, bytes]] = deque()
        arrived = asyncio.Event()

        async def take() -> None:
            # Reading goes on while earlier bytes wait for their time: latency delays, it does not throttle.
            try:
                while True:
                    data = await reader.read(_CHUNK)
                    delay = self.dial.latency_s if self.dial.mode is Mode.LATENCY else 0.0
                    waiting.append((loop.time() + delay, data))
                    arrived.set()
                    if not data:
                        return
            except OSError:
                waiting.append((0.0, b""))
                arrived.set()

        taker = asyncio.create_task(take())
        sent = 0
        try:
            while True:
                while not waiting:
                    arrived.clear()
                    await arrived.wait()
                due, data = waiting.popleft()
                if (pause := due - loop.time()) > 0:
                    await asyncio.sleep(pause)
                await self._flow.wait()
                if not data:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                if cut_after is not None and sent + len(data) >= cut_after:
                    writer.write(data[: cut_after - sent])
                    await writer.drain()
                    # The bytes must arrive before the end does, and a reset would overtake them.
                    writer.write_eof()
                    writer.close()
                    return
                await self._send(writer, data)
                sent += len(data)
        except OSError:
            pass  # the client went away
        finally:
            taker.cancel()
            await asyncio.gather(taker, return_exceptions=True)

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Send at once, or in steps of a twentieth of a second while the dial says `rate`."""
        while data and self.dial.mode is Mode.RATE:
            rate = max(self.dial.bytes_per_s, 0.1)
            step = max(1, int(rate * 0.05))
            writer.write(data[:step])
            await writer.drain()
            data = data[step:]
            await asyncio.sleep(step / rate)
        writer.write(data)
        await writer.drain()


def _accept_one(listener: socket.socket) -> socket.socket | None:
    try:
        return listener.accept()[0]
    except BlockingIOError:
        return None
    except OSError:
        return None  # the client was gone before we took it


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def _swallow(reader: asyncio.StreamReader, limit_s: float | None = None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            while await reader.read(_CHUNK):
                pass

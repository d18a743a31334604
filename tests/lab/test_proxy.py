"""Each mode of the fault proxy, as a client on this machine meets it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import websockets

from resilience.lab.proxy import HEALTHY, Dial, FaultProxy, Mode

ANSWER = b"0123456789" * 10


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, int]]:
    """A server that echoes lines, and answers `big` with 100 bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(ANSWER if line == b"big\n" else line)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield running.sockets[0].getsockname()
    running.close()
    await running.wait_closed()


@pytest.fixture
async def proxy(server: tuple[str, int]) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(server, name="echo") as proxy:
        yield proxy


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, proxy: FaultProxy, timeout: float = 2.0) -> Client:
        return cls(*await asyncio.wait_for(asyncio.open_connection("127.0.0.1", proxy.port), timeout))

    async def say(self, line: bytes = b"hello\n", *, timeout: float = 2.0) -> bytes:
        self.writer.write(line)
        return await asyncio.wait_for(self.reader.read(200), timeout)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


async def ask(proxy: FaultProxy, line: bytes = b"hello\n", *, timeout: float = 2.0) -> bytes:
    client = await Client.connect(proxy, timeout)
    try:
        return await client.say(line, timeout=timeout)
    finally:
        await client.close()


async def test_healthy_passes_bytes_through_and_counts(proxy: FaultProxy) -> None:
    assert await ask(proxy) == b"hello\n"
    assert await ask(proxy) == b"hello\n"
    assert (proxy.accepted, proxy.relayed) == (2, 2)


async def test_refuse_is_refused_and_the_port_stays_ours(proxy: FaultProxy) -> None:
    await proxy.set(Dial(mode=Mode.REFUSE))
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await Client.connect(proxy)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        with pytest.raises(OSError, match="in use"):
            thief.bind(("127.0.0.1", proxy.port))
    await proxy.set(HEALTHY)
    assert await ask(proxy) == b"hello\n"


@pytest.mark.skipif(
    not hasattr(socket, "SO_PEERCRED"), reason="Linux drops the SYN when the queue is full; others may not"
)
async def test_a_black_hole_lets_connects_time_out_and_comes_back_without_leftovers(proxy: FaultProxy) -> None:
    """A lost SYN is neither refused nor accepted: connect itself never ends, in async and in blocking clients."""
    for _ in range(3):
        await proxy.set(Dial(mode=Mode.BLACK_HOLE))
        taken = proxy.accepted
        results = await asyncio.gather(*(Client.connect(proxy, 0.3) for _ in range(5)), return_exceptions=True)
        assert [type(result) for result in results] == [TimeoutError] * 5
        with socket.socket() as blocking:
            blocking.settimeout(0.2)
            with pytest.raises(TimeoutError):
                await asyncio.to_thread(blocking.connect, ("127.0.0.1", proxy.port))
        assert proxy.accepted == taken
        await proxy.set(HEALTHY)
        assert await ask(proxy) == b"hello\n"
        assert proxy.accepted == taken + 1


async def test_a_client_that_waits_long_enough_survives_a_black_hole(proxy: FaultProxy) -> None:
    """The SYN is sent again after a second, as over a real network."""
    await proxy.set(Dial(mode=Mode.BLACK_HOLE))
    waiting = asyncio.create_task(ask(proxy, timeout=5.0))
    done, _ = await asyncio.wait((waiting,), timeout=0.2)
    assert not done
    await proxy.set(HEALTHY)
    assert await waiting == b"hello\n"


async def test_from_one_dead_mode_to_the_next(proxy: FaultProxy) -> None:
    await proxy.set(Dial(mode=Mode.BLACK_HOLE))
    await proxy.set(Dial(mode=Mode.REFUSE))
    with pytest.raises(ConnectionRefusedError):
        await Client.connect(proxy)
    await proxy.set(Dial(mode=Mode.BLACK_HOLE))
    with pytest.raises(TimeoutError):
        await Client.connect(proxy, 0.2)
    await proxy.set(Dial(mode=Mode.SILENT))
    with pytest.raises(TimeoutError):
        await ask(proxy, timeout=0.2)


async def test_silent_accepts_and_never_answers(proxy: FaultProxy) -> None:
    await proxy.set(Dial(mode=Mode.SILENT))
    with pytest.raises(TimeoutError):
        await ask(proxy, timeout=0.3)
    assert (proxy.accepted, proxy.relayed) == (1, 0)


async def test_reset_resets(proxy: FaultProxy) -> None:
    await proxy.set(Dial(mode=Mode.RESET))
    with pytest.raises(ConnectionResetError):
        await ask(proxy)


async def test_end_of_file_ends_without_a_reset(proxy: FaultProxy) -> None:
    await proxy.set(Dial(mode=Mode.END_OF_FILE))
    assert await ask(proxy) == b""


async def test_garbage_is_not_the_protocol(proxy: FaultProxy) -> None:
    await proxy.set(Dial(mode=Mode.GARBAGE))
    assert (await ask(proxy)).startswith(b"\xde\xad")
    await proxy.set(Dial(mode=Mode.GARBAGE, payload=b"SSH-2.0-lab\r\n"))
    assert await ask(proxy) == b"SSH-2.0-lab\r\n"


async def test_cut_delivers_exactly_the_bytes_before_the_cut(proxy: FaultProxy) -> None:
    await proxy.set(Dial(mode=Mode.CUT, after_bytes=37))
    client = await Client.connect(proxy)
    client.writer.write(b"big\n")
    assert await asyncio.wait_for(client.reader.read(-1), 2) == ANSWER[:37]
    await client.close()


async def test_latency_delays_and_rate_drips(proxy: FaultProxy) -> None:
    await proxy.set(Dial(mode=Mode.LATENCY, latency_s=0.3))
    start = time.monotonic()
    assert await ask(proxy) == b"hello\n"
    assert time.monotonic() - start >= 0.29
    await proxy.set(Dial(mode=Mode.RATE, bytes_per_s=100))
    client = await Client.connect(proxy)
    start = time.monotonic()
    client.writer.write(b"big\n")
    assert await asyncio.wait_for(client.reader.readexactly(50), 5) == ANSWER[:50]
    assert time.monotonic() - start >= 0.4
    await client.close()


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.RESET, Mode.END_OF_FILE, Mode.GARBAGE, Mode.HTTP_STATUS])
async def test_open_connections_are_cut_when_the_server_dies(proxy: FaultProxy, mode: Mode) -> None:
    client = await Client.connect(proxy)
    assert await client.say() == b"hello\n"
    await proxy.set(Dial(mode=mode))
    with pytest.raises(ConnectionResetError):
        await client.say()
    await client.close()


@pytest.mark.parametrize("mode", [Mode.BLACK_HOLE, Mode.SILENT])
async def test_open_connections_freeze_when_packets_are_lost_and_break_afterwards(
    proxy: FaultProxy, mode: Mode
) -> None:
    client = await Client.connect(proxy)
    assert await client.say() == b"hello\n"
    await proxy.set(Dial(mode=mode))
    with pytest.raises(TimeoutError):
        await client.say(timeout=0.2)
    await proxy.set(HEALTHY)
    with pytest.raises(ConnectionResetError):
        await client.say()
    await client.close()
    assert await ask(proxy) == b"hello\n"


async def test_open_connections_survive_slowness(proxy: FaultProxy) -> None:
    client = await Client.connect(proxy)
    await proxy.set(Dial(mode=Mode.LATENCY, latency_s=0.05))
    assert await client.say() == b"hello\n"
    await proxy.set(HEALTHY)
    assert await client.say() == b"hello\n"
    await client.close()


async def test_http_status_answers_any_request_and_refuses_websocket_handshakes(proxy: FaultProxy) -> None:
    await proxy.set(Dial(mode=Mode.HTTP_STATUS, status=503, retry_after_s=7))
    async with httpx.AsyncClient(trust_env=False) as client:
        for method in ("GET", "POST"):
            response = await client.request(method, f"http://127.0.0.1:{proxy.port}/health", content=b"x" * 1000)
            assert (response.status_code, response.headers["retry-after"]) == (503, "7")
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws://127.0.0.1:{proxy.port}/ws", proxy=None)
    assert refused.value.response.status_code == 503


async def test_flapping_fails_k_of_n(proxy: FaultProxy) -> None:
    await proxy.set(Dial(mode=Mode.FLAPPING, fail=2, of=3))
    seen = []
    for _ in range(9):
        try:
            seen.append(await ask(proxy) == b"hello\n")
        except ConnectionResetError:
            seen.append(False)
    assert seen == [False, False, True] * 3


async def test_without_its_server_the_proxy_resets() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with FaultProxy(taken.getsockname()) as proxy:
            with pytest.raises(ConnectionResetError):
                await ask(proxy)
            assert (proxy.accepted, proxy.relayed) == (1, 0)


async def test_stop_leaves_neither_port_nor_task(server: tuple[str, int]) -> None:
    before = asyncio.all_tasks()
    for mode in Mode:
        proxy = FaultProxy(server)
        await proxy.start()
        client = await Client.connect(proxy)
        await client.say()
        await proxy.set(Dial(mode=mode))
        await proxy.stop()
        await client.close()
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", proxy.port))
    assert {task for task in asyncio.all_tasks() - before if "test_proxy" not in repr(task)} == set()

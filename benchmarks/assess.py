"""What an assessment costs: CPU per probe, wall time beside its slowest probe, memory; as ratios beside plain clients.

    python benchmarks/assess.py [--quick]

All servers run in processes of their own on 127.0.0.1; their CPU is shown apart. Figures are of this machine in this run:
compare ratios, not milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import resource
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.services.looking import ProbeContext, probe, probe_all
from resilience.services.registry import KINDS
from tests.kits.kinds import ServiceType
from tests.kits.servers import fakes
from tests.kits.servers.postgres import Postgres, binaries
from tests.kits.servers.redis import Redis, binary

T = ServiceType
ROUNDS = 5


def service(kind: ServiceType, url: str, *, timeout_s: float = 5.0, ca: str = "", **more: Any) -> Service:
    return Service(name=kind.value, kind=KINDS[kind], url=Secret(url), timeout_s=timeout_s, tls_ca=ca, **more)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# --- servers, each in a process of its own


class _Http(asyncio.Protocol):
    """The least a server can do: one answer to whatever was asked."""

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    delay_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        if b"Sec-WebSocket-Key: " in data:
            import base64
            import hashlib

            key = data.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
            digest = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            self.transport.write(b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: " + digest + b"\r\n\r\n")
        elif data[:1] == b"\x89":
            mask, payload = data[2:6], data[6:10]
            self.transport.write(b"\x8a\x04" + bytes(a ^ b for a, b in zip(payload, mask, strict=False)))
        elif data[:1] == b"\x88":
            self.transport.close()
        elif self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, self.transport.write, self.answer)
        else:
            self.transport.write(self.answer)


def _serve(pipe: Any, pem: str, delay_s: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = None
        if pem:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
        protocol = type("Server", (_Http,), {"delay_s": delay_s})
        server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        while True:
            await loop.run_in_executor(None, pipe.recv)
            pipe.send(cpu_s())

    with contextlib.suppress(EOFError, KeyboardInterrupt):
        asyncio.run(main())
    os._exit(0)


class Server:
    def __init__(self, *, pem: str = "", delay_s: float = 0.0) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, pem, delay_s), daemon=True)
        self.process.start()
        self.port = self.pipe.recv()

    def cpu_s(self) -> float:
        self.pipe.send("cpu")
        return float(self.pipe.recv())

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(5)


@contextlib.contextmanager
def servers() -> Iterator[dict[str, Any]]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    made = fakes.Certificates()
    pem, ca = folder / "server.pem", folder / "ca.pem"
    made.good.private_key_and_cert_chain_pem.write_to_path(str(pem))
    made.ca.cert_pem.write_to_path(str(ca))
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [p.unlink() for p in folder.iterdir()] and folder.rmdir())
        plain, tls = Server(), Server(pem=str(pem))
        stack.callback(plain.stop)
        stack.callback(tls.stop)
        found: dict[str, Any] = {"plain": plain, "tls": tls, "ca": str(ca)}
        if binaries() is not None:
            postgres = Postgres("max_connections=300", "shared_buffers=64MB")
            stack.callback(postgres.remove)
            found["postgres"] = postgres.create().start()
        if binary() is not None:
            redis = Redis()
            stack.callback(redis.stop)
            found["redis"] = redis
        yield found


# --- CPU per probe


async def per_probe(one: Callable[[], Awaitable[Any]], count: int, at_once: int) -> tuple[float, float]:
    """Give milliseconds of CPU per call and wall milliseconds per call, the best of some rounds."""
    best = (float("inf"), float("inf"))
    for _ in range(ROUNDS):
        began, used = time.perf_counter(), cpu_s()
        for start in range(0, count, at_once):
            await asyncio.gather(*(one() for _ in range(min(at_once, count - start))))
        cpu, wall = (cpu_s() - used) / count * 1000, (time.perf_counter() - began) / count * 1000
        best = min(best, (cpu, wall))
    return best


async def cpu_table(found: dict[str, Any], count: int) -> dict[str, float]:
    plain, tls, ca = found["plain"].port, found["tls"].port, found["ca"]
    probes: dict[str, Service] = {
        "http": service(T.HTTP, f"http://127.0.0.1:{plain}/health"),
        "https": service(T.HTTP, f"https://127.0.0.1:{tls}/health", ca=ca),
        "websocket": service(T.WEBSOCKET, f"ws://127.0.0.1:{plain}/"),
        "websocket tls": service(T.WEBSOCKET, f"wss://127.0.0.1:{tls}/", ca=ca),
    }
    if "postgres" in found:
        probes["postgresql"] = service(T.POSTGRESQL, found["postgres"].url())
    if "redis" in found:
        probes["redis"] = service(T.REDIS, found["redis"].url())
    limits = {"http": 0.6, "websocket": 0.6, "https": 2.0, "websocket tls": 2.0, "postgresql": 2.5, "redis": 2.5}
    plains = await plain_clients(found)
    figures: dict[str, float] = {}
    print(
        f"\nCPU per probe, best of {ROUNDS} rounds of {count}      1 at once   10 at once   limit   plain client      ratio"
    )
    with ProbeContext() as context:
        for name, asked in probes.items():
            seen = await probe(asked, context=context)
            assert seen.fault is None, seen.fault
            one = await per_probe(lambda asked=asked: probe(asked, context=context), count, 1)
            ten = await per_probe(lambda asked=asked: probe(asked, context=context), count, 10)
            figures[name] = one[0]
            beside = ""
            if name in plains:
                label, client = plains[name]
                await client()
                theirs = await per_probe(client, count, 1)
                beside = f"{label:9} {theirs[0]:6.2f} ms   {one[0] / theirs[0]:5.2f}"
            good = "ok  " if one[0] <= limits[name] else "OVER"
            print(f"  {name:32} {one[0]:8.2f} ms  {ten[0]:8.2f} ms   {limits[name]:.1f} {good}  {beside}")
    await plains["close"][1]()
    return figures


async def plain_clients(found: dict[str, Any]) -> dict[str, Any]:
    """The same questions by the usual clients, as a team's health script would ask them, one connection a time."""
    import asyncpg
    import httpx
    import redis.asyncio
    import websockets
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    plain, tls = found["plain"].port, found["tls"].port
    trusted = ssl.create_default_context(cafile=found["ca"])

    async def by_httpx(url: str) -> None:
        async with httpx.AsyncClient(verify=trusted, trust_env=False, timeout=5) as client:
            (await client.get(url)).raise_for_status()

    async def by_websockets(url: str) -> None:
        more = {"ssl": trusted} if url.startswith("wss") else {}
        async with websockets.connect(url, proxy=None, close_timeout=0.1, **more) as connection:
            await (await connection.ping(b"abcd"))

    async def by_asyncpg() -> None:
        connection = await asyncpg.connect(found["postgres"].url(), timeout=5)
        await connection.fetchval("select 1")
        await connection.close()

    async def by_redis() -> None:
        client = redis.asyncio.Redis(host="127.0.0.1", port=found["redis"].port, retry=Retry(NoBackoff(), 0))
        await client.ping()
        await client.info()
        await client.aclose()

    async def close() -> None:
        return None

    clients: dict[str, Any] = {
        "http": ("httpx", lambda: by_httpx(f"http://127.0.0.1:{plain}/")),
        "https": ("httpx", lambda: by_httpx(f"https://127.0.0.1:{tls}/")),
        "close": ("", close),
    }
    del by_websockets  # the least server above answers no closing handshake; websockets would wait for it
    if "postgres" in found:
        clients["postgresql"] = ("asyncpg", by_asyncpg)
    if "redis" in found:
        clients["redis"] = ("redis-py", by_redis)
    return clients


# --- a whole assessment


async def wall_table(found: dict[str, Any], sizes: tuple[int, ...]) -> None:
    print("\nWall time of an assessment     services      took   slowest probe   over it   our CPU   servers' CPU")
    plain = found["plain"]
    refused = fakes.refused()
    with fakes.black_hole() as hole:
        cases = {
            "all well": (f"http://127.0.0.1:{plain.port}/", 5.0),
            "all refused": (f"http://127.0.0.1:{refused}/", 5.0),
            "all black holes (1 s)": (f"http://127.0.0.1:{hole}/", 1.0),
        }
        for name, (url, timeout_s) in cases.items():
            for size in sizes:
                asked = [service(T.HTTP, url, timeout_s=timeout_s) for _ in range(size)]
                best: tuple[float, ...] | None = None
                for _ in range(1 if "holes" in name else 3):
                    theirs, used, began = plain.cpu_s(), cpu_s(), time.perf_counter()
                    seen = await probe_all(asked)
                    took = time.perf_counter() - began
                    row = (took, max(o.response_time_s for o in seen), cpu_s() - used, plain.cpu_s() - theirs)
                    best = row if best is None else min(best, row)
                assert best is not None
                took, slowest, ours, servers_cpu = best
                print(
                    f"  {name:28} {size:6}   {took:7.3f} s   {slowest:9.3f} s   {(took - slowest) * 1000:6.0f} ms"
                    f"   {ours:6.3f} s   {servers_cpu:6.3f} s"
                )


async def mixed(found: dict[str, Any]) -> None:
    """The guide's seven services and a hundred, one of them slow: as long as the slow one."""
    slow = Server(delay_s=0.5)
    try:
        asked = [service(T.HTTP, f"http://127.0.0.1:{slow.port}/")]
        if "postgres" in found:
            asked.append(service(T.POSTGRESQL, found["postgres"].url()))
        if "redis" in found:
            asked.append(service(T.REDIS, found["redis"].url()))
        asked += [service(T.WEBSOCKET, f"ws://127.0.0.1:{found['plain'].port}/")]
        print("\nWith one service that takes 0.5 s   services   took    over the slowest")
        for size in (7, 100):
            rest = [service(T.HTTP, f"http://127.0.0.1:{found['plain'].port}/{n}") for n in range(size - len(asked))]
            began = time.perf_counter()
            seen = await probe_all([*asked, *rest])
            took = time.perf_counter() - began
            slowest = max(o.response_time_s for o in seen)
            assert all(o.fault is None for o in seen), [o.fault for o in seen if o.fault]
            good = "ok" if took - slowest <= 0.05 else "OVER"
            print(f"  {'':34}{size:6}   {took:.3f} s  {(took - slowest) * 1000:6.1f} ms (limit 50)  {good}")
    finally:
        slow.stop()


_LOOK = """
import asyncio, sys
from pathlib import Path
from resilience.runs.configuration import load_settings
from resilience.runs.looking import look
print(asyncio.run(look(load_settings(Path(sys.argv[1])))).duration_s)
"""


def whole() -> bool:
    """A whole assessment, each in a fresh process, of services of which none answers: at most 1.05 x their deadline."""
    deadline, limit = 2.0, 1.05
    urls = {
        "postgresql": "postgresql://u:p@{}/x",
        "redis": "redis://{}/0",
        "http": "http://{}/",
        "websocket": "ws://{}/",
    }
    with fakes.black_hole() as hole, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "resilience.toml"
        one = '[[service]]\nname = "{0}"\ntype = "{0}"\nurl = "{1}"\ntimeout_s = {2}\n'
        at = f"127.0.0.1:{hole}"
        file.write_text("".join(one.format(kind, url.format(at), deadline) for kind, url in urls.items()))
        (Path(folder) / ".git").mkdir()
        here = Path(__file__).resolve().parent.parent
        took = sorted(
            float(
                subprocess.run(
                    [sys.executable, "-c", _LOOK, str(file)], cwd=here, check=True, capture_output=True
                ).stdout
            )
            for _ in range(3)
        )
    ratio = took[1] / deadline
    print(f"\nAn assessment in a fresh process, {len(urls)} services lost, each with {deadline:g} s, median of 3")
    print(f"  {took[1]:.3f} s   ratio {ratio:.3f} (at most {limit})")
    return ratio <= limit


async def sequential(found: dict[str, Any]) -> None:
    """What the guide does: one service after the other, here with a lost one of one second among them."""
    with fakes.black_hole() as hole:
        urls = [f"http://127.0.0.1:{hole}/"] * 3 + [f"http://127.0.0.1:{found['plain'].port}/"] * 4
        asked = [service(T.HTTP, url, timeout_s=1.0) for url in urls]
        began = time.perf_counter()
        with ProbeContext() as context:
            for one in asked:
                await probe(one, context=context)
        after_each_other = time.perf_counter() - began
        began = time.perf_counter()
        await probe_all(asked)
        at_once = time.perf_counter() - began
    print(
        f"\nSeven services, three lost (1 s each): one after the other {after_each_other:.2f} s, at once {at_once:.2f} s"
    )


def imports() -> None:
    print("\nImport cost in a fresh process (best of 3)")
    for label, code in {
        "bare Python": "pass",
        "asyncio": "import asyncio",
        "our probes": "import resilience.services.looking, resilience.core.assess",
        "… and HTTP, WebSocket": "import resilience.services.http.probe, resilience.services.websocket.probe",
        "… and PostgreSQL's driver": "import asyncio, asyncpg.connection, resilience.services.looking",
        "… and Redis' driver, as we do": "from resilience.services.redis.driver import redis_connection as r; r()",
        "(import redis.asyncio)": "import redis.asyncio",
    }.items():
        best = min(_timed([sys.executable, "-c", code]) for _ in range(3))
        print(f"  {label:32} {best:.3f} s")


def _timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, cwd=Path(__file__).resolve().parent.parent)
    return time.perf_counter() - began


async def main(quick: bool) -> int:
    count = 50 if quick else 200
    sizes = (1, 10, 100) if quick else (1, 10, 100, 1000)
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with servers() as found:
        figures = await cpu_table(found, count)
        await mixed(found)
        await wall_table(found, sizes)
        await sequential(found)
        good = whole()
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"\nMost memory of this process: {megabytes} MB (plain clients included)")
    imports()
    print("\n" + json.dumps({f"cpu_ms_{name.replace(' ', '_')}": round(ms, 3) for name, ms in figures.items()}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main("--quick" in sys.argv)))

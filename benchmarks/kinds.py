"""What any service and any stand-in cost: 1,000 services of mixed kinds beside a bare connect-and-greet, and a team's `start`.

    python benchmarks/kinds.py [--quick]

The servers run in a process of their own on 127.0.0.1. Figures are of this machine in this run: compare ratios, not milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from resilience import stand_ins as local
from resilience.core.secret import Secret
from resilience.core.settings import OwnStandIn, Service
from resilience.services.looking import probe_all
from resilience.services.registry import KINDS
from tests.kits.kind_kit import of_kind
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import settings_for

MOST_RATIO, MOST_MB, MOST_START_MS = 1.5, 150, 50
HEALTH = b'{"cluster_name":"c","status":"green","number_of_nodes":1,"number_of_data_nodes":1,"unassigned_shards":0}'
LISTING = b"<?xml version='1.0'?><ListBucketResult><Name>b</Name></ListBucketResult>"


def _http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


GREETED: dict[str, tuple[str, bytes, bytes, bytes]] = {
    "tcp": ("tcp://127.0.0.1:{port}", b"HELLO\r\n", b"", b""),
    "http": ("http://127.0.0.1:{port}/health", b"", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", _http(b"ok")),
    "memcached": (
        "memcached://127.0.0.1:{port}",
        b"",
        b"version\r\nstats\r\n",
        b"VERSION 1.6\r\nSTAT curr_connections 1\r\nSTAT accepting_conns 1\r\nEND\r\n",
    ),
    "nats": ("nats://127.0.0.1:{port}", b'INFO {"version":"2.9"}\r\n', b"CONNECT {}\r\nPING\r\n", b"PONG\r\n"),
    "smtp": ("smtp://127.0.0.1:{port}", b"220 mail\r\n", b"EHLO x\r\n", b"250 mail\r\n"),
    "elasticsearch": (
        "http://127.0.0.1:{port}",
        b"",
        b"GET /_cluster/health HTTP/1.1\r\nHost: x\r\n\r\n",
        _http(HEALTH),
    ),
    "s3": ("http://KEY:SECRET@127.0.0.1:{port}/b", b"", b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n", _http(LISTING)),
}
"""Kind → its URL, what its server says first, what a bare client asks, and what is answered to anything that is asked."""


def _serve(pipe: Any) -> None:
    async def main() -> None:
        ports = {}
        for name, (_, first, _, answer) in GREETED.items():

            class Server(asyncio.Protocol):
                first_words, answers = first, answer

                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    self.transport: Any = transport
                    if self.first_words:
                        transport.write(self.first_words)  # type: ignore[attr-defined]

                def data_received(self, _: bytes) -> None:
                    if self.answers:
                        self.transport.write(self.answers)

            server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=4096)
            ports[name] = server.sockets[0].getsockname()[1]
        pipe.send(ports)
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)

    asyncio.run(main())


def services(ports: dict[str, int], count: int) -> list[Service]:
    names = list(GREETED)
    asked = []
    for number in range(count):
        name = names[number % len(names)]
        options = {"options": {"greeting_send": "", "greeting_expect": "HELLO"}} if name == "tcp" else {}
        asked.append(of_kind(name, GREETED[name][0].format(port=ports[name]), timeout_s=20.0, **options))
    return asked


async def bare(ports: dict[str, int], count: int) -> None:
    """The same servers, greeted by asyncio's own streams: connect, ask, take the first answer, close."""

    async def one(name: str) -> None:
        _, first, ask, answer = GREETED[name]
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[name])
        if first:
            await reader.readexactly(len(first))
        if ask:
            writer.write(ask)
            await reader.readexactly(len(answer))
        writer.transport.abort()

    names = list(GREETED)
    await asyncio.gather(*(one(names[number % len(names)]) for number in range(count)))


def _measured(what: str, ports: dict[str, int], count: int) -> dict[str, float]:
    """Measure one way in a process of its own: the best wall time and CPU of three, and the most memory of all."""

    async def look() -> None:
        if what == "bare":
            await bare(ports, count)
            return
        seen = await probe_all(services(ports, count))
        unwell = [one for one in seen if one.fault is not None]
        assert not unwell, unwell[0]

    best = (float("inf"), float("inf"))
    for _ in range(4):
        began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        asyncio.run(look())
        now = resource.getrusage(resource.RUSAGE_SELF)
        cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        best = min(best, (time.perf_counter() - began, cpu))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall_s": best[0], "cpu_s": best[1], "mb": most}


def thousand(count: int) -> bool:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    ports = ours.recv()
    found: dict[str, dict[str, float]] = {}
    for what in ("bare", "probe_all") * 3:  # in turn, as the machine is not the same from one second to the next
        argv = (sys.executable, __file__, "--measure", what, json.dumps(ports), str(count))
        one = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
        before = found.setdefault(what, one)
        found[what] = {"mb": max(one["mb"], before["mb"])} | {
            name: min(one[name], before[name]) for name in ("wall_s", "cpu_s")
        }
    server.terminate()
    server.join(5)
    ratio = found["probe_all"]["wall_s"] / found["bare"]["wall_s"]
    good = ratio <= MOST_RATIO and found["probe_all"]["mb"] <= MOST_MB
    print(f"{count} services of {len(GREETED)} kinds, best of 12, each way in three processes of its own")
    for what, one in found.items():
        print(f"  {what:12} {one['wall_s'] * 1000:8.0f} ms   CPU {one['cpu_s'] * 1000:6.0f} ms   {one['mb']:5.0f} MB")
    word = "ok" if good else "OVER"
    cpu = found["probe_all"]["cpu_s"] / found["bare"]["cpu_s"]
    print(f"  ratio {ratio:.2f} (at most {MOST_RATIO}), of CPU {cpu:.2f}; at most {MOST_MB} MB   {word}")
    return good


# --- a team's own command

APP = """
import socket, sys, time
time.sleep(float(sys.argv[2]))
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        client, _ = listener.accept()
        with client:
            client.sendall(b"HELLO")
"""


def _alone_s(app: Path, wait_s: float) -> float:
    """Return how long the command takes to answer where nobody watches it, asked every 2 ms."""
    import socket

    [port] = free_ports(1)
    began = time.perf_counter()
    process = subprocess.Popen(("sh", "-c", f"{sys.executable} {app} {port} {wait_s}"), start_new_session=True)
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.recv(5)
            break
        except OSError:
            time.sleep(0.002)
    took = time.perf_counter() - began
    os.killpg(process.pid, 9)
    process.wait()
    return took


def _own(app: Path, number: int, wait_s: float) -> Service:
    return Service(
        name=f"own_{number}",
        kind=KINDS["tcp"],
        local=Secret(f"tcp://127.0.0.1:{free_ports(1)[0]}"),
        options={"greeting_send": "", "greeting_expect": "HELLO"},
        own=OwnStandIn(command=f"{sys.executable} {app} {{port}} {wait_s}", timeout_s=30.0),
    )


def _started_s(folder: Path, made: Callable[[], list[Service]], *, warm: bool) -> float:
    """Return how long the stand-ins take; `warm` has the supervisor running already, as from the second one on."""
    folder.mkdir()
    asked = made()
    settings = settings_for(folder, asked)
    first = made()[0] if warm else None

    async def go() -> float:
        if first is not None:
            await local.start([first], settings_for(folder, [first, *asked]))
        began = time.perf_counter()
        found = await local.start(asked, settings)
        took = time.perf_counter() - began
        assert all(one.ready for one in found), found
        await local.stop(settings_for(folder, asked if first is None else [first, *asked]))
        return took

    return asyncio.run(go())


def starts(rounds: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="bench-") as text:
        folder, app = Path(text), Path(text) / "app.py"
        app.write_text(APP)
        alone, kept = [], []
        for number in range(rounds):
            alone.append(_alone_s(app, 0.0))
            kept.append(_started_s(folder / f"one-{number}", lambda: [_own(app, 0, 0.0)], warm=True))
        added = (statistics.median(kept) - statistics.median(alone)) * 1000
        good = added <= MOST_START_MS
        print(f"a team's `start`, median of {rounds}: alone {statistics.median(alone) * 1000:.0f} ms, as a stand-in "
              f"{statistics.median(kept) * 1000:.0f} ms")  # fmt: skip
        print(f"  adds {added:.0f} ms (at most {MOST_START_MS})   {'ok' if good else 'OVER'}")
        one = _started_s(folder / "waits-1", lambda: [_own(app, 0, 2.0)], warm=True)
        twelve = _started_s(folder / "waits-12", lambda: [_own(app, number, 2.0) for number in range(12)], warm=True)
        side = twelve <= one + 2.0
        print(f"twelve that need 2 s each: {twelve:.2f} s beside {one:.2f} s of one   {'ok' if side else 'OVER'}")
        return good and side


def main() -> int:
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(_measured(sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4]))))
        return 0
    quick = "--quick" in sys.argv
    results = [thousand(200 if quick else 1000), starts(3 if quick else 9)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

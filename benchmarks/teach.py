"""What a recorder, a replay and a lesson cost: each beside the same requests without, by turns, in one run.

    python benchmarks/teach.py [ROUNDS]

The bare handler of aiohttp is both: staging that is recorded, and what replay is compared with. A test asks a hundred paths, as a
suite does; the body is a list of twenty things.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from resilience.core.secret import Secret
from resilience.core.settings import Deadlines, Service
from resilience.host import under_way
from resilience.services.mocking import Config as MockConfig, Mock
from resilience.services.registry import KINDS
from resilience.stand_ins.mocks import write_config
from resilience.teach.asking import ask
from resilience.teach.keeping import keep
from resilience.teach.lesson import Lesson, masker_of, teach
from resilience.teach.recorder import Config, Upstream, heard_from
from resilience.teach.store import Store

PATHS = 100
OWNER = "api/test_shop.py::test_a_customer"
SERVER = """
import asyncio, json
from aiohttp import web
BODY = json.dumps([{"id": n, "name": "lamp", "stock": n} for n in range(20)]).encode()
async def answer(request):
    delay = float(request.query.get("delay", 0))
    if delay:
        await asyncio.sleep(delay)
    return web.Response(body=BODY, content_type="application/json")
async def main():
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@dataclass(slots=True)
class Figure:
    """One ratio or difference with its goal: at most `goal`, or at least it."""

    text: str
    value: float
    goal: float
    least: bool = False
    unit: str = "x"

    @property
    def met(self) -> bool:
        return self.value >= self.goal if self.least else self.value <= self.goal


@dataclass(slots=True)
class Times:
    """Seconds of single requests and of bursts, direct and by us."""

    direct: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)

    def median(self) -> tuple[float, float]:
        return statistics.median(self.direct), statistics.median(self.ours)

    def p99(self) -> tuple[float, float]:
        direct, ours = (sorted(one)[int(len(one) * 0.99)] for one in (self.direct, self.ours))
        return direct, ours


@contextlib.contextmanager
def process(*argv: str) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield child
    finally:
        child.terminate()
        child.communicate()


def line_of(child: subprocess.Popen[bytes]) -> bytes:
    assert child.stdout is not None
    return child.stdout.readline()


async def get(http: aiohttp.ClientSession, port: int, path: str) -> float:
    began = time.perf_counter()
    async with http.get(f"http://127.0.0.1:{port}{path}", headers={"Authorization": "Bearer a-token-of-ada"}) as answer:
        await answer.read()
        assert answer.status == 200, await answer.text()
    return time.perf_counter() - began


async def by_turns(http: aiohttp.ClientSession, ports: tuple[int, int], count: int, delay: float = 0.0) -> Times:
    """Ask directly and by us, one after the other; the first tenth warms up."""
    found = Times()
    for number in range(count):
        path = f"/items/{number % PATHS}?delay={delay:g}"
        one, other = await get(http, ports[0], path), await get(http, ports[1], path)
        if number >= count // 10:
            found.direct.append(one)
            found.ours.append(other)
    return found


async def recorded(http: aiohttp.ClientSession, port: int, notes: Path, rounds: int) -> tuple[list[Figure], bytes]:
    """Measure the recorder; return what it heard as well."""
    config = Config(services=(Upstream(name="api", origin=f"http://127.0.0.1:{port}"),), under_way=str(notes))
    with process("-m", "resilience.teach.recorder") as recorder:
        assert recorder.stdin is not None
        recorder.stdin.write(json.dumps(asdict(config)).encode() + b"\n")
        recorder.stdin.flush()
        ports = port, json.loads(line_of(recorder))["api"][""]
        direct, ours = (await by_turns(http, ports, 220 * rounds)).median()
        slow, slow_ours = (await by_turns(http, ports, 22 * rounds, 0.02)).median()
        for number in range(PATHS):
            await get(http, ports[1], f"/items/{number}")
        recorder.stdin.write(b"end\n")
        recorder.stdin.flush()
        assert recorder.stdout is not None
        heard = await asyncio.to_thread(recorder.stdout.read)
    over = Figure("recorder over direct, median", (ours - direct) * 1000, 1.0, unit="ms")
    return [over, Figure("recorder where staging takes 20 ms", slow_ours / slow, 1.1)], heard


def learned(heard: bytes, store: Store) -> Path:
    """Learn the hundred answers as one test's, and return the generation."""
    mine = [replace(one, owner=f"test {OWNER}", test=OWNER) for one in heard_from(heard)[-PATHS:]]
    exchanges = keep(mine, {OWNER}).exchanges["api"]
    with store.lesson():
        lesson = Lesson(service="api", source="traffic", at=datetime.now(UTC), exchanges=exchanges)
        made = teach(store, lesson, masker_of(b"k" * 32, (), exchanges))
    assert made is not None
    return made.folder


async def replayed(http: aiohttp.ClientSession, port: int, generation: Path, notes: Path, rounds: int) -> list[Figure]:
    """Measure replay beside the bare handler: bursts of eight clients, by turns."""
    mock = Mock(name="api", kind="backend", imitation="resilience.teach.serve:Taught", port=free_port(),
                taught=(str(generation),), teach_key=(b"k" * 32).hex())  # fmt: skip
    config = generation.parent / "mocks.json"
    config.write_bytes(write_config(MockConfig(services=(mock,), token="t", under_way=str(notes))))
    rates, times = Times(), Times()

    async def burst(port: int, took: list[float]) -> float:
        async def client(first: int) -> None:
            for number in range(100):
                took.append(await get(http, port, f"/items/{(first + number) % PATHS}"))

        began = time.perf_counter()
        await asyncio.gather(*(client(first) for first in range(8)))
        return 800 / (time.perf_counter() - began)

    with process("-m", "resilience.stand_ins.mocks", str(config)):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                await get(http, mock.port, "/items/0")
                break
            await asyncio.sleep(0.05)
        for number in range(rounds + 1):
            direct, ours = await burst(port, times.direct), await burst(mock.port, times.ours)
            if not number:
                times = Times()
                continue
            rates.direct.append(direct)
            rates.ours.append(ours)
    (bare, said), (bare_p99, said_p99) = rates.median(), times.p99()
    return [
        Figure("replay, requests beside the bare handler", said / bare, 0.4, least=True),
        Figure("replay, p99 beside the bare handler", said_p99 / bare_p99, 2.0),
    ]


async def taught(http: aiohttp.ClientSession, port: int, store: Store, rounds: int) -> Figure:
    """Measure a lesson by routes, asked, masked, proved and written, beside the GETs alone; staging takes 5 ms."""
    routes = tuple(f"/items/{number}?delay=0.005" for number in range(PATHS))
    service = Service(
        name="api", kind=KINDS["http"], url=Secret(f"http://127.0.0.1:{port}/health"), teach_routes=routes
    )
    found = Times()
    for _ in range(max(3, rounds // 3)):
        began = time.perf_counter()
        for route in routes:
            await get(http, port, route)
        found.direct.append(time.perf_counter() - began)
        began = time.perf_counter()
        with store.lesson():
            exchanges, gaps = await ask(service, store.folder, time.monotonic() + 60, Deadlines())
            assert not gaps, gaps
            lesson = Lesson(service="routes", source="routes", at=datetime.now(UTC), exchanges=exchanges)
            assert teach(store, lesson, masker_of(b"k" * 32, (), exchanges)) is not None
        found.ours.append(time.perf_counter() - began)
    direct, ours = found.median()
    return Figure("a lesson beside its GETs", ours / direct, 1.5)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def note(notes: Path) -> None:
    """Say that the test is under way, as our plug-in does."""
    under_way.begin(notes)
    told = json.dumps({"test": OWNER, "fixture": "", "attempt": 1}).encode()
    (notes / under_way.MAIN).write_bytes(f"{len(told):08d}".encode() + told)


async def main(rounds: int) -> int:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="resilience-bench-") as name, process("-c", SERVER) as server:
        folder, port = Path(name), int(line_of(server))
        notes, store = folder / "notes", Store(folder / "state")
        note(notes)
        async with aiohttp.ClientSession() as http:
            found, heard = await recorded(http, port, notes, rounds)
            figures += found
            figures += await replayed(http, port, learned(heard, store), notes, rounds)
            figures.append(await taught(http, port, store, rounds))
    return told(figures)


def told(figures: Sequence[Figure]) -> int:
    for one in figures:
        goal = f"goal {'>=' if one.least else '<='} {one.goal:g} {one.unit}"
        print(f"{one.text:42} {one.value:6.3f} {one.unit:2}  {goal}{'' if one.met else '  MISSED'}")
    return 0 if all(one.met for one in figures) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)))

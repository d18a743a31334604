"""How long until PostgreSQL, Redis and the mocks answer: the first time, after a stop, and when they run already.

    python benchmarks/apply.py [ROUNDS]

Each is a process of its own, interpreter and imports included, as `resilience apply` is. The ratio is against the floor: the same
servers as plain children of a process that runs already, at once, with neither supervisor, proof nor state.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from resilience import stand_ins as local
from resilience.core.secret import Secret
from resilience.core.settings import Service, Settings
from resilience.host.processes import Child, Launch
from resilience.services.mocking import Config, Mock
from resilience.services.place import port_open
from resilience.services.postgresql.stand_in import PostgresServer
from resilience.services.redis.stand_in import RedisServer
from resilience.services.registry import KINDS
from resilience.stand_ins.mocks import write_config

GOALS_S = {"first": 4.0, "warm": 1.0}


def settings_in(folder: Path) -> Settings:
    """Settings of a checkout in this folder, with the same ports each time."""
    kept = folder / "ports.json"
    if kept.exists():
        ports = json.loads(kept.read_text())
    else:
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(6)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            ports = [one.getsockname()[1] for one in sockets]
        kept.write_text(json.dumps(ports))
    given = [
        ("database", "postgresql", f"postgresql://app:pw@127.0.0.1:{ports[0]}/app"),
        ("redis", "redis", f"redis://:pw@127.0.0.1:{ports[1]}/0"),
        ("backend_api", "http", f"http://127.0.0.1:{ports[2]}/health"),
        ("auth_service", "http", f"http://127.0.0.1:{ports[3]}/health"),
        ("websocket", "websocket", f"ws://127.0.0.1:{ports[4]}/ws"),
        ("llm_service", "openai", f"http://127.0.0.1:{ports[5]}/v1"),
    ]
    services = tuple(Service(name=name, kind=KINDS[kind], local=Secret(url)) for name, kind, url in given)
    return Settings(
        root=folder,
        source=None,
        env_file=folder / "env",
        outputs=folder,
        state=folder / "state",
        data=folder / "data",
        services=services,
    )


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def in_a_process_of_its_own(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, "--up", str(folder))
    assert await process.wait() == 0


async def up(folder: Path) -> None:
    settings = settings_in(folder)
    found = await local.start(settings.services, settings)
    assert all(one.ready for one in found), [one.error for one in found]


async def floor(folder: Path) -> float:
    """Seconds until the same servers, prepared before, answer as plain children started at once."""
    settings = settings_in(folder)
    ports = [int(str(service.local.reveal()).split("127.0.0.1:")[1].split("/")[0]) for service in settings.services]
    postgres = PostgresServer(folder / "pg", ports[0], user="app", password="pw", database="app")
    redis = RedisServer(folder / "redis", ports[1], password="pw")
    await postgres.start()
    await postgres.stop()
    config = folder / "mocks.json"
    kinds = ("backend", "auth", "websocket", "llm")
    mocks = tuple(Mock(name=kind, kind=kind, port=port) for kind, port in zip(kinds, ports[2:], strict=True))
    config.write_bytes(write_config(Config(services=mocks, token="t")))
    argv = (sys.executable, "-m", "resilience.stand_ins.mocks", str(config))
    child = Child(Launch(name="mocks", argv=argv, cwd=str(folder), log=str(folder / "mocks.log")))

    async def mocked() -> None:
        child.spawn()
        while not port_open("127.0.0.1", ports[-1]):  # noqa: ASYNC110 - a port has no event
            await asyncio.sleep(0.005)

    try:
        return await timed(lambda: asyncio.gather(postgres.start(), redis.start(), mocked()))
    finally:
        await asyncio.gather(postgres.stop(), redis.stop(), child.stop())


async def main(rounds: int) -> int:
    found: dict[str, list[float]] = {"first": [], "warm": [], "again": [], "stop": [], "floor": []}
    for _ in range(rounds):
        folder = Path(tempfile.mkdtemp(prefix="resilience-bench-"))
        settings = settings_in(folder)
        try:
            found["first"].append(await timed(lambda: in_a_process_of_its_own(folder)))  # noqa: B023 - awaited at once
            found["again"].append(await timed(lambda: in_a_process_of_its_own(folder)))  # noqa: B023
            found["stop"].append(await timed(lambda: local.stop(settings)))  # noqa: B023
            found["warm"].append(await timed(lambda: in_a_process_of_its_own(folder)))  # noqa: B023
            await local.stop(settings)
            found["floor"].append(await floor(folder))
        finally:
            await local.stop(settings)
            shutil.rmtree(folder)
    middle = {name: statistics.median(values) for name, values in found.items()}
    for name, text in (
        ("first", "first time: data made, servers and mocks up"),
        ("warm", "data kept: servers and mocks up"),
        ("again", "already up: proven and asked"),
        ("stop", "ended, ports free"),
        ("floor", "the same servers as plain children"),
    ):
        goal = f"  goal < {GOALS_S[name]:.0f} s" if name in GOALS_S else ""
        ratio = middle[name] / middle["floor"]
        print(f"{name:6} {middle[name]:6.3f} s (worst {max(found[name]):.3f})  {ratio:5.2f} x floor  {text}{goal}")
    return 0 if all(middle[name] < goal for name, goal in GOALS_S.items()) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--up"]:
        asyncio.run(up(Path(sys.argv[2])))
        sys.exit(0)
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)))

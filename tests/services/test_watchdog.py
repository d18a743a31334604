"""What no deadline can break: a loop that stands still, and memory without end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time

import pytest

from resilience.core.records import FaultCode
from resilience.services.looking import control, loop_is_alive, probe_all
from resilience.services.watchdog import LoopBlocked, Watchdog
from tests.kits.kinds import ServiceType
from tests.kits.servers import fakes
from tests.kits.servers.looking import service


async def test_code_that_spins_is_interrupted_and_named() -> None:
    def spin() -> None:
        while True:
            pass

    with Watchdog(asyncio.get_running_loop(), grace_s=0.4) as watchdog:
        with pytest.raises(LoopBlocked, match="this probe kept the event loop from running"):
            spin()
        await asyncio.sleep(0)
    assert watchdog.where.startswith("spin (")


async def test_a_callback_of_a_probe_that_spins_is_interrupted_as_well() -> None:
    """As a driver's protocol, which is called by the loop and not by the probe's task."""
    ended = asyncio.get_running_loop().create_future()

    def spin() -> None:
        try:
            while True:
                pass
        except LoopBlocked as exc:
            ended.set_exception(exc)

    with Watchdog(asyncio.get_running_loop(), grace_s=0.4):
        asyncio.get_running_loop().call_soon(spin)
        with pytest.raises(LoopBlocked):
            await ended


async def test_other_work_that_holds_the_loop_is_named_and_goes_on_to_its_end() -> None:
    begin = asyncio.Event()
    noticed: list[bool] = []

    async def redacts() -> str:
        await begin.wait()
        until = time.monotonic() + 20
        while not watchdog.where and time.monotonic() < until:
            pass
        noticed.append(bool(watchdog.where))
        return "done"

    other = asyncio.create_task(redacts())
    with Watchdog(asyncio.get_running_loop(), grace_s=0.4) as watchdog:
        begin.set()
        assert await other == "done"
    assert noticed == [True]
    assert watchdog.where.startswith("redacts (")


async def test_a_loop_that_runs_is_left_alone() -> None:
    with Watchdog(asyncio.get_running_loop(), grace_s=2.0) as watchdog:
        await asyncio.sleep(0.1)
    assert watchdog.where == ""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)


def test_the_last_resort_ends_even_what_holds_the_interpreter() -> None:
    """Plain asyncpg and five zero bytes; the probe itself never comes here, its guard cuts the connection."""
    done = run("""
        import asyncio, asyncpg
        from resilience.services.watchdog import Watchdog
        from tests.kits.servers import fakes

        async def main():
            login = b"R\\0\\0\\0\\x08\\0\\0\\0\\0" + b"\\0" * 5
            with Watchdog(asyncio.get_running_loop(), grace_s=0.5, last_resort_s=1.5):
                async with fakes.serve(fakes.pg_refuses_with(login)) as port:
                    await asyncpg.connect(f"postgresql://u:p@127.0.0.1:{port}/db", timeout=0.5)

        asyncio.run(main())
    """)
    assert done.returncode == 1
    assert "Timeout (0:00:01.5" in done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from /proc")
def test_hostile_answers_stay_under_150_mb() -> None:
    """A gzip bomb, ten gigabytes and a thousand dripping servers at once, in a process of their own."""
    done = run("""
        import asyncio, gzip
        from resilience.services.looking import probe_all
        from tests.kits.kinds import ServiceType
        from tests.kits.servers import fakes
        from tests.kits.servers.looking import service

        async def main():
            bomb = fakes.http(200, gzip.compress(b"\\0" * 30_000_000), "Content-Encoding: gzip")
            big = fakes.pours(b"HTTP/1.1 200 OK\\r\\nContent-Length: 10000000000\\r\\n\\r\\n", b"x" * 65536)
            redis = fakes.pours(b"$10000000000\\r\\n", b"x" * 65536)
            drip = fakes.drips(b"HTTP/1.1 200 OK\\r\\n", b"X: y\\r\\n", 0.2)
            async with (
                fakes.serve(fakes.says(bomb)) as a, fakes.serve(big) as b, fakes.serve(drip) as c, fakes.serve(redis) as d
            ):
                urls = [f"http://127.0.0.1:{p}/" for p in [a] * 20 + [b] * 20 + [c] * 1000]
                asked = [service(ServiceType.HTTP, u, timeout_s=2.0) for u in urls]
                asked += [service(ServiceType.REDIS, f"redis://127.0.0.1:{d}/0", timeout_s=2.0)] * 20
                seen = await probe_all(asked)
            slow = sum(o.fault is not None and o.fault.code.value == "proto_slow" for o in seen)
            well = sum(o.fault is None for o in seen)
            # of this program only: ru_maxrss would remember the process that started it
            most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
            print(well, slow, int(most.split()[1]) // 1024)

        asyncio.run(main())
    """)
    assert done.returncode == 0, done.stderr
    well, slow, megabytes = map(int, done.stdout.split())
    assert (well, slow) == (40, 1000)
    assert megabytes < 150


async def test_a_hundred_black_holes_cost_their_deadline_once() -> None:
    with fakes.black_hole() as port:
        loop = asyncio.get_running_loop()
        began = loop.time()
        seen = await probe_all(
            [service(ServiceType.HTTP, f"http://127.0.0.1:{port}/", timeout_s=0.5) for _ in range(100)]
        )
        took = loop.time() - began
    assert {o.fault.code for o in seen if o.fault} == {FaultCode.TCP_TIMEOUT}
    assert took < 3


async def test_this_process_reaches_itself() -> None:
    assert await loop_is_alive()


def test_only_what_is_configured_is_imported_and_never_the_heavy_ones() -> None:
    done = run("""
        import asyncio, sys
        from resilience.services.looking import probe_all
        from tests.kits.kinds import ServiceType
        from tests.kits.servers.looking import service

        drivers = ("asyncpg", "redis", "httpx", "websockets", "aiohttp", "pandas", "matplotlib", "IPython", "pydantic")
        plain = service(ServiceType.HTTP, "http://127.0.0.1:9/"), service(ServiceType.WEBSOCKET, "ws://127.0.0.1:9/")
        asyncio.run(probe_all(plain))
        print([name for name in drivers if name in sys.modules])
        asyncio.run(probe_all([service(ServiceType.REDIS, "redis://127.0.0.1:9/0")]))
        print("asyncpg" in sys.modules, "redis.asyncio.connection" in sys.modules, "redis.commands" in sys.modules)
        import redis.asyncio
        print(redis.asyncio.Redis.__name__, redis.Redis.__name__, redis.exceptions.ConnectionError.__name__,
              redis.__version__ > "5")
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["[]", "False True False", "Redis Redis ConnectionError True"]


async def test_control_targets_are_connected_to_and_named_by_their_endpoint() -> None:
    async with fakes.serve(fakes.says(fakes.http(404))) as port:
        well, url, dead = await control(
            [f"127.0.0.1:{port}", f"http://127.0.0.1:{port}/", f"127.0.0.1:{fakes.refused()}"]
        )
    assert (well.fault, well.endpoint) == (None, f"127.0.0.1:{port}")
    assert url.fault is None, "any answer proves the way"
    assert dead.fault is not None
    assert dead.fault.code is FaultCode.TCP_REFUSED

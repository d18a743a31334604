"""What no deadline can break: a loop that stands still, and memory without end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import time

import pytest

from resilience.services.watchdog import LoopBlocked, Watchdog


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

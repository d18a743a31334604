"""Stand-ins end when nobody wants them any more, or when their supervisor does."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from resilience.stand_ins import lease as leases, supervision, supervisor
from resilience.stand_ins.lease import Lease
from resilience.stand_ins.state import read_state, write_whole
from tests.kits.stand_in_kit import eventually
from tests.kits.supervisor_kit import LONG, sleeper


async def test_a_service_that_dies_is_written_down_and_the_supervisor_ends_with_its_last_one(folder: Path) -> None:
    services = await supervision.ensure(folder, [sleeper(folder, "a"), sleeper(folder, "b")], LONG)
    os.kill(services["a"].pid, signal.SIGKILL)
    assert eventually(lambda: "ended by signal 9" in read_state(folder).services["a"].ended)
    state = read_state(folder)
    assert state.alive
    assert await supervision.end(folder, ["b"]) == ("b",)
    assert eventually(lambda: not state.alive)


async def test_the_services_end_when_their_folder_is_removed(folder: Path) -> None:
    service = (await supervision.ensure(folder, [sleeper(folder)], LONG))["sleeper"]
    shutil.rmtree(folder)
    assert eventually(lambda: not service.alive)


def hook(folder: Path, code: int = 0) -> tuple[str, ...]:
    line = f"open({str(folder / 'hooked')!r}, 'a').write('x'); raise SystemExit({code})"
    return (sys.executable, "-c", line)


async def test_the_lease_warns_then_puts_the_env_file_back_then_ends_the_services(folder: Path) -> None:
    lease = Lease(seconds=2.5, warn_s=2.3, hook=hook(folder), hook_cwd=str(folder))
    leases.touch(folder)
    service = (await supervision.ensure(folder, [sleeper(folder)], lease))["sleeper"]
    assert eventually(lambda: "nobody has asked" in read_state(folder).warning)
    assert service.alive
    assert not (folder / "hooked").exists()
    assert eventually(lambda: not service.alive)
    assert (folder / "hooked").read_text() == "x"
    assert eventually(lambda: not read_state(folder).alive)
    assert "nobody had asked for it" in read_state(folder).services["sleeper"].ended


async def test_tests_that_run_hold_the_lease_and_a_holder_that_died_does_not(folder: Path) -> None:
    lease = Lease(seconds=0.3, warn_s=0.1, hook=hook(folder), hook_cwd=str(folder))
    leases.hold(folder, "tests run")
    service = (await supervision.ensure(folder, [sleeper(folder)], lease))["sleeper"]
    await asyncio.sleep(1.5)  # several of the supervisor's looks: nothing is to happen
    assert service.alive
    assert not (folder / "hooked").exists()
    # The same hold, of a process that is gone.
    raw = json.loads((folder / "lease.json").read_bytes())
    raw["holds"][0]["identity"] = "another boot:1"
    write_whole(folder / "lease.json", raw)
    assert eventually(lambda: not service.alive)


async def test_an_env_file_that_cannot_be_put_back_is_tried_again_and_said(folder: Path) -> None:
    lease = Lease(seconds=0.2, warn_s=0.1, hook=hook(folder, 30), hook_cwd=str(folder), retry_s=0.1)
    service = (await supervision.ensure(folder, [sleeper(folder)], lease))["sleeper"]
    assert eventually(lambda: "resilience restore" in read_state(folder).warning)
    assert eventually(lambda: not service.alive, within_s=20)
    assert (folder / "hooked").read_text() == "x" * supervisor.HOOK_TRIES


async def test_another_run_that_holds_the_lock_makes_the_lease_go_on(folder: Path) -> None:
    lease = Lease(seconds=0.5, warn_s=0.2, hook=hook(folder, 75), hook_cwd=str(folder))
    service = (await supervision.ensure(folder, [sleeper(folder)], lease))["sleeper"]
    assert eventually(lambda: (folder / "hooked").exists())
    assert eventually(lambda: "the lease goes on" in (folder / "supervisor.log").read_text())
    assert service.alive

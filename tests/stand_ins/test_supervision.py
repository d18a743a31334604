"""Stand-ins live apart from whoever asked for them, and whoever asks finds them again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resilience.host import processes
from resilience.host.processes import Launch
from resilience.stand_ins import supervision
from resilience.stand_ins.state import read_state
from tests.kits.stand_in_kit import eventually
from tests.kits.supervisor_kit import LINUX, LONG, sleeper


async def test_a_service_lives_in_a_session_of_its_own_and_is_kept_while_it_is_the_same(folder: Path) -> None:
    first = (await supervision.ensure(folder, [sleeper(folder)], LONG))["sleeper"]
    assert first.alive
    assert os.getsid(first.pid) != os.getsid(0)
    assert os.getsid(first.pid) == read_state(folder).pid
    assert (await supervision.ensure(folder, [sleeper(folder)], LONG))["sleeper"].pid == first.pid
    other = (await supervision.ensure(folder, [sleeper(folder, digest="2")], LONG))["sleeper"]
    assert other.pid != first.pid
    assert not first.alive


async def test_what_asked_may_be_interrupted_and_its_group_killed_without_reaching_the_services(folder: Path) -> None:
    script = (
        "import asyncio, sys, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "from tests.kits.supervisor_kit import sleeper, LONG; from resilience.stand_ins import supervision\n"
        "async def main():\n"
        "    await supervision.ensure(pathlib.Path(sys.argv[2]), [sleeper(pathlib.Path(sys.argv[2]))], LONG)\n"
        "    print('up', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    root = str(Path(__file__).parents[2])
    asker = subprocess.Popen(
        [sys.executable, "-c", script, root, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    assert asker.stdout is not None
    assert await asyncio.to_thread(asker.stdout.readline) == b"up\n"
    os.killpg(asker.pid, signal.SIGINT)
    os.killpg(asker.pid, signal.SIGKILL)
    asker.wait()
    asker.stdout.close()
    assert read_state(folder).alive
    assert read_state(folder).services["sleeper"].alive


@pytest.mark.skipif(not LINUX, reason="parent-death signals are Linux's")
async def test_killing_the_supervisor_leaves_nothing_and_the_next_request_starts_anew(folder: Path) -> None:
    services = await supervision.ensure(folder, [sleeper(folder, "a"), sleeper(folder, "b")], LONG)
    state = read_state(folder)
    assert processes.send(state.pid, state.identity, signal.SIGKILL)
    assert eventually(lambda: not any(service.alive for service in services.values()))
    assert not read_state(folder).alive
    again = await supervision.ensure(folder, [sleeper(folder, "a")], LONG)
    assert again["a"].alive
    assert set(read_state(folder).services) == {"a"}


async def test_asking_at_the_same_time_gives_one_supervisor(folder: Path) -> None:
    await asyncio.gather(*(supervision.ensure(folder, [sleeper(folder, name)], LONG) for name in ("a", "b", "c")))
    found = await supervision.ensure(folder, [sleeper(folder, name) for name in ("a", "b", "c")], LONG)
    assert all(service.alive for service in found.values())
    assert len({os.getsid(service.pid) for service in found.values()}) == 1


async def test_a_command_that_does_not_exist_is_an_answer_not_a_wait(folder: Path) -> None:
    launch = Launch(name="none", argv=("/nowhere/at/all",), cwd=str(folder), log=str(folder / "none.log"))
    await supervision.ensure(folder, [launch, sleeper(folder)], LONG)
    assert eventually(lambda: bool(read_state(folder).services["none"].ended))
    assert "/nowhere/at/all" in (folder / "none.log").read_text()

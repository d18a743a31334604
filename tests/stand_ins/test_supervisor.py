"""Stand-ins live apart from whoever asked for them, and end when nobody wants them, or when their supervisor does."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from resilience.host import processes
from resilience.host.processes import Launch
from resilience.stand_ins import lease as leases, supervision, supervisor
from resilience.stand_ins.lease import Lease
from resilience.stand_ins.state import read_state, write_whole
from tests.kits.stand_in_kit import eventually, processes_naming

LINUX = sys.platform == "linux"
LONG = Lease(seconds=3600, warn_s=1)


def sleeper(folder: Path, name: str = "sleeper", digest: str = "1") -> Launch:
    """A service whose command line names the folder, so that what is left of it can be found."""
    code = "import signal; signal.pause()"
    return Launch(
        name=name,
        argv=(sys.executable, "-I", "-S", "-c", code, str(folder)),
        cwd=str(folder),
        log=str(folder / f"{name}.log"),
        digest=digest,
    )


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    place = tmp_path / "supervisor"
    place.mkdir()
    yield place
    await supervision.end(place)
    assert eventually(lambda: not processes_naming(tmp_path)), "something of ours is left"


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
        "from tests.stand_ins.test_supervisor import sleeper, LONG; from resilience.stand_ins import supervision\n"
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


async def test_a_service_that_dies_is_written_down_and_the_supervisor_ends_with_its_last_one(folder: Path) -> None:
    services = await supervision.ensure(folder, [sleeper(folder, "a"), sleeper(folder, "b")], LONG)
    os.kill(services["a"].pid, signal.SIGKILL)
    assert eventually(lambda: "ended by signal 9" in read_state(folder).services["a"].ended)
    state = read_state(folder)
    assert state.alive
    assert await supervision.end(folder, ["b"]) == ("b",)
    assert eventually(lambda: not state.alive)


async def test_a_pid_that_is_another_programs_by_now_is_never_signalled(folder: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        service = {
            "name": "old",
            "pid": bystander.pid,
            "identity": "another boot:1",
            "started_at": 0.0,
            "log": "",
            "digest": "",
            "stop_signals": [int(signal.SIGTERM)],
            "ended": "",
        }
        (folder / "state.json").write_text(
            json.dumps({"pid": bystander.pid, "identity": "x", "services": {"old": service}})
        )
        assert await supervision.end(folder) == ()
        await supervision.ensure(folder, [sleeper(folder)], LONG)
        assert bystander.poll() is None
        assert not processes.send(bystander.pid, "another boot:1", signal.SIGKILL)
    finally:
        bystander.kill()
        bystander.wait()


async def test_a_state_that_is_cut_or_foreign_counts_as_none(folder: Path) -> None:
    for text in ("", '{"pid": 1', "[]", '{"services": 3}', '{"pid": "x", "identity": "", "services": {}}'):
        (folder / "state.json").write_text(text)
        assert not read_state(folder).services
    assert (await supervision.ensure(folder, [sleeper(folder)], LONG))["sleeper"].alive


async def test_asking_at_the_same_time_gives_one_supervisor(folder: Path) -> None:
    await asyncio.gather(*(supervision.ensure(folder, [sleeper(folder, name)], LONG) for name in ("a", "b", "c")))
    found = await supervision.ensure(folder, [sleeper(folder, name) for name in ("a", "b", "c")], LONG)
    assert all(service.alive for service in found.values())
    assert len({os.getsid(service.pid) for service in found.values()}) == 1


async def test_the_services_end_when_their_folder_is_removed(folder: Path) -> None:
    service = (await supervision.ensure(folder, [sleeper(folder)], LONG))["sleeper"]
    shutil.rmtree(folder)
    assert eventually(lambda: not service.alive)


async def test_a_command_that_does_not_exist_is_an_answer_not_a_wait(folder: Path) -> None:
    launch = Launch(name="none", argv=("/nowhere/at/all",), cwd=str(folder), log=str(folder / "none.log"))
    await supervision.ensure(folder, [launch, sleeper(folder)], LONG)
    assert eventually(lambda: bool(read_state(folder).services["none"].ended))
    assert "/nowhere/at/all" in (folder / "none.log").read_text()


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


def test_a_release_ends_the_hold_of_its_reason_and_begins_the_lease_anew(tmp_path: Path) -> None:
    leases.hold(tmp_path, "one")
    leases.hold(tmp_path, "two")
    before = time.time()
    leases.release(tmp_path, "one")
    touched_at, holds = leases.read_lease(tmp_path)
    assert [hold["reason"] for hold in holds] == ["two"]
    assert touched_at >= before
    leases.release(tmp_path)
    assert leases.read_lease(tmp_path)[1] == ()


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


@pytest.mark.skipif(not LINUX or os.geteuid() != 0, reason="only root has to stop being root")
@pytest.mark.parametrize("namespaces", ["yes", "no"])
def test_a_server_does_not_run_as_root_and_still_ends_with_its_parent(namespaces: str, tmp_path: Path) -> None:
    data = tmp_path / "private" / "data"
    data.mkdir(parents=True)
    (data / "file").write_text("mine")
    (tmp_path / "private").chmod(0o700)
    code = (
        f"import os, ctypes; number = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(number))\n"
        f"owner = os.stat({str(data)!r}).st_uid\n"
        f"print(os.geteuid(), owner == os.geteuid(), open({str(data / 'file')!r}).read(), number.value)"
    )
    python = shutil.which("python3", path="/usr/bin:/bin")
    if python is None:
        pytest.skip("no Python that nobody may run")
    command = [
        *(sys.executable, "-I", "-S", processes.LAUNCHER, "--parent", str(os.getpid()), "--death-signal", "2"),
        *("--drop", str(data), "--namespaces", namespaces, "--", python, "-c", code),
    ]
    told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert told.stdout == "65534 True mine 2\n", told.stderr


def test_a_server_whose_asker_is_gone_is_not_started() -> None:
    command = [*(sys.executable, "-I", "-S", processes.LAUNCHER), "--parent", "1", "--death-signal", "2", "--", "true"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert told.returncode == 1
    assert "is gone" in told.stderr

"""A process is known by more than its pid, gets no more of our environment than it needs, and ends with its group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.host.processes import (
    Child,
    Launch,
    identity,
    import_path,
    is_alive,
    minimal_environment,
    private_log,
    run,
    send,
    spawn,
)
from tests.kits.stand_in_kit import eventually, processes_naming

WAIT = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
)


def server(folder: Path, code: str = WAIT, **more: object) -> Launch:
    return Launch(
        name="server",
        argv=(sys.executable, "-c", code, str(folder)),
        cwd=str(folder),
        log=str(folder / "logs" / "server.log"),
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_process_has_one_identity_while_it_lives_and_none_afterwards(other: subprocess.Popen[bytes]) -> None:
    known = identity(other.pid)
    assert known
    assert known == identity(other.pid) != identity(os.getpid())
    assert is_alive(other.pid, known)
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert identity(other.pid) == "", "a zombie is no process that serves"
    assert not is_alive(other.pid, known)


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1])
def test_what_is_no_process_has_no_identity_and_gets_no_signal(pid: int) -> None:
    assert identity(pid) == ""
    assert not is_alive(pid, "boot:1")
    assert not send(pid, "boot:1", signal.SIGTERM)


def test_a_signal_goes_to_the_recorded_process_and_to_no_other_that_has_its_pid(other: subprocess.Popen[bytes]) -> None:
    assert not send(other.pid, "another boot:1", signal.SIGKILL)
    assert other.poll() is None
    assert send(other.pid, identity(other.pid), signal.SIGTERM)
    assert other.wait(10) == -signal.SIGTERM


def test_a_server_gets_of_our_environment_only_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGING_PASSWORD", "s3cret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert "STAGING_PASSWORD" not in minimal_environment()
    code = "import os; print(os.environ.get('STAGING_PASSWORD'), os.environ.get('LANG'), os.environ.get('MINE'))"
    process = spawn(server(tmp_path, code, env={"MINE": "1"}))
    assert process.wait(20) == 0
    assert (tmp_path / "logs" / "server.log").read_text() == "None C.UTF-8 1\n"


def test_a_servers_log_is_ours_alone_and_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "server.log"
    for text in (b"first\n", b"second\n"):
        with private_log(path) as log:
            log.write(text)
    assert path.read_bytes() == b"first\nsecond\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_server_has_a_process_group_of_its_own_so_that_ctrl_c_does_not_reach_it(tmp_path: Path) -> None:
    process = spawn(server(tmp_path))
    try:
        assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("code", "grace_s"), [(WAIT, 10.0), (STUBBORN, 0.2)])
async def test_a_child_is_ended_politely_and_else_by_force(tmp_path: Path, code: str, grace_s: float) -> None:
    child = Child(server(tmp_path, code))
    assert not child.alive
    child.spawn()
    first = child.pid
    child.spawn()
    assert child.pid == first, "one that lives is not started twice"
    assert eventually(lambda: "up" in (tmp_path / "logs" / "server.log").read_text())
    await child.stop(grace_s=grace_s)
    assert (child.alive, child.pid) == (False, None)
    assert processes_naming(tmp_path) == []
    await child.stop()


async def test_a_short_command_gives_its_exit_code_and_both_of_its_outputs(tmp_path: Path) -> None:
    code = (
        "import os, sys; print(os.getcwd(), os.environ['A'], flush=True); "
        "sys.stderr.buffer.write(b'ill \\xff\\n'); sys.exit(3)"
    )
    environ = {**minimal_environment(), "A": "1"}
    done = await run([sys.executable, "-c", code], timeout_s=20, env=environ, cwd=tmp_path)
    assert done == (3, f"{tmp_path.resolve()} 1\nill \ufffd\n")


async def test_a_command_that_takes_too_long_ends_with_all_that_it_started(tmp_path: Path) -> None:
    child = f"import signal; signal.pause()  # {tmp_path}"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with pytest.raises(TimeoutError):
        await run([sys.executable, "-c", code, str(tmp_path)], timeout_s=0.5)
    assert eventually(lambda: processes_naming(tmp_path) == [])


def test_a_process_of_ours_finds_the_package_that_we_run_first_and_once() -> None:
    ours = import_path("").split(os.pathsep)[0]
    assert (Path(ours) / "resilience" / "__init__.py").is_file()
    assert import_path(f"/theirs{os.pathsep}{ours}{os.pathsep}{os.pathsep}/more").split(os.pathsep) == [
        ours,
        "/theirs",
        "/more",
    ]

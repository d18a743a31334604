"""A server is started as itself: with its parent's life, without root, under the pid that its asker was told."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resilience.host import processes

LINUX = sys.platform == "linux"
LAUNCH = (sys.executable, "-I", "-S", processes.LAUNCHER)


def launch(*command: str, parent: int | None = None, death_signal: int = 2) -> subprocess.CompletedProcess[str]:
    argv = [*LAUNCH, "--parent", str(parent or os.getpid()), "--death-signal", str(death_signal), "--", *command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)


def test_the_server_has_the_pid_of_the_process_that_was_started() -> None:
    ours = ("--parent", str(os.getpid()), "--death-signal", "2")
    argv = [*LAUNCH, *ours, "--", sys.executable, "-c", "import os; print(os.getpid())"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as started:
        out, _ = started.communicate(timeout=20)
    assert int(out) == started.pid


def test_the_server_gets_its_arguments_to_the_letter_also_those_that_look_like_ours() -> None:
    words = ["--parent", "1", "", "a b", "--", "*"]
    told = launch(sys.executable, "-c", "import sys; print(sys.argv[1:])", *words)
    assert told.stdout.strip() == repr(words)


def test_a_command_that_is_not_there_is_said_in_one_line() -> None:
    told = launch("/nowhere/server")
    assert told.returncode == 1
    assert told.stderr == "/nowhere/server: No such file or directory\n"


@contextmanager
def asker(death_signal: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that starts a server by the launcher and then waits; with the server's pid."""
    code = (
        "import os, subprocess, sys, signal\n"
        "server = subprocess.Popen([*sys.argv[2:], '--parent', str(os.getpid()), '--death-signal', sys.argv[1], '--', "
        "sys.executable, '-c', 'import signal; print(1, flush=True); signal.pause()'], stdout=subprocess.PIPE)\n"
        "server.stdout.readline()\n"
        "print(server.pid, flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(death_signal), *LAUNCH], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.skipif(not LINUX, reason="only Linux tells a process of its parent's death")
def test_the_server_ends_when_its_asker_is_killed() -> None:
    with asker(signal.SIGTERM) as (process, server):
        handle = os.pidfd_open(server)
        process.kill()
        process.wait()
        # It is not our child, so its end is read from its handle.
        ended, _, _ = select.select([handle], [], [], 10)
        os.close(handle)
    assert ended, "the server outlived its asker"


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

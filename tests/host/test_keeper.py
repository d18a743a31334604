"""What a command prints is bounded, how it ended is kept, and nothing that came of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from resilience.host.processes import KEEPER, LAUNCHER, Launch, kept
from tests.kits.stand_in_kit import eventually, processes_naming


def keeper(folder: Path, command: str, limit: int = 10_000) -> subprocess.Popen[bytes]:
    argv = [
        sys.executable,
        "-I",
        "-S",
        KEEPER,
        "--log",
        str(folder / "log"),
        "--limit",
        str(limit),
        "--",
        "sh",
        "-c",
        command,
    ]
    return subprocess.Popen(argv, cwd=folder)


def test_it_ends_as_its_command_does_and_keeps_what_that_printed(tmp_path: Path) -> None:
    assert keeper(tmp_path, "echo out; echo err >&2; exit 3").wait(20) == 3
    assert (tmp_path / "log").read_text() == "out\nerr\n"
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0
    assert keeper(tmp_path, "kill -9 $$").wait(20) == -9
    assert keeper(tmp_path, "exec no-such-program-here").wait(20) == 127
    assert "no-such-program-here" in (tmp_path / "log").read_text()


def test_its_log_is_two_files_of_bounded_size_and_says_so(tmp_path: Path) -> None:
    assert keeper(tmp_path, "head -c 3000000 /dev/zero; echo; echo last").wait(60) == 0
    sizes = [path.stat().st_size for path in tmp_path.glob("log*")]
    assert len(sizes) == 2
    assert sum(sizes) < 200_000
    assert "what is older is dropped" in (tmp_path / "log").read_text()
    assert (tmp_path / "log").read_text().endswith("last\n")


def test_what_forked_away_is_named_and_ended(tmp_path: Path) -> None:
    mark = tmp_path / "child.py"
    mark.write_text("import time; time.sleep(600)")
    assert keeper(tmp_path, f"(setsid {sys.executable} {mark} &) ; sleep 0.2; exit 0").wait(20) == 0
    assert "left processes behind" in (tmp_path / "log").read_text()
    assert eventually(lambda: not processes_naming(mark))


def test_a_signal_ends_all_of_it_also_what_does_not_listen(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf.py"
    deaf.write_text(
        "import pathlib, signal, time; signal.signal(15, signal.SIG_IGN); pathlib.Path('up').touch(); time.sleep(600)"
    )
    process = keeper(tmp_path, f"setsid {sys.executable} {deaf} & wait")
    assert eventually((tmp_path / "up").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert eventually(lambda: not processes_naming(deaf))


def test_its_command_ends_with_it_where_it_is_killed(tmp_path: Path) -> None:
    process = keeper(tmp_path, "echo $$ > pid; exec sleep 600")
    assert eventually(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text().strip()))
    pid = int((tmp_path / "pid").read_text())
    process.kill()
    assert process.wait(20) == -9
    assert eventually(lambda: not _lives(pid))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX" and os.kill(pid, 0) is None
    except OSError:
        return False


def test_it_ends_with_the_parent_that_it_is_bound_to_and_does_not_begin_without_it(tmp_path: Path) -> None:
    """It is started in the launcher's place, and so sees to that itself."""
    launch = Launch(
        name="x", argv=kept(("sleep", "600"), tmp_path / "log"), cwd=str(tmp_path), log=str(tmp_path / "log")
    )
    argv = launch.command()
    assert argv[3] == KEEPER
    assert f"{os.getpid()}" == argv[argv.index("--parent") + 1]
    stranger = [*argv]
    stranger[argv.index("--parent") + 1] = "1"
    refused = subprocess.run(stranger, capture_output=True, text=True, timeout=20, check=False)
    assert "the process that asked for this server is gone" in refused.stderr
    lines = "import os, subprocess, sys; subprocess.Popen(sys.argv[1:]); sys.stdin.read()"
    bound = [arg.replace(str(os.getpid()), "{parent}") if arg == str(os.getpid()) else arg for arg in argv]
    script = lines.replace("sys.argv[1:]", "[arg.replace('{parent}', str(os.getpid())) for arg in sys.argv[1:]]")
    with subprocess.Popen((sys.executable, "-c", script, *bound), stdin=subprocess.PIPE) as parent:
        assert eventually(lambda: bool(processes_naming(tmp_path)))
        parent.kill()
    assert eventually(lambda: not processes_naming(tmp_path))


def test_one_that_is_not_to_run_as_root_is_left_to_the_launcher(tmp_path: Path) -> None:
    argv = kept(("true",), tmp_path / "log")
    launch = Launch(name="x", argv=argv, cwd=str(tmp_path), log=str(tmp_path / "log"), drop_root=str(tmp_path))
    assert launch.command()[3] == LAUNCHER

"""A file is the old one or the new one, never half; what is ours is private, and what is left by the killed goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil
import pytest

from resilience.core.errors import SettingsError
from resilience.host.files import (
    _is_without_starter,
    make_folder,
    read_env_file,
    remove_asides,
    scratch,
    sweep,
    write_atomically,
)


def asides(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".aside")]


def bits(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_new_file_is_its_owners_alone_and_an_old_one_keeps_its_bits(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new", b"1")
    assert bits(tmp_path / "new") == 0o600
    (tmp_path / "old").write_bytes(b"0")
    (tmp_path / "old").chmod(0o640)
    write_atomically(tmp_path / "old", b"1")
    assert ((tmp_path / "old").read_bytes(), bits(tmp_path / "old")) == (b"1", 0o640)
    write_atomically(tmp_path / "old", b"2", mode=0o755, durable=False)
    assert ((tmp_path / "old").read_bytes(), bits(tmp_path / "old")) == (b"2", 0o755)


def test_a_write_that_fails_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "inside").write_bytes(b"kept")
    with pytest.raises(OSError, match="target"):
        write_atomically(tmp_path / "target", b"1")
    assert (tmp_path / "target" / "inside").read_bytes() == b"kept"
    assert asides(tmp_path) == []


def test_who_reads_while_it_is_written_gets_the_old_or_the_new_and_never_half(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", (b"a" * 200_000, b"b" * 200_000)
    write_atomically(path, contents[0])
    enough = threading.Event()

    def write() -> None:
        number = 0
        while not enough.is_set():
            number += 1
            write_atomically(path, contents[number % 2], durable=False)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = {path.read_bytes() for _ in range(300)}
    finally:
        enough.set()
        writer.join()
    assert seen <= set(contents)
    assert asides(tmp_path) == []


def test_a_writer_that_is_killed_leaves_the_old_file_and_its_aside_can_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from resilience.host import files\n"
        "os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_atomically(Path(sys.argv[1]), b'new')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(asides(tmp_path)) == 1
    (tmp_path / ".other.x.aside").write_bytes(b"another file's")
    remove_asides(path)
    assert asides(tmp_path) == [".other.x.aside"]


def test_our_folder_in_a_teams_repository_is_ignored_by_git_from_its_first_file_on(tmp_path: Path) -> None:
    write_atomically(tmp_path / ".resilience" / "state" / "journal.json", b"{}")
    ignored = tmp_path / ".resilience" / ".gitignore"
    assert ignored.read_text() == "*\n"
    ignored.write_text("a team's own\n")
    make_folder(tmp_path / ".resilience" / "outputs")
    assert ignored.read_text() == "a team's own\n"
    make_folder(tmp_path / "elsewhere" / "deep")
    assert [path.name for path in tmp_path.rglob(".gitignore")] == [".gitignore"]


def test_an_env_file_that_is_not_there_holds_nothing_and_a_broken_one_is_refused_by_line(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / "none") == {}
    (tmp_path / "good").write_text("A=1\nB='x y'\n")
    assert read_env_file(tmp_path / "good") == {"A": "1", "B": "x y"}
    (tmp_path / "broken").write_text("A=1\nno value here\n")
    with pytest.raises(SettingsError, match=r"broken:2"):
        read_env_file(tmp_path / "broken")


def test_a_scratch_folder_is_private_and_those_of_the_killed_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    for name in (f"lab-{gone.pid}-left", f"lab-{os.getppid()}-used", f"other-{gone.pid}-theirs", "lab-notes-mine"):
        (tmp_path / name).mkdir()
    folder = scratch("lab")
    assert bits(folder) == 0o700
    assert folder.name.startswith(f"lab-{os.getpid()}-")
    left = {path.name for path in tmp_path.iterdir()} - {folder.name}
    assert left == {f"lab-{os.getppid()}-used", f"other-{gone.pid}-theirs", "lab-notes-mine"}


def test_the_scratch_folders_of_the_killed_go_also_where_their_pid_is_anothers_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    names = (f"rb-{gone.pid}-a", f"resilience-tests-{os.getpid()}-recycled", f"resilience-tests-{os.getpid()}-mine")
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / names[0] / "raw").write_text("raw output")
    (tmp_path / f"rb-{gone.pid}-link").symlink_to(tmp_path)
    os.utime(tmp_path / names[1], (1_000_000_000, 1_000_000_000))
    assert {path.name for path in sweep()} == set(names[:2])
    assert {path.name for path in tmp_path.iterdir()} == {names[2], f"rb-{gone.pid}-link"}


def test_the_scratch_folder_goes_of_who_was_killed_and_not_yet_reaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where process 1 reaps nobody, as in many containers, a dead owner stays in the table of processes for ever."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as dead:
        left = tmp_path / f"resilience-tests-{dead.pid}-left"
        left.mkdir()
        dead.kill()
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
        assert sweep() == (left,)


def test_a_process_that_ends_while_it_is_looked_at_is_looked_at_again() -> None:
    """The folder of a kernel that ended between the two looks stayed: it seemed to be somebody's who has a starter."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        process = psutil.Process(ended.pid)
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert _is_without_starter(process), "a zombie has no environment"
    assert _is_without_starter(process)


def test_a_kernel_whose_starter_was_killed_is_waited_for_and_its_folder_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as starter:
        starter.wait()
    program = "import time; input(); time.sleep(0.5)"
    environ = {**os.environ, "JPY_PARENT_PID": str(starter.pid)}
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, env=environ) as kernel:
        left = tmp_path / f"resilience-tests-{kernel.pid}-left"
        left.mkdir()
        assert sweep() == (), "it may still write there"
        assert kernel.stdin is not None
        kernel.stdin.write(b"\n")
        kernel.stdin.close()
        assert sweep(within_s=30) == (left,)

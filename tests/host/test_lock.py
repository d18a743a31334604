"""One at a time may change something; who looks never stands in the way, and who waits is told for whom."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from resilience.core.errors import LockedError
from resilience.host.lock import Holder, holder, locked
from resilience.host.vantage import vantage

HOLD = """
import signal, sys
from pathlib import Path
from resilience.host.lock import locked
with locked(Path(sys.argv[1]), "test", run="2026-11-22/031407Z-x"):
    print("held", flush=True)
    signal.pause()
"""


@contextmanager
def other_process(state: Path, code: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    other = subprocess.Popen([sys.executable, "-c", code, str(state)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield other
    finally:
        other.kill()
        other.wait()
        assert other.stdout is not None
        other.stdout.close()


def sign(state: Path, **changes: object) -> None:
    me = Holder(verb="apply", pid=os.getpid(), created=psutil.Process().create_time(), user="u", host="h", since="now")
    state.mkdir(exist_ok=True)
    (state / "lock.json").write_text(json.dumps({**asdict(me), **changes}))


@contextmanager
def flock(state: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    state.mkdir(exist_ok=True)
    with (state / "lock").open("a+b") as file:
        fcntl.flock(file, how | fcntl.LOCK_NB)
        yield


def test_nobody_holds_what_was_never_locked_and_looking_makes_nothing(tmp_path: Path) -> None:
    assert holder(tmp_path / "state") is None
    assert not (tmp_path / "state").exists()


def test_the_holder_is_known_by_verb_pid_user_host_and_time(tmp_path: Path) -> None:
    with other_process(tmp_path) as other:
        who = holder(tmp_path)
        assert who is not None
        assert (who.verb, who.pid, who.run) == ("test", other.pid, "2026-11-22/031407Z-x")
        assert (who.user, who.host) == (vantage().user, vantage().host)
        with (
            pytest.raises(LockedError, match=rf"resilience test, pid {other.pid}\) since 20\d\d-") as caught,
            locked(tmp_path, "apply"),
        ):
            pass
        assert caught.value.exit_code == 75
        assert "--take-over" in caught.value.hint


def test_a_holder_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    with other_process(tmp_path) as other:
        other.kill()
        other.wait()
        assert (tmp_path / "lock.json").exists()
        assert holder(tmp_path) is None
        with locked(tmp_path, "restore"):
            who = holder(tmp_path)
            assert who is not None
            assert who.verb == "restore"
    assert holder(tmp_path) is None


def test_who_looks_at_the_very_moment_does_not_stand_in_the_way(tmp_path: Path) -> None:
    looked = threading.Event()

    def look() -> None:
        with flock(tmp_path, fcntl.LOCK_SH):
            looked.set()
            threading.Event().wait(0.05)

    thread = threading.Thread(target=look)
    thread.start()
    looked.wait()
    with locked(tmp_path, "apply"):
        pass
    thread.join()


def test_who_looks_before_the_holder_has_signed_is_told_the_holder_and_not_nobody(tmp_path: Path) -> None:
    with flock(tmp_path):
        thread = threading.Timer(0.05, sign, (tmp_path,))
        thread.start()
        who = holder(tmp_path)
        thread.join()
    assert who is not None
    assert who.verb == "apply"


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path, "apply"):
        raise ZeroDivisionError
    assert holder(tmp_path) is None
    with locked(tmp_path, "apply"):
        pass


def test_two_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    with locked(tmp_path, "apply"), pytest.raises(LockedError), locked(tmp_path, "test"):
        pass


def test_a_child_started_inside_does_not_inherit_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path, "apply"):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        assert holder(tmp_path) is None
        with locked(tmp_path, "test"):
            pass
    finally:
        child.kill()
        child.wait()
        assert child.stdin is not None
        child.stdin.close()


def test_a_holder_on_another_host_is_never_interrupted(tmp_path: Path) -> None:
    with flock(tmp_path):
        sign(tmp_path, host="elsewhere")
        with pytest.raises(LockedError, match="elsewhere"), locked(tmp_path, "restore", take_over=True):
            pass


def test_a_recycled_pid_is_not_taken_for_the_holder(tmp_path: Path) -> None:
    """Some other process that got the pid must neither be named nor get a signal."""
    with subprocess.Popen(["sleep", "30"]) as stranger:
        with flock(tmp_path):
            sign(tmp_path, pid=stranger.pid, created=1.0, host=vantage().host)
            with pytest.raises(LockedError, match="unknown"), locked(tmp_path, "restore", take_over=True):
                pass
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_damaged_signature_is_an_unknown_holder_not_a_crash(tmp_path: Path, text: str) -> None:
    with flock(tmp_path):
        (tmp_path / "lock.json").write_text(text)
        with pytest.raises(LockedError, match="another run holds the lock: unknown"), locked(tmp_path, "apply"):
            pass


def test_taking_over_interrupts_as_ctrl_c_would(tmp_path: Path) -> None:
    with other_process(tmp_path) as other:
        with locked(tmp_path, "restore", take_over=True):
            pass
        assert other.wait(10) in (-signal.SIGINT, 1)


def test_take_over_interrupts_the_holder_and_waits_for_it(tmp_path: Path) -> None:
    code = (
        "import sys, signal; from pathlib import Path; from resilience.host.lock import locked\n"
        "with locked(Path(sys.argv[1]), 'test'):\n"
        "    try: print('held', flush=True); signal.pause()\n"
        "    except KeyboardInterrupt: print('put down', flush=True)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with locked(tmp_path, "restore", take_over=True):
            assert other.stdout.readline() == "put down\n"
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert other.stdout is not None
        other.stdout.close()

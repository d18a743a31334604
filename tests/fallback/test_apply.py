"""Applying writes what the plan says, once, and never over somebody's edit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resilience.core.errors import EditedError, LockedError
from resilience.core.records import TestExecutionMode
from resilience.host.lock import holder, locked
from tests.kits.fallback_kit import apply_values
from tests.kits.records import config


def test_applying_again_over_an_edit_is_refused(tmp_path: Path) -> None:
    settings = config(tmp_path)
    apply_values(settings, {"A": "1"})
    settings.env_file.write_text("A=edited\n")
    with pytest.raises(EditedError):
        apply_values(settings, {"A": "2"})
    assert settings.env_file.read_text() == "A=edited\n"


def test_the_second_of_two_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    settings = config(tmp_path)
    with locked(settings.state, "test", run="r"):
        who = holder(settings.state)
        assert who is not None
        assert (who.verb, who.pid) == ("test", os.getpid())
        with pytest.raises(LockedError, match=f"resilience test, pid {os.getpid()}") as caught:
            apply_values(settings, {"A": "1"})
        assert caught.value.exit_code == 75
    assert holder(settings.state) is None


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


def test_applied_gives_its_environment_to_this_process_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A", "before")
    monkeypatch.delenv("B", raising=False)
    applied = apply_values(config(tmp_path), {"A": "1", "B": "2"})
    with applied.environ():
        assert (os.environ["A"], os.environ["B"]) == ("1", "2")
    assert (os.environ["A"], os.environ.get("B")) == ("before", None)


def test_the_mode_of_a_plan_is_written_into_the_file(tmp_path: Path) -> None:
    settings = config(tmp_path)
    apply_values(settings, {"A": "1"})
    assert f"mode {TestExecutionMode.DEGRADED.value}" in settings.env_file.read_text()

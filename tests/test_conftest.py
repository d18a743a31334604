"""The suite says the same under nohup and behind `&`, where signals are ignored and children inherit that."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_child_of_a_test_is_ended_by_a_hangup_and_an_interrupt(number: signal.Signals) -> None:
    ignores = f"import signal, sys; sys.exit(signal.getsignal({number.value}) is signal.SIG_IGN)"
    assert subprocess.run([sys.executable, "-c", ignores], timeout=30).returncode == 0

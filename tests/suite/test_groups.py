"""A command is ended with everything it started, and with nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil

from resilience.suite import groups
from resilience.suite.entering import RUN

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(left.pid, flush=True)
time.sleep(60)
"""


def started(run: str) -> tuple[subprocess.Popen[bytes], int]:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, start_new_session=True, env={**os.environ, RUN: run}
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


async def test_what_ignores_the_signal_and_what_left_the_group_is_ended_and_another_run_is_not() -> None:
    (mine, left), (other, others) = started("run-a"), started("run-b")
    try:
        assert groups.alive(mine.pid)
        assert set(groups.stragglers("run-a")) == {mine.pid, left}
        await groups.end(mine, "run-a", grace_s=0.2)
        assert mine.poll() is not None
        assert not groups.alive(mine.pid)
        assert groups.stragglers("run-a") == ()
        assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE
        assert other.poll() is None
        assert others in groups.stragglers("run-b")
    finally:
        await groups.end(other, "run-b", grace_s=0.0)
        for process in (mine, other):
            assert process.stdout is not None
            process.stdout.close()

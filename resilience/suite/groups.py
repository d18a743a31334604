"""End a command with everything it started: its process group, and whatever left it but carries the run's id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from resilience.suite.entering import RUN

KILLED_S = 5.0
"""How long is waited for the end of what was killed."""


def alive(group: int) -> bool:
    """Whether a process of this group still runs (zombies do not count)."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return any(True for _ in _members(group)) if Path("/proc/self/stat").exists() else True


def _members(group: int) -> list[int]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if (fields := _running(pid)) and int(fields[2]) == group]


def _running(pid: int) -> list[str]:
    """Return what the kernel tells of a process from its state on; empty where it has ended, reaped or not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
    return [] if fields[0] in ("Z", "X") else fields


def stragglers(run: str) -> tuple[int, ...]:
    """Return the processes that carry this run's id in their environment; only where there is a /proc."""
    needle = f"{RUN}={run}".encode()
    found = []
    try:
        entries = list(Path("/proc").iterdir())
    except OSError:
        return ()
    for entry in entries:
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if needle in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return tuple(found)


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


async def end(process: subprocess.Popen[bytes], run: str, *, gently: bool = False, grace_s: float = 3.0) -> None:
    """End the process's group: SIGINT first where `gently`, then SIGTERM, then SIGKILL; then what carries the run's id."""
    group = process.pid
    try:
        for number, wait_s in (((signal.SIGINT, grace_s),) if gently else ()) + ((signal.SIGTERM, grace_s),):
            _signal(group, number)
            until = time.monotonic() + wait_s
            # The end of foreign processes has no event to wait for.
            while time.monotonic() < until and (process.poll() is None or alive(group)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            if process.poll() is not None and not alive(group):
                break
    finally:
        # Also where this wait is cancelled: nothing of the tests may stay behind.
        _signal(group, signal.SIGKILL)
        killed = stragglers(run)
        for pid in killed:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=KILLED_S)
        _see_ended(killed)


def _see_ended(killed: tuple[int, ...]) -> None:
    """Return when what was killed has ended, at most 5 s later: a signal is sent before its receiver has ended.

    It could otherwise write on into what is read next. Nothing is awaited, for this runs also where the caller is cancelled.
    """
    until = time.monotonic() + KILLED_S
    while time.monotonic() < until and any(_running(pid) for pid in killed):
        time.sleep(0.002)

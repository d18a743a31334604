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


def alive(group: int) -> bool:
    """Whether a process of this group still runs (zombies do not count)."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return any(True for _ in _members(group)) if Path("/proc/self/stat").exists() else True


def _members(group: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in ("Z", "X") and int(fields[2]) == group:
            found.append(int(entry.name))
    return found


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
        for pid in stragglers(run):
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)

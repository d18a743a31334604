"""Turn a launch (command, environment, log) into a process whose identity can be proven later."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

KEEPER = str(Path(__file__).with_name("keeper.py"))
LOG_LIMIT = 5_000_000
"""Bytes of each of the two files of a kept command's log."""
LAUNCHER = str(Path(__file__).with_name("launch.py"))
PASSED_ON = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH"),
    *("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "RESILIENCE_STATE"),
)
"""What a server gets of our environment: never a secret of the team's."""
_KEPT = (sys.executable, "-I", "-S", KEEPER)
SIGINT, SIGTERM, SIGQUIT = int(signal.SIGINT), int(signal.SIGTERM), int(getattr(signal, "SIGQUIT", signal.SIGTERM))


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A server to run. `stop_signals` are tried in order, then SIGKILL; the first also ends it when its parent dies."""

    name: str
    argv: tuple[str, ...]
    cwd: str
    log: str
    stop_signals: tuple[int, ...] = (SIGTERM,)
    env: Mapping[str, str] = field(default_factory=dict)
    drop_root: str = ""
    """A folder that the server must own; with it the server does not run as uid 0. Empty: run as we are."""
    digest: str = ""
    """Names what the server was configured with: another digest means another server."""

    def command(self) -> list[str]:
        """Return the argv of the launcher, bound to the calling process as the parent.

        A keeper binds itself, unless it is not to run as root: only the launcher can see to that.
        """
        bound = ("--parent", str(os.getpid()), "--death-signal", str(self.stop_signals[0]))
        if self.argv[: len(_KEPT)] == _KEPT and not self.drop_root:
            return [*_KEPT, *bound, *self.argv[len(_KEPT) :]]
        drop = ("--drop", self.drop_root) if self.drop_root else ()
        return [sys.executable, "-I", "-S", LAUNCHER, *bound, *drop, "--", *self.argv]

    def environment(self) -> dict[str, str]:
        return {**minimal_environment(), **self.env}


def minimal_environment() -> dict[str, str]:
    """Return what a server needs of our environment."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def import_path(inherited: str) -> str:
    """Return a PYTHONPATH under which a process of ours finds the same `resilience` as we run."""
    ours = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([ours, *(part for part in inherited.split(os.pathsep) if part and part != ours)])


def as_bytes(text: str) -> bytes:
    """Return a text for a command line or an environment, whatever the locale: where it is ASCII alone Python encodes no other."""
    return text.encode("utf-8", "surrogateescape")


def kept(argv: Sequence[str], log: Path) -> tuple[str, ...]:
    """Return the argv under which a command has a bounded log and leaves nothing running when it ends."""
    return (*_KEPT, "--log", str(log), "--limit", str(LOG_LIMIT), "--", *argv)


def bound(argv: Sequence[str]) -> tuple[str, ...]:
    """Return the argv under which a command ends with this process, also where that is killed (Linux)."""
    parent = ("--parent", str(os.getpid()), "--death-signal", str(SIGTERM))
    return (sys.executable, "-I", "-S", LAUNCHER, *parent, "--", *argv)


def spawn(launch: Launch) -> subprocess.Popen[bytes]:
    """Start the server, in a process group of its own, writing to its log.

    It ends when the calling *thread* ends (PR_SET_PDEATHSIG is bound to the thread that forked): call from one that stays.
    """
    with private_log(Path(launch.log)) as log:
        return subprocess.Popen(
            launch.command(),
            cwd=launch.cwd,
            env=launch.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )


def private_log(path: Path) -> BinaryIO:
    """Open a log for appending, which only we may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))


class Child:
    """A server as a plain child of this process, for the lab and for tests: ends with the thread that started it."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def spawn(self) -> None:
        if not self.alive:
            self.process = spawn(self.launch)

    async def stop(self, *, grace_s: float = 5.0) -> None:
        """End it, politely first. Returns when the process is gone."""
        if self.process is None:
            return
        for number in (*self.launch.stop_signals, int(signal.SIGKILL)):
            if self.process.poll() is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self.process.wait, grace_s)
        self.process = None


def identity(pid: int) -> str:
    """Return what tells this process from a later one with the same pid; empty where there is none, or a dead one.

    Linux: the boot and the start in clock ticks, which no change of the clock moves. Elsewhere: psutil's creation time.
    """
    if pid <= 0:
        return ""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        # The name in parentheses may hold spaces and parentheses itself.
        words = stat[stat.rindex(")") + 2 :].split()
        return "" if words[0] in "ZX" else f"{_boot()}:{words[19]}"
    import psutil  # slow to import, and on Linux /proc tells the same

    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return ""


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:13]
    except OSError:
        return "boot"


def is_alive(pid: int | None, known: str) -> bool:
    """Say whether the process that was recorded with this identity still lives."""
    return bool(pid and known and identity(pid) == known)


def send(pid: int, known: str, number: int) -> bool:
    """Signal the recorded process and no other that may have got its pid since; False where it is gone."""
    try:
        handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    except OSError:
        return False
    try:
        if identity(pid) != known:
            return False
        if handle is None:
            os.kill(pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        if handle is not None:
            os.close(handle)
    return True


async def run(
    argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None, cwd: str | Path | None = None
) -> tuple[int, str]:
    """Run a short command to its end; return its exit code and its output. TimeoutError ends it with all of its group."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=dict(env) if env is not None else None,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return process.returncode or 0, output.decode("utf-8", "replace")

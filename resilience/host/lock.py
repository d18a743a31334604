"""Hold the checkout's lock while something changes, or say who holds it since when."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from resilience.core.errors import LockedError
from resilience.host.files import make_private_folder, write_atomically
from resilience.host.vantage import vantage

_SETTLE_S = 0.6
"""Seconds to find out who holds the lock: a reader asks for an instant, and a holder signs just after taking it."""

_TAKE_OVER_S = 20.0
"""Seconds the former holder has to end its tests and save its report after being interrupted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds the lock. `created` is the process's start time, so that a recycled pid is never taken for it."""

    verb: str
    pid: int
    created: float
    user: str
    host: str
    since: str
    run: str = ""

    def __str__(self) -> str:
        return f"{self.user}@{self.host} (resilience {self.verb}, pid {self.pid}) since {self.since}"


def holder(state: Path) -> Holder | None:
    """Return who holds the lock now, or None. Never waits and never takes it."""
    path = state / "lock"
    until = time.monotonic() + _SETTLE_S
    with suppress(FileNotFoundError, PermissionError), path.open("rb") as file:
        while not _try(file.fileno(), fcntl.LOCK_SH):
            if (who := _read(state)) is not None or time.monotonic() > until:
                return who
            time.sleep(0.01)
    return None


@contextmanager
def locked(state: Path, verb: str, *, run: str = "", take_over: bool = False) -> Iterator[None]:
    """Hold the lock inside; raises LockedError (exit code 75) at once where another holds it.

    `take_over` interrupts the holder on this host as Ctrl-C would and waits until it has put down its work.
    """
    make_private_folder(state)
    with open(state / "lock", "a+b", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        until = time.monotonic() + _SETTLE_S
        while not (taken := _try(file.fileno())) and _read(state) is None and time.monotonic() < until:
            time.sleep(0.01)
        if not taken:
            who = _read(state)
            if not take_over:
                raise LockedError(
                    f"another run holds the lock: {who or 'unknown'}.",
                    hint=f"wait, or hand over safely: resilience {verb} --take-over",
                )
            _interrupt(who)
            deadline = time.monotonic() + _TAKE_OVER_S
            while not _try(file.fileno()):
                if time.monotonic() > deadline:
                    raise LockedError(
                        f"{who or 'the holder'} was interrupted but has not let go after {_TAKE_OVER_S:g} s.",
                        hint="resilience status --hand-over",
                    )
                time.sleep(0.05)
        seen = vantage()
        me = Holder(
            verb=verb,
            pid=os.getpid(),
            created=psutil.Process().create_time(),
            user=seen.user,
            host=seen.host,
            since=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            run=run,
        )
        with suppress(OSError):  # a full disk: the lock holds without its name, and an undo needs no room
            write_atomically(state / "lock.json", json.dumps(asdict(me)).encode(), mode=0o600, durable=False)
        try:
            yield
        finally:
            with suppress(FileNotFoundError):
                (state / "lock.json").unlink()


def _try(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(state: Path) -> Holder | None:
    """Return who signed last; one whose process on this host is gone held it before, not now."""
    try:
        who = Holder(**json.loads((state / "lock.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return None if who.host == vantage().host and not _lives(who) else who


def _lives(who: Holder) -> bool:
    try:
        return bool(abs(psutil.Process(who.pid).create_time() - who.created) < 1)
    except psutil.NoSuchProcess:
        return False


def _interrupt(who: Holder | None) -> None:
    here = vantage().host
    if who is None or who.host != here:
        raise LockedError(
            f"the lock is held by {who or 'an unknown process'}, not by a process of this host ({here}).",
            hint="run --take-over on that host",
        )
    if _lives(who):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(who.pid).send_signal(signal.SIGINT)

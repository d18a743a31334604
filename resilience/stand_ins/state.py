"""Turn state.json into the processes that the supervisor wrote down, and end them where it is gone itself."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from resilience.host.processes import is_alive, send

GRACE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A service as the supervisor last wrote it down. `ended` is how it ended, empty while it lives.

    `identity` is pid and start together, by which a recycled pid is never taken for it; `digest` names its
    configuration.
    """

    name: str
    pid: int
    identity: str
    started_at: float
    log: str
    digest: str = ""
    stop_signals: tuple[int, ...] = ()
    ended: str = ""

    @property
    def alive(self) -> bool:
        return not self.ended and is_alive(self.pid, self.identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What `state.json` says.

    `pid` is the supervisor's. `lease_ends_at` is in seconds since 1970.
    """

    pid: int = 0
    identity: str = ""
    services: Mapping[str, Running]
    warning: str = ""
    lease_ends_at: float | None = None

    @property
    def alive(self) -> bool:
        return is_alive(self.pid, self.identity)


def read_state(folder: Path) -> State:
    """Return the state as last written; an empty one where there is none. A cut or foreign file counts as none."""
    try:
        raw = json.loads((folder / "state.json").read_bytes())
        services = {
            name: Running(**{**item, "stop_signals": tuple(item["stop_signals"])})
            for name, item in raw["services"].items()
        }
        return State(
            pid=int(raw["pid"]),
            identity=str(raw["identity"]),
            services=services,
            warning=str(raw.get("warning", "")),
            lease_ends_at=raw.get("lease_ends_at"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return State(services={})


def write_whole(path: Path, value: object) -> None:
    """Write JSON aside, then rename: a reader sees the old text or the new one, never half of it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(aside, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(json.dumps(value).encode())
    os.replace(aside, path)


def end_recorded(service: Running) -> None:
    """End a process that was written down and has no supervisor any more: its signals in order, then SIGKILL.

    Each signal has 5 s. Only a process of the recorded identity is sent one.
    """
    for number in (*service.stop_signals, int(signal.SIGKILL)):
        if not service.alive or not send(service.pid, service.identity, number):
            return
        wait_gone(service.pid, service.identity, GRACE_S)


def wait_gone(pid: int, known: str, timeout_s: float = 5.0) -> None:
    """Return when this process, and no later one with its pid, is gone, or after the time-out."""
    until = time.monotonic() + timeout_s
    while is_alive(pid, known) and time.monotonic() < until:
        time.sleep(0.003)


def last_line(path: Path) -> str:
    """Return the last line of a log, cut at 300 characters; empty where there is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""

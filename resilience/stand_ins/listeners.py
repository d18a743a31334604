"""Turn a port of this machine into the process that listens on it, as far as this user may see."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import psutil

from resilience.stand_ins.owners import Mark, mark_above


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who listens on a port, as far as this user may see."""

    pid: int | None = None
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid else "a process that this user may not see"


def listener(port: int, likely: Iterable[int] = ()) -> Listener:
    """Find who listens on the port; the `likely` pids are asked first, as a walk through all processes takes 20 ms and more.

    Without a pid where nothing listens, or where it belongs to a user whose processes we may not see.
    """
    with contextlib.suppress(psutil.Error, OSError):
        pid = _listening_pid(port, likely) if sys.platform == "linux" else _listening_pid_by_psutil(port)
        if pid:
            return Listener(pid=pid, name=psutil.Process(pid).name())
    return Listener()


def _listening_pid(port: int, likely: Iterable[int]) -> int | None:
    """Return the process that holds a listening socket of this port, by the kernel's tables (state 0A is LISTEN)."""
    # Not psutil.net_connections, which gives up altogether when some process ends while it looks.
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{words[9]}]")
    if not sockets:
        return None
    everybody = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit())
    return next((pid for pid in chain(likely, everybody) if _has(pid, sockets)), None)


def _has(pid: int, sockets: Collection[str]) -> bool:
    """Whether a process holds one of these sockets, as far as we may see."""
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as handles:
        for handle in handles:
            with contextlib.suppress(OSError):
                if os.readlink(handle.path) in sockets:
                    return True
    return False


def _listening_pid_by_psutil(port: int) -> int | None:
    for connection in psutil.net_connections("tcp"):
        if (
            connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid
        ):
            return int(connection.pid)
    return None


def mark_of_process(pid: int | None) -> Mark | None:
    """Return the mark of the checkout that runs this process, by the folder it works in; None where that is not told."""
    if not pid:
        return None
    with contextlib.suppress(psutil.Error, OSError):
        return mark_above(Path(psutil.Process(pid).cwd()))
    return None

"""Turn the wish to keep the stand-ins into lease.json: since when nobody has asked for them, and who holds them."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resilience.host.processes import identity, is_alive
from resilience.stand_ins.locks import lock
from resilience.stand_ins.state import write_whole

LEASE_S = 8 * 3600.0

WARN_S = 15 * 60.0
LOCK_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """How long stand-ins stay when nobody asks for them, and what puts the env file back before they end.

    Seconds: 8 hours by default, which is a shift, with a warning 15 minutes before. `retry_s` is the pause after a
    hook that failed; `hook` is a command with its arguments, empty for none.
    """

    seconds: float = LEASE_S
    warn_s: float = WARN_S
    hook: tuple[str, ...] = ()
    hook_cwd: str = "/"
    retry_s: float = 60.0


def touch(folder: Path) -> None:
    """Begin the lease anew: somebody wants the stand-ins."""
    _change_lease(folder, lambda holds: holds)


def hold(folder: Path, reason: str) -> None:
    """Keep the stand-ins while this process lives, or until `release`."""
    mine = {"pid": os.getpid(), "identity": identity(os.getpid()), "reason": reason, "since": time.time()}
    _change_lease(folder, lambda holds: [*holds, mine])


def release(folder: Path, reason: str = "") -> None:
    """End this process's hold of this reason, or all of its holds; the lease begins anew."""
    _change_lease(
        folder,
        lambda holds: [item for item in holds if item["pid"] != os.getpid() or (reason and item["reason"] != reason)],
    )


def read_lease(folder: Path) -> tuple[float, tuple[dict[str, Any], ...]]:
    """Return when the lease began (seconds since the epoch, 0 where never), and the holds of processes that live.

    A hold counts while its process lives, known by pid and start: a recycled pid holds nothing.
    """
    try:
        raw = json.loads((folder / "lease.json").read_bytes())
        holds = tuple(item for item in raw["holds"] if is_alive(int(item["pid"]), str(item["identity"])))
        return float(raw["touched_at"]), holds
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0, ()


def _change_lease(folder: Path, change: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(folder / "lease.lock", "ab") as file:
        # Held for one small write. Where its holder was stopped, we go on without: the file is whole in any case, and at
        # worst a hold is lost that another process writes at the same moment.
        lock(file, timeout_s=LOCK_S)
        _, holds = read_lease(folder)
        write_whole(folder / "lease.json", {"touched_at": time.time(), "holds": list(change(list(holds)))})

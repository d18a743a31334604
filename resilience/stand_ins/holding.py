"""Turn the wish to keep a checkout's stand-ins while something runs into a hold, and say when they are about to end."""

from __future__ import annotations

from pathlib import Path

from resilience.stand_ins import lease
from resilience.stand_ins.checkout import Folders, supervised_folder
from resilience.stand_ins.state import read_state


def hold(folders: Folders, reason: str) -> None:
    """Keep the stand-ins from ending by themselves while this process lives, or until `release`.

    Without any, nothing is done.

    Several holds may be there at once, also of one process: `reason` tells them apart.
    """
    if folder(folders).is_dir():
        lease.hold(folder(folders), reason)


def release(folders: Folders, reason: str = "") -> None:
    """End this process's hold of that reason (empty: all of its holds); the lease begins anew."""
    if folder(folders).is_dir():
        lease.release(folder(folders), reason)


def warning(folders: Folders) -> str:
    """Return the supervisor's warning that the stand-ins are about to end, or an empty text."""
    state = read_state(folder(folders))
    return state.warning if state.alive else ""


def folder(folders: Folders) -> Path:
    """Return the supervisor's folder of this checkout."""
    return supervised_folder(folders)

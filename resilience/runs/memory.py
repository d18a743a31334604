"""Remember across runs: the last look at staging, the history of the looks before it, and which code and versions ran."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from resilience.core.records import ConnectivityStatus, Incident, Sample
from resilience.core.settings import Settings
from resilience.host.files import make_private_folder, write_atomically

if TYPE_CHECKING:
    from resilience.runs.history import History

_SHORT_S = 0.2
"""Seconds that pruning waits for another process: it can be done at the end of any other report."""


def note_snapshot(state: Path, document: bytes) -> None:
    """Keep the last look at all services for `is_service_available`; only lost where the folder cannot be written."""
    with suppress(OSError):
        make_private_folder(state)
        write_atomically(snapshot(state), document, mode=0o600, durable=False)


def snapshot(state: Path) -> Path:
    """Return where the last look at all services is kept."""
    return state / "snapshot.json"


def commit(root: Path) -> str:
    """Return the commit checked out in the repository at or above `root`, or nothing; no git is run.

    Read from .git itself, in worktrees too: git may be missing, slow, or ask for trust in the folder.
    """
    for folder in (root, *root.parents):
        git = folder / ".git"
        with suppress(OSError):
            if git.is_file():
                git = (folder / git.read_text().partition(":")[2].strip()).resolve()
            head = (git / "HEAD").read_text().strip()
            if not head.startswith("ref:"):
                return head[:40]
            ref = head[4:].strip()
            with suppress(OSError):
                return (git / ref).read_text().strip()[:40]
            for line in (git / "packed-refs").read_text().splitlines():
                if line.endswith(f" {ref}"):
                    return line.split()[0][:40]
            return ""
    return ""


def versions() -> dict[str, str]:
    """Return the versions that a reader of the report may ask for.

    A package that is not installed is left out.
    """
    found = {"python": platform.python_version()}
    for name in ("resilience-runbook", "papermill", "asyncpg", "redis"):
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _file(settings: Settings) -> Path:
    """A drill's outages are not the team's: they have a history of their own."""
    return settings.outputs / ("drills.sqlite" if settings.drill else "history.sqlite")


def history(settings: Settings) -> History | None:
    """Return the history of this checkout, or None where it cannot be opened; the report is made without it."""
    # Here and in `prune`, as the history brings SQLite and the report's columns, which a look does without.
    from resilience.runs.history import History, HistoryError

    try:
        return History(_file(settings))
    except (OSError, HistoryError):
        return None


def record(settings: Settings, incident: Incident, samples: Sequence[Sample]) -> None:
    """Add samples to the history; a history that cannot be written keeps nobody from working."""
    kept = history(settings)
    if kept is not None:
        with kept, suppress(OSError):
            kept.record(samples, incident)


def down_since(settings: Settings, incident: Incident) -> datetime | None:
    """Return since when the outage that lasts does so, over runs; None where there is none.

    It is that of the critical services that are down, as the escalation counts these, else of all that are unwell now.
    """
    if not _file(settings).exists():
        return None
    kept = history(settings)
    if kept is None:
        return None
    with kept:
        return kept.down_since(incident.environment, good=settings.recovery.good, services=_counted(incident))


def _counted(incident: Incident) -> tuple[str, ...] | None:
    health = incident.latest or incident.health
    if health is None:
        return None
    down = [result for result in health.services if result.status is ConnectivityStatus.UNAVAILABLE]
    unwell = [result.name for result in health.services if result.status is ConnectivityStatus.DEGRADED]
    return tuple(result.name for result in down if result.critical) or (*(result.name for result in down), *unwell)


def suite_failures(settings: Settings) -> int:
    """Return how many test suite runs before this one were lost to infrastructure in a row."""
    if not _file(settings).exists():
        return 0
    kept = history(settings)
    if kept is None:
        return 0
    with kept:
        return kept.suite_failures_in_a_row(settings.environment)


def prune(settings: Settings) -> None:
    """Forget what the history keeps no longer. Never in the way: bounded, and left out while another process writes."""
    import sqlite3

    from resilience.runs.history import History, HistoryError

    if not _file(settings).exists():
        return
    with suppress(OSError, HistoryError, sqlite3.Error), History(_file(settings), busy_timeout_s=_SHORT_S) as kept:
        kept.prune(settings.history.keep_days)

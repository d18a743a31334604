"""Remember across runs: the last look at staging, the history of the looks before it, and which code and versions ran."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from resilience.core.errors import RecordError
from resilience.core.records import Incident, Sample, TestExecutionMode
from resilience.core.redact import Redactor
from resilience.core.settings import Settings
from resilience.host.demand import on_demand
from resilience.host.files import make_private_folder, write_atomically

with on_demand():
    import importlib.metadata

    from resilience.core import codec
    from resilience.runs import forwarding

if TYPE_CHECKING:
    from resilience.runs.history import History

LOOKS = "looks/"
"""What the names of looks without a run begin with, such as those of `assess` and `watch`: they are kept as runs are."""
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


def history_file(settings: Settings) -> Path:
    """A drill's outages are not the team's: they have a history of their own."""
    return settings.outputs / ("drills.sqlite" if settings.drill else "history.sqlite")


def history(settings: Settings, **limits: float) -> History | None:
    """Return the history of this checkout, or None where it cannot be opened; the report is made without it.

    `limits` are those of `History`.
    """
    # Here, as the history brings SQLite and the report's columns, which a look does without.
    from resilience.runs.history import History, HistoryError

    try:
        return History(history_file(settings), redact=Redactor(settings.secrets).text, **limits)
    except (OSError, HistoryError):
        return None


@contextmanager
def quietly() -> Iterator[None]:
    """Let trouble while the history is used stop nobody: one that is locked or damaged costs only what it would have told."""
    # Here, as in `history`.
    import sqlite3

    with suppress(OSError, sqlite3.Error):
        yield


def record(settings: Settings, incident: Incident, samples: Sequence[Sample]) -> bool:
    """Add samples to the history, and say whether they are in it; one that cannot be written keeps nobody from working.

    Where hosts share one, it is told as well, or as soon as it answers.
    """
    if settings.history.shared:
        with suppress(OSError):
            forwarding.pass_on(settings, samples, incident)
    kept = history(settings)
    if kept is None:
        return False
    with kept, suppress(OSError):
        kept.record(samples, incident)
        return not kept.spool.is_dir()
    return False


def has_history(settings: Settings) -> bool:
    """Say whether there is a history here, without making one."""
    return history_file(settings).exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What runs said of an outage. `fallback_s` and `held_back` are by run, as a run may be recorded again."""

    cause: str = ""
    fallback_s: Mapping[str, float] = field(default_factory=dict)
    held_back: Mapping[str, int] = field(default_factory=dict)


def facts_of(text: str) -> Facts:
    """Return the facts as they were kept; none where there are none, or they cannot be read."""
    try:
        return codec.from_json(text, Facts) if text else Facts()
    except RecordError:
        return Facts()


def facts_text(facts: Facts) -> str:
    return codec.to_json(facts, indent=0).decode()


def fallback_seconds(incident: Incident) -> float:
    """Return how long this run kept tests in a mode other than full: from applied to restored, else as long as its tests."""
    applied, restored, tests = incident.applied, incident.restored, incident.tests
    if applied is not None and applied.mode is not TestExecutionMode.FULL:
        until = restored.restored_at if restored else incident.finished_at or applied.applied_at
        return max((until - applied.applied_at).total_seconds(), 0.0)
    return tests.duration_s if tests is not None and tests.mode is not TestExecutionMode.FULL else 0.0


def held_back(incident: Incident) -> int:
    """Return how many tests of this run were held back or lost to infrastructure."""
    return incident.tests.totals.infrastructure_unavailable if incident.tests is not None else 0


def prune(settings: Settings) -> None:
    """Forget what the history keeps no longer. Never in the way: bounded, and left out while another process writes."""
    kept = history(settings, busy_timeout_s=_SHORT_S) if has_history(settings) else None
    if kept is not None:
        with quietly(), kept:
            kept.prune(settings.history.keep_days)

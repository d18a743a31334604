"""Pass on to the history that hosts share what this host's keeps, from a folder in which nothing is lost meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from resilience.core.errors import ResilienceError
from resilience.core.records import Incident, Sample
from resilience.core.redact import Redactor
from resilience.core.settings import Settings
from resilience.host.demand import on_demand
from resilience.runs import spool

with on_demand():
    from resilience.runs import shared

QUIET_S = 60.0
"""Seconds after a failure in which no run asks again: a database that is away must not cost each look its time-out."""
_FAILED = ".failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """What was passed on: new samples, runs (of each as often as it was told), and what still waits, with the reason."""

    samples: int = 0
    records: int = 0
    waiting: int = 0
    why: str = ""
    notes: tuple[str, ...] = ()


def folder(settings: Settings) -> Path:
    """Return where what is to be passed on waits."""
    return settings.outputs / "history-forward"


def pass_on(settings: Settings, samples: Sequence[Sample], incident: Incident) -> None:
    """Keep this for the shared history, and try to pass on what waits; nothing of a drill, which is no history of staging.

    On disk first: a process that is killed at any moment leaves it for the next one, and what was written twice counts
    once. Raises OSError where even the folder cannot be written.
    """
    if not settings.history.shared or settings.drill or incident.drill:
        return
    spool.put(folder(settings), samples, incident)
    if not _failed_lately(settings):
        forward(settings)


def forward(settings: Settings) -> Forwarded:
    """Pass on all that waits, oldest first. It never raises for a database that is away: what was not taken waits on."""
    here = folder(settings)
    if not spool.waiting(here):
        return Forwarded()
    samples = records = 0
    why = ""
    notes: list[str] = []
    try:
        with shared.SharedHistory(settings.history.shared.reveal(), redact=Redactor(settings.secrets).text) as theirs:
            for path, found, incident in spool.taken(here, notes):
                samples += theirs.record(found, incident)
                records += 1
                path.unlink(missing_ok=True)
    except ResilienceError as exc:
        why = exc.message
        with suppress(OSError):
            (here / _FAILED).touch()
    else:
        (here / _FAILED).unlink(missing_ok=True)
        spool.tidy(here)
    return Forwarded(samples=samples, records=records, waiting=len(spool.waiting(here)), why=why, notes=tuple(notes))


def _failed_lately(settings: Settings) -> bool:
    try:
        return time.time() - (folder(settings) / _FAILED).stat().st_mtime < QUIET_S
    except OSError:
        return False

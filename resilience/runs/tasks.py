"""Find what an incident leaves to do: its own records, what earlier runs of it left, who owns the tests, the last drill."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from resilience.core.codeowners import PLACES, owners
from resilience.core.errors import RecordError
from resilience.core.records import Incident, Task
from resilience.core.settings import Settings
from resilience.core.tasks import Owners, left_to_do, nobody
from resilience.runs import memory
from resilience.runs.folder import holds_run, read_incident
from resilience.runs.recalling import recalled_of

if TYPE_CHECKING:
    from resilience.runs.history import History

_LONGEST = 1 << 20


def with_tasks(settings: Settings, incident: Incident, history: History | None) -> Incident:
    """Return the incident with what is left to do and with what it repeats; a history that cannot be read costs only its part."""
    before: tuple[Task, ...] = ()
    known = incident
    repeat = incident.repeat_of
    if history is not None:
        with memory.quietly():
            notes = tuple(history.noted(incident))
            known = replace(incident, timeline=(*incident.timeline, *notes))
            before = _before(settings, incident, history)
            told = None if incident.drill else recalled_of(history, incident)
            repeat = told.again if told is not None else repeat
    tasks = left_to_do(
        known,
        before=before,
        owners=code_owners(settings.root),
        drilled_days=None if incident.drill else drilled(settings),
    )
    return replace(incident, left_to_do=tasks, repeat_of=repeat)


def _before(settings: Settings, incident: Incident, history: History) -> tuple[Task, ...]:
    """Return what the latest earlier run of the same incident left, which carries on what those before it had left.

    Runs of other hosts are not on this disk, and runs of before this list have none: both say nothing.
    """
    name = history.incident_of(incident)
    for past in reversed(history.incident_runs(name) if name else ()):
        folder = settings.outputs / past.run
        if past.run == incident.run or past.started_at > incident.started_at or not holds_run(folder):
            continue
        with suppress(RecordError, OSError):
            if tasks := read_incident(folder).left_to_do:
                return tasks
    return ()


def code_owners(root: Path) -> Owners:
    """Return who answers for a path by the repository's CODEOWNERS; nobody where there is none that can be read."""
    for place in PLACES:
        with suppress(OSError, UnicodeDecodeError):
            file = root / place
            if file.stat().st_size <= _LONGEST:
                return owners(file.read_text(encoding="utf-8"))
    return nobody


def drilled(settings: Settings) -> float:
    """Return how many days ago the last drill in these outputs began; below zero where there never was one."""
    drills = replace(settings, drill="drill")
    if not memory.has_history(drills) or (kept := memory.history(drills)) is None:
        return -1.0
    with kept, memory.quietly():
        found = [run.started_at for run in kept.runs(limit=1)]
        return (datetime.now(UTC) - found[0]).total_seconds() / 86_400 if found else -1.0
    return -1.0

"""Turn an incident into the stretches of time in which one mode was in force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from resilience.core.marks import NO_FALLBACK
from resilience.core.records import Applied, Incident


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeSpan:
    """How tests were run in this stretch of time."""

    mode: str
    start: datetime
    end: datetime


def applied_here(incident: Incident) -> Applied | None:
    """Return what the run applied; None where its mode changed nothing, of which there is a record too."""
    applied = incident.applied
    return applied if applied is not None and applied.env_file else None


def mode_spans(incident: Incident, starts: datetime, ends: datetime) -> tuple[ModeSpan, ...]:
    """Return what was in force from `starts` to `ends`: no fallback until one was applied, and after it ended.

    Full is one stretch, as it changes nothing. A fallback that was never restored is in force until the end. A mode that was
    only chosen, with nothing applied and no test run in it, was never in force.
    """
    decision, applied = incident.decision, applied_here(incident)
    if decision is None:
        return ()
    if applied is None and incident.tests is None and decision.mode.value != "full":
        return (ModeSpan(mode=NO_FALLBACK, start=starts, end=ends),)
    begin = applied.applied_at if applied else decision.decided_at
    mode = applied.mode if applied else decision.mode
    if incident.restored is not None and not incident.restored.nothing_to_do:
        finish = incident.restored.restored_at
    elif applied is None and incident.tests is not None:
        finish = incident.tests.started_at + timedelta(seconds=incident.tests.duration_s)
    else:
        finish = ends
    begin, finish = min(max(begin, starts), ends), max(min(finish, ends), min(max(begin, starts), ends))
    if mode.value == "full":
        return (ModeSpan(mode="full", start=starts, end=ends),)
    spans = (
        ModeSpan(mode=NO_FALLBACK, start=starts, end=begin),
        ModeSpan(mode=mode.value, start=begin, end=finish),
        ModeSpan(mode=NO_FALLBACK, start=finish, end=ends),
    )
    return tuple(one for one in spans if one.end > one.start)

"""Turn an outage into the few figures that people ask for: time to detect, mitigate and recover, and in each mode."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from resilience.core.marks import NO_FALLBACK
from resilience.core.records import Incident
from resilience.report.series import Line, Window, moment
from resilience.report.view.formats import span
from resilience.report.view.modes import ModeSpan, applied_here, mode_spans


def figures(
    incident: Incident, lines: Sequence[Line], window: Window | None, ends: datetime
) -> tuple[tuple[str, str, str], ...]:
    """Return label, value and what it was counted from; without an outage there is nothing to count.

    All are counted from the first bad sample. Where none was taken before our own first look, the time to detect says so, as
    the outage may have begun long before.
    """
    if window is None:
        return ()
    start = moment(window.start)
    rows = []
    health, applied = incident.health, applied_here(incident)
    if health is not None:
        detected = health.started_at + timedelta(seconds=health.duration_s)
        watched = any(line.at[0] < window.start for line in lines if len(line))
        meaning = (
            "first bad sample to the end of the assessment"
            if watched
            else "counted from our own first look; when it began is not known"
        )
        rows.append(("Time to detect", span(max(detected - start, timedelta(0))), meaning))
    if applied is not None and not applied.failed:
        took = max(applied.applied_at - start, timedelta(0))
        rows.append(("Time to mitigate", span(took), "first bad sample to the fallback applied"))
    if window.end is not None:
        took = moment(window.end) - start
        rows.append(("Time to recover", span(took), "first bad sample to the first of the lasting good ones"))
    else:
        rows.append(("Down so far", span(ends - start), "first bad sample to the last thing recorded"))
    rows += [
        (f"In mode {name}", span(total), _meaning(incident))
        for name, total in time_by_mode(mode_spans(incident, start, ends)).items()
        if name not in ("full", NO_FALLBACK) and total.total_seconds() > 0
    ]
    return tuple(rows)


def _meaning(incident: Incident) -> str:
    """Return from where to where the time in a mode was counted: only what was applied can be restored."""
    if applied_here(incident) is None:
        return "from its choice to the end of the tests; nothing was applied"
    restored = incident.restored is not None and not incident.restored.nothing_to_do
    return "from applied to restored" if restored else "from applied to the last thing recorded; not restored"


def time_by_mode(spans: Sequence[ModeSpan]) -> dict[str, timedelta]:
    """Return for how long each mode was in force, in the order in which they first were."""
    total: dict[str, timedelta] = {}
    for one in spans:
        total[one.mode] = total.get(one.mode, timedelta(0)) + (one.end - one.start)
    return total

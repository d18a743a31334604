"""Find the outage that all services are compared by, and from when to when the report looks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from resilience.core.records import Incident, StageName
from resilience.report.series import Columns, Line, Window, micros, moment, outage
from resilience.report.view.headline import unwell
from resilience.report.view.services import DOWN


def window_of(incident: Incident, lines: Sequence[Line]) -> Window | None:
    """Return the outage by which services are compared: the incident's own begin, and a confirmed recovery as its end.

    Without a begin on record the first look counts as one, where it found a service bad. A recovery that was
    confirmed wins over samples, as it took several in a row.
    """
    started = micros(incident.outage_started_at) if incident.outage_started_at else None
    if started is None and unwell(incident.health) and incident.health is not None:
        known = any(r.status in DOWN for r in incident.health.services)
        started = micros(incident.health.started_at) if known else None
    back = incident.recovery.first_good_at if incident.recovery and incident.recovery.recovered else None
    return outage(lines, started=started, ended=micros(back) if back else None)


def bounds(incident: Incident, columns: Columns, window: Window | None) -> tuple[datetime, datetime]:
    """Return from when to when the report looks: from the first sample to the last thing recorded, at least a second.

    The report's own stage is left out, as it has not ended while this is made.
    """
    starts = [incident.started_at]
    ends = [incident.started_at + timedelta(seconds=1)]
    for line in columns.lines.values():
        if len(line):
            starts.append(moment(line.at[0]))
            ends.append(moment(line.at[-1]))
    if window:
        starts.append(moment(window.start))
    ends += [event.at for event in incident.timeline]
    ends += [stage.finished_at for stage in incident.stages if stage.finished_at and stage.name is not StageName.REPORT]
    if incident.restored is not None:
        ends.append(incident.restored.restored_at)
    return min(starts), max(ends)

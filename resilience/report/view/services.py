"""Turn an incident and its samples into one row per service: how it was, how it is now, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from resilience.core.records import ConnectivityResult, ConnectivityStatus, Incident
from resilience.core.words import fault_phrase
from resilience.report.series import Line, intervals, moment

UNWELL = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED, ConnectivityStatus.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRow:
    """One service: how it was at the first look, how it is now, and why."""

    first: ConnectivityResult
    now: ConnectivityStatus
    since: datetime | None
    until: datetime | None
    down_s: float | None
    why: str
    stand_in: str = ""


def services(incident: Incident, lines: Sequence[Line]) -> tuple[ServiceRow, ...]:
    if incident.health is None:
        return ()
    by_name = {line.service: line for line in lines}
    standing = {
        one.service: f"{one.provider}{f' {one.version}' if one.version else ''}, "
        + (one.endpoint if one.ready else f"did not come up: {one.error}")
        for one in (incident.applied.stand_ins if incident.applied else ())
    }
    rows = []
    for result in incident.health.services:
        latest = incident.latest.result(result.name) if incident.latest else None
        since = until = None
        down: float | None = None
        line = by_name.get(result.name)
        if line is not None and len(line):
            bad = [one for one in intervals(line) if one.status in UNWELL[:2]]
            if bad:
                since = moment(bad[0].start)
                until = moment(bad[-1].end) if line.status_at(len(line) - 1) not in UNWELL[:2] else None
                down = sum(one.end - one.start for one in bad) / 1e6
        elif result.status in UNWELL:
            since = result.started_at
        now = latest.status if latest else result.status
        if line is not None and len(line):
            now = line.status_at(len(line) - 1)
        rows.append(
            ServiceRow(
                first=result,
                now=now,
                since=since,
                until=until,
                down_s=down,
                why=fault_phrase(result),
                stand_in=standing.get(result.name, ""),
            )
        )
    order = {status: place for place, status in enumerate(UNWELL)}
    return tuple(sorted(rows, key=lambda row: (order.get(row.first.status, 9), not row.first.critical)))

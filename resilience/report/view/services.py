"""Turn an incident and its samples into one row per service: how it was, how it is now, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from resilience.core.marks import FAULTS, STATUSES
from resilience.core.records import ConnectivityResult, ConnectivityStatus, Incident, InfrastructureHealth, StandIn
from resilience.core.words import fault_phrase, plural
from resilience.report.series import Line, intervals, moment

UNWELL = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED, ConnectivityStatus.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRow:
    """One service: how it was at the first look, how it is now, and why.

    `since` is the first time it was seen bad, `until` the last time it ceased to be, None while it is; `down_s` is
    all bad stretches together, in seconds.
    """

    first: ConnectivityResult
    now: ConnectivityStatus
    since: datetime | None
    until: datetime | None
    down_s: float | None
    why: str
    stand_in: str = ""

    @property
    def well(self) -> bool:
        """Whether nothing was ever wrong with it: such rows are folded into one line with their number."""
        known = (ConnectivityStatus.AVAILABLE, ConnectivityStatus.NOT_CONFIGURED)
        return self.first.status in known and self.now in known and not self.down_s


def well_line(rows: Sequence[ServiceRow]) -> str:
    """Return the sentence into which the rows that are not unwell are folded; one that was never asked was not well."""
    asked = [row for row in rows if row.well and row.first.status is not ConnectivityStatus.NOT_CONFIGURED]
    unasked = sum(row.well for row in rows) - len(asked)
    parts = (
        [f"{plural(len(asked), 'service')} {'was' if len(asked) == 1 else 'were'} well all the time"] if asked else []
    )
    return ", ".join([*parts, *([f"{unasked} not configured"] if unasked else [])])


DOWN = UNWELL[:2]
"""Statuses that are known to be bad; unknown is unwell, and yet no outage."""


def services(incident: Incident, lines: Sequence[Line]) -> tuple[ServiceRow, ...]:
    """Return a row per service of the first look, the worst and then the critical ones first.

    Samples know more than looks do: where a service has any, its status now and its bad stretches come from them.
    """
    if incident.health is None:
        return ()
    by_name = {line.service: line for line in lines if len(line)}
    standing = {one.service: _stand_in(one) for one in (incident.applied.stand_ins if incident.applied else ())}
    rows = [
        _row(result, incident.latest, by_name.get(result.name), standing.get(result.name, ""))
        for result in incident.health.services
    ]
    order = {status: place for place, status in enumerate(UNWELL)}

    def place(row: ServiceRow) -> tuple[object, ...]:
        return row.well, order.get(row.first.status, 9), not row.first.critical, -(row.down_s or 0.0)

    return tuple(sorted(rows, key=place))


def _row(
    result: ConnectivityResult, latest: InfrastructureHealth | None, line: Line | None, stand_in: str
) -> ServiceRow:
    seen = latest.result(result.name) if latest else None
    now = seen.status if seen else result.status
    since = result.started_at if result.status in UNWELL else None
    until = down = None
    why = fault_phrase(result)
    if line is not None:
        now = line.status_at(len(line) - 1)
        since, until, down = _bad(line)
        if down and result.status not in UNWELL:
            why = _fault_later(line)
    return ServiceRow(first=result, now=now, since=since, until=until, down_s=down, why=why, stand_in=stand_in)


def _fault_later(line: Line) -> str:
    """Return what was wrong with a service that was well at the first look: the fault of its first bad sample."""
    bad = next(index for index in range(len(line)) if line.status_at(index) in DOWN)
    fault = line.fault_at(bad)
    return f"later: {FAULTS[fault]}" if fault is not None else f"later: {STATUSES[line.status_at(bad)].word}"


def _bad(line: Line) -> tuple[datetime | None, datetime | None, float | None]:
    """Return when a service first was bad, when it last ceased to be, and for how long in all, in seconds."""
    bad = [one for one in intervals(line) if one.status in DOWN]
    if not bad:
        return None, None, None
    over = line.status_at(len(line) - 1) not in DOWN
    return moment(bad[0].start), moment(bad[-1].end) if over else None, sum(one.end - one.start for one in bad) / 1e6


def _stand_in(stand_in: StandIn) -> str:
    version = f" {stand_in.version}" if stand_in.version else ""
    where = stand_in.endpoint if stand_in.ready else f"did not come up: {stand_in.error}"
    return f"{stand_in.provider}{version}, {where}"

"""Turn an incident and its samples into one list of what happened, in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from resilience.core.marks import STATUSES
from resilience.core.records import ConnectivityStatus, Incident
from resilience.core.words import totals_line
from resilience.report.series import Line, Window, intervals, moment
from resilience.report.view.formats import span, when
from resilience.report.view.services import UNWELL


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the timeline."""

    at: datetime
    what: str
    detail: str = ""
    kind: str = "event"
    link: str = ""


def timeline(incident: Incident, lines: Sequence[Line], window: Window | None) -> tuple[Row, ...]:
    rows = [
        Row(at=event.at, what=event.what, detail=event.detail, kind=event.kind, link=event.link or "incident.json")
        for event in incident.timeline
    ]
    told = {event.kind for event in incident.timeline} | {event.what.lower() for event in incident.timeline}

    def add(at: datetime | None, what: str, kind: str, detail: str = "", link: str = "incident.json") -> None:
        near = at is not None and any(row.what == what and abs(row.at - at) < timedelta(seconds=2) for row in rows)
        if at is not None and kind not in told and not near:
            rows.append(Row(at=at, what=what, detail=detail, kind=kind, link=link))

    for line in lines:
        for one in intervals(line):
            if one.status in UNWELL[:2]:
                fault = next((line.fault_at(i) for i in range(len(line)) if line.at[i] >= one.start), None)
                add_detail = fault.value if fault else "slow"
                word = "no longer answers" if one.status is ConnectivityStatus.UNAVAILABLE else "degrades"
                rows.append(
                    Row(
                        at=moment(one.start),
                        what=f"{line.service} {word}",
                        detail=f"{add_detail}, for {span((one.end - one.start) / 1e6)}",
                        kind="bad",
                        link="samples.csv",
                    )
                )
    rows = _few(rows)
    if window is not None:
        if window.end is not None:
            add(moment(window.end), "all services answer again", "well", link="samples.csv")
        if not lines:
            add(moment(window.start), "first bad sample", "bad", link="samples.csv")
    health = incident.health
    if health is not None:
        add(
            health.started_at + timedelta(seconds=health.duration_s),
            f"assessed: {incident.environment} is {STATUSES[health.overall_status].word}",
            "detected",
        )
    if incident.decision is not None:
        add(incident.decision.decided_at, f"mode {incident.decision.mode.value} chosen", "mode")
    if incident.applied is not None:
        names = ", ".join(one.service for one in incident.applied.stand_ins)
        add(incident.applied.applied_at, "fallback applied", "applied", names)
    for suite, title in (
        (incident.tests, "tests"),
        (incident.critical_tests, "critical tests on staging"),
        (incident.full_tests, "full suite on staging"),
    ):
        if suite is not None:
            start, end = ("tests_started", "tests_finished") if title == "tests" else (title, f"{title} end")
            add(suite.started_at, f"{title} started", start, link="logs/")
            finished = suite.started_at + timedelta(seconds=suite.duration_s)
            add(finished, f"{title} finished", end, totals_line(suite.totals), link="junit.xml")
    if incident.recovery is not None:
        finished = incident.recovery.started_at + timedelta(seconds=incident.recovery.duration_s)
        add(finished, "recovery confirmed" if incident.recovery.recovered else "no recovery yet", "recovered")
    if incident.restored is not None and not incident.restored.nothing_to_do:
        same = "every byte as before" if incident.restored.identical else "not as before: see below"
        add(incident.restored.restored_at, "environment restored", "restored", same)
    return tuple(sorted(rows, key=lambda row: row.at))


def _few(rows: list[Row]) -> list[Row]:
    """Fold the changes of a flapping service into its first and a count, so that the table stays a story."""
    by_service: dict[str, list[Row]] = {}
    kept = []
    for row in rows:
        if row.kind == "bad" and row.link == "samples.csv":
            by_service.setdefault(row.what.split(" ", 1)[0], []).append(row)
        else:
            kept.append(row)
    for service, changes in by_service.items():
        if len(changes) <= 6:
            kept += changes
            continue
        kept += changes[:2]
        kept.append(
            Row(
                at=changes[2].at,
                what=f"{service} flaps",
                detail=f"{len(changes) - 2} more bad stretches until {when(changes[-1].at)}",
                kind="bad",
                link="samples.csv",
            )
        )
    return kept

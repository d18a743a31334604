"""Turn an incident and its samples into one list of what happened, in the order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from resilience.core.marks import STATUSES
from resilience.core.records import ConnectivityStatus, EventKind, Incident
from resilience.core.words import totals_line
from resilience.report.series import Line, Window, intervals, moment
from resilience.report.view.formats import span, when
from resilience.report.view.services import DOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the timeline.

    `link` names the file of the run's folder in which the data behind it are.
    """

    at: datetime
    what: str
    detail: str = ""
    kind: EventKind = EventKind.EVENT
    link: str = ""


def timeline(incident: Incident, lines: Sequence[Line], window: Window | None) -> tuple[Row, ...]:
    """Return what happened, in order: what was journaled, what samples show, and what the records imply besides.

    A record's row is left out where the journal tells of the same kind of event, or of the same thing within two seconds:
    the journal was written when it happened and wins.
    """
    rows = [
        Row(at=event.at, what=event.what, detail=event.detail, kind=event.kind, link=event.link or "incident.json")
        for event in incident.timeline
    ]
    told = {event.kind for event in incident.timeline} - {EventKind.EVENT}
    rows = _few([*rows, *_bad_stretches(lines)])
    for row in (*_outage(lines, window), *_records(incident)):
        near = any(other.what == row.what and abs(other.at - row.at) < timedelta(seconds=2) for other in rows)
        if row.kind not in told and not near:
            rows.append(row)
    return tuple(sorted(rows, key=lambda row: row.at))


def _bad_stretches(lines: Sequence[Line]) -> Iterator[Row]:
    """Return a row where each bad stretch of a service begins, with its first fault and how long it lasted."""
    for line in lines:
        for one in intervals(line):
            if one.status not in DOWN:
                continue
            fault = next((line.fault_at(i) for i in range(len(line)) if line.at[i] >= one.start), None)
            word = "no longer answers" if one.status is ConnectivityStatus.UNAVAILABLE else "degrades"
            yield Row(
                at=moment(one.start),
                what=f"{line.service} {word}",
                detail=f"{fault.value if fault else 'slow'}, for {span((one.end - one.start) / 1e6)}",
                kind=EventKind.BAD,
                link="samples.csv",
            )


def _outage(lines: Sequence[Line], window: Window | None) -> Iterator[Row]:
    if window is None:
        return
    if window.end is not None:
        yield Row(at=moment(window.end), what="all services answer again", kind=EventKind.WELL, link="samples.csv")
    if not lines:
        yield Row(at=moment(window.start), what="first bad sample", kind=EventKind.BAD, link="samples.csv")


def _records(incident: Incident) -> Iterator[Row]:
    """Return a row for each stage's record; they are what a run without a journal, or of an older version, still tells."""
    health, decision, applied = incident.health, incident.decision, incident.applied
    if health is not None:
        what = f"assessed: {incident.environment} is {STATUSES[health.overall_status].word}"
        yield _row(health.started_at + timedelta(seconds=health.duration_s), what, EventKind.DETECTED)
    if decision is not None:
        yield _row(decision.decided_at, f"mode {decision.mode.value} chosen", EventKind.MODE)
    if applied is not None:
        yield _row(
            applied.applied_at,
            "fallback applied",
            EventKind.APPLIED,
            ", ".join(one.service for one in applied.stand_ins),
        )
    yield from _suites(incident)
    recovery, restored = incident.recovery, incident.restored
    if recovery is not None:
        finished = recovery.started_at + timedelta(seconds=recovery.duration_s)
        yield _row(finished, "recovery confirmed" if recovery.recovered else "no recovery yet", EventKind.RECOVERED)
    if restored is not None and not restored.nothing_to_do:
        same = "every byte as before" if restored.identical else "not as before: see below"
        yield _row(restored.restored_at, "environment restored", EventKind.RESTORED, same)


def _suites(incident: Incident) -> Iterator[Row]:
    """Return the start and the end of each run of tests; only those of the first have kinds that charts mark."""
    for suite, title, kinds in (
        (incident.tests, "tests", (EventKind.TESTS_STARTED, EventKind.TESTS_FINISHED)),
        (incident.critical_tests, "critical tests on staging", (EventKind.EVENT, EventKind.EVENT)),
        (incident.full_tests, "full suite on staging", (EventKind.EVENT, EventKind.EVENT)),
    ):
        if suite is not None:
            yield _row(suite.started_at, f"{title} started", kinds[0], link="logs/")
            finished = suite.started_at + timedelta(seconds=suite.duration_s)
            yield _row(finished, f"{title} finished", kinds[1], totals_line(suite.totals), link="junit.xml")


def _row(at: datetime, what: str, kind: EventKind, detail: str = "", link: str = "incident.json") -> Row:
    return Row(at=at, what=what, detail=detail, kind=kind, link=link)


def _few(rows: list[Row]) -> list[Row]:
    """Fold the changes of a flapping service into its first and a count, so that the table stays a story."""
    by_service: dict[str, list[Row]] = {}
    kept = []
    for row in rows:
        if row.kind is EventKind.BAD and row.link == "samples.csv":
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
                kind=EventKind.BAD,
                link="samples.csv",
            )
        )
    return kept

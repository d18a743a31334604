"""Turn an incident and its samples into its impact: how long, which services, how many tests, in which modes, and who was told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from resilience.core.marks import NO_FALLBACK
from resilience.core.records import EventKind, Incident, TestExecutionMode
from resilience.core.tasks import ACKNOWLEDGED, PUBLISHED
from resilience.core.words import listing, plural
from resilience.report.series import Line, Window, moment
from resilience.report.view.figures import time_by_mode
from resilience.report.view.formats import percent, span, when
from resilience.report.view.modes import mode_spans
from resilience.report.view.services import DOWN, ServiceRow

NOBODY = "nobody, as far as this run knows: resilience publish tells people, resilience ack says who looks after it"
NAMED = 6
"""Services named at most; the others are counted."""


def impact(
    incident: Incident, rows: Sequence[ServiceRow], lines: Sequence[Line], window: Window | None, ends: datetime
) -> tuple[tuple[str, str], ...]:
    """Return label and value of what the outage cost; nothing where staging was well all the time."""
    bad = [row for row in rows if row.down_s or row.first.status in DOWN]
    if window is None and not bad:
        return ()
    return tuple(
        (label, value)
        for label, value in (
            ("Lasted", _lasted(window, ends)),
            ("Services", _services(bad, rows)),
            ("Tests", _tests(incident)),
            ("Modes", _modes(incident, window, ends)),
            ("Who was told", told(incident)),
        )
        if value
    )


def _lasted(window: Window | None, ends: datetime) -> str:
    if window is None:
        return "not known: no bad sample is dated"
    start = moment(window.start)
    if window.end is None:
        return f"{span(ends - start)} so far, since {when(start, day=True)} UTC; it is not over"
    end = moment(window.end)
    return f"{span(end - start)}, from {when(start, day=True)} to {when(end, day=start.date() != end.date())} UTC; it is over"


def _services(bad: Sequence[ServiceRow], rows: Sequence[ServiceRow]) -> str:
    if not bad:
        return ""
    critical = [row.first.name for row in bad if row.first.critical]
    others = [row.first.name for row in bad if not row.first.critical]
    names = [f"{name} (critical)" for name in critical] + others
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    shown = ", ".join(names[:NAMED]) + more if more else listing(names)
    return f"{len(bad)} of {len(rows)}: {shown}"


def longest(rows: Sequence[ServiceRow]) -> str:
    """Return which services were bad for longest, where that is known and there are several to choose from."""
    timed = sorted((row for row in rows if row.down_s), key=lambda row: -(row.down_s or 0.0))
    if len(timed) < 2:
        return ""
    return "; ".join(f"{row.first.name} {span(row.down_s)} ({row.why})" for row in timed[:3])


def _tests(incident: Incident) -> str:
    """Say how much of the suite infrastructure took or left undecided, as a share of all tests that there are."""
    tests = incident.tests
    if tests is None:
        blocked = incident.decision is not None and incident.decision.blocked
        return "none was run: a critical service had no stand-in" if blocked else "none was run"
    counts = tests.totals
    lost = counts.infrastructure_unavailable + counts.undecided + counts.stand_in_gap + counts.not_run
    total = tests.total_tests
    text = (
        f"{lost:,} of {plural(total, 'test')} ({percent(lost / total)}) said nothing about the product"
        if total
        else "none was found"
    )
    if tests.mode is not TestExecutionMode.FULL:
        there = "; those that passed did so on stand-ins or a reduced selection"
        text += there if counts.passed and incident.full_tests is None else ""
    if incident.full_tests is not None:
        text += f"; the full suite then ran on real staging ({plural(incident.full_tests.total_tests, 'test')})"
    return text


def _modes(incident: Incident, window: Window | None, ends: datetime) -> str:
    start = moment(window.start) if window is not None else incident.started_at
    total = time_by_mode(mode_spans(incident, start, ends))
    return ", ".join(
        f"{'no fallback' if name == NO_FALLBACK else name} {span(took)}"
        for name, took in total.items()
        if took.total_seconds() > 0
    )


def told(incident: Incident) -> str:
    """Say whom we told and who took it, by the timeline; that nobody was told is said too."""
    return "; ".join(_told(incident)) or ("nobody, as it was a drill" if incident.drill else NOBODY)


def _told(incident: Incident) -> Iterator[str]:
    for event in incident.timeline:
        if event.what == PUBLISHED:
            yield f"{event.detail or 'published'} at {when(event.at)} UTC"
        elif event.what == ACKNOWLEDGED and event.kind is EventKind.BY_HAND:
            yield f"taken at {when(event.at)} UTC {event.detail[event.detail.rfind('by ') :].rstrip(')')}"

"""Choose what is drawn of a view: which services, from when on, and which events cross them."""

from __future__ import annotations

from resilience.core.records import ConnectivityStatus, EventKind, TimelineEvent
from resilience.core.words import plural
from resilience.report.series import Line, intervals, micros
from resilience.report.view import View

SHOWN = 16
"""Services drawn at most, those first that were bad for longest; what is left out is said by `left_out`."""
BAD = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED)


def drawn_lines(view: View) -> list[Line]:
    """Return the services to draw, at most `SHOWN`, in the order of the table of services.

    Where there are more, those that were unavailable or degraded for longest. Stand-ins are never among them.
    """
    lines = [line for line in view.columns.staging() if len(line)]
    order = {row.first.name: place for place, row in enumerate(view.services)}
    if len(lines) > SHOWN:
        lines.sort(key=lambda line: (-bad_s(line), order.get(line.service, len(order))))
        lines = lines[:SHOWN]
    return sorted(lines, key=lambda line: order.get(line.service, len(order)))


def bad_s(line: Line) -> float:
    """Return for how many seconds a service was unavailable or degraded, as far as anybody looked: the table's number."""
    return sum(one.end - one.start for one in intervals(line) if one.status in BAD) / 1e6


def left_out(view: View) -> str:
    """Return a sentence on the services that are not drawn, as nothing is left out in silence; nothing where all are."""
    lines = [line for line in view.columns.staging() if len(line)]
    drawn = {line.service for line in drawn_lines(view)}
    others = [line for line in lines if line.service not in drawn]
    if not others:
        return ""
    bad = sum(bad_s(line) > 0 for line in others)
    rest = (
        f"of the others {bad:,} were unwell and {len(others) - bad:,} well all the time: they are in the tables."
        if bad
        else "the others were well all the time: they are in the tables."
    )
    return f" Drawn are {len(drawn)} of {plural(len(lines), 'service')}, those that were bad for longest; {rest}"


def since(view: View, at: int) -> float:
    return (at - micros(view.starts_at)) / 1e6


def threshold(view: View, service: str) -> float | None:
    """Return the seconds above which this service counts as degraded; None where the first look does not say."""
    result = view.incident.health.result(service) if view.incident.health else None
    return getattr(result, "degraded_above_s", None) if result is not None else None


def event_marks(view: View) -> tuple[TimelineEvent, ...]:
    """Return the few events worth a line across a chart: mode chosen, fallback, tests, recovery, restored.

    Only those within the time that is drawn; a timeline has many more events, and more than a few lines hide the
    data.
    """
    wanted = {
        *(EventKind.MODE, EventKind.APPLIED, EventKind.TESTS_STARTED, EventKind.TESTS_FINISHED),
        *(EventKind.RECOVERED, EventKind.RESTORED),
    }
    return tuple(
        TimelineEvent(at=row.at, what=row.what, kind=row.kind)
        for row in view.timeline
        if row.kind in wanted and view.starts_at <= row.at <= view.ends_at
    )


def events_of(view: View) -> list[tuple[float, str]]:
    """Return the events that get a line: seconds since start, and what happened."""
    return [((one.at - view.starts_at).total_seconds(), one.what) for one in event_marks(view)]

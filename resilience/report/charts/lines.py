"""Choose what is drawn of a view: which services, from when on, and which events cross them."""

from __future__ import annotations

from resilience.core.records import ConnectivityStatus, EventKind, TimelineEvent
from resilience.report.series import STATUSES, Line, micros
from resilience.report.view import View

SHOWN = 24
"""Services drawn at most, the unwell ones first."""
DOWN = STATUSES.index(ConnectivityStatus.UNAVAILABLE)


def drawn_lines(view: View) -> list[Line]:
    """Return the services to draw, at most `SHOWN`, in the order of the table of services.

    Stand-ins are never among them.
    """
    lines = [line for line in view.columns.staging() if len(line)]
    if len(lines) > SHOWN:
        lines.sort(key=lambda line: -line.status.count(DOWN))
        lines = lines[:SHOWN]
    order = {row.first.name: place for place, row in enumerate(view.services)}
    return sorted(lines, key=lambda line: order.get(line.service, 99))


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

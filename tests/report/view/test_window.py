"""resilience.report.view.window: the outage is what services are compared by, the bounds hold all that is shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory


def drill(**changes: object) -> View:
    story = factory.drill()
    return build(replace(story.incident, **changes), Columns.of(story.samples))  # type: ignore[arg-type]


def test_a_known_beginning_before_the_first_sample_wins() -> None:
    started = factory.drill().incident.started_at - timedelta(minutes=10)
    view = drill(outage_started_at=started)
    assert view.starts_at == started
    assert view.window is not None


def test_where_all_was_well_there_is_no_outage() -> None:
    story = factory.green()
    assert build(story.incident, Columns.of(story.samples)).window is None


def test_a_row_of_the_timeline_is_never_outside_of_the_bounds() -> None:
    view = drill()
    assert view.starts_at <= view.timeline[0].at
    assert view.timeline[-1].at <= view.ends_at + timedelta(seconds=1)

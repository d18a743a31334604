"""resilience.report.view.services: samples know more than looks do, and what is unknown is no outage."""

from __future__ import annotations

from dataclasses import replace

from resilience.core.records import ConnectivityStatus
from resilience.report.series import Columns
from resilience.report.view import View, build
from resilience.report.view.services import well_line
from tests.kits import incident_factory as factory


def drill(**changes: object) -> View:
    story = factory.drill()
    return build(replace(story.incident, **changes), Columns.of(story.samples))  # type: ignore[arg-type]


def test_the_worst_and_the_critical_stand_first() -> None:
    rows = drill().services
    assert {row.first.name for row in rows[:2]} == {"database", "backend_api"}
    assert [row.down_s for row in rows[:2]] == sorted((row.down_s for row in rows[:2]), key=lambda took: -(took or 0))
    assert [row.well for row in rows] == sorted(row.well for row in rows)
    assert next(row for row in rows if row.first.name == "database").stand_in.startswith("system 15.8, ")


def test_samples_tell_since_when_until_when_and_for_how_long() -> None:
    row = drill().services[0]
    assert row.since is not None
    assert row.until is not None
    assert row.down_s is not None
    assert abs((row.until - row.since).total_seconds() - row.down_s) < 0.001


def test_without_samples_the_look_tells_since_when_and_nothing_tells_for_how_long() -> None:
    story = factory.drill()
    row = build(replace(story.incident, latest=None), Columns()).services[0]
    assert row.since == row.first.started_at
    assert (row.until, row.down_s) == (None, None)
    assert row.now is row.first.status


def test_without_an_assessment_there_are_no_rows() -> None:
    assert drill(health=None).services == ()


def test_what_was_never_asked_is_not_called_well() -> None:
    rows = drill().services
    well = [row for row in rows if row.well]
    unasked = replace(well[0], first=replace(well[0].first, status=ConnectivityStatus.NOT_CONFIGURED))
    assert well_line(rows) == "2 services were well all the time"
    assert well_line([unasked, *well[1:]]) == "1 service was well all the time, 1 not configured"
    assert well_line([unasked]) == "1 not configured"
    assert well_line([]) == ""

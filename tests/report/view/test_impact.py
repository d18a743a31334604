"""resilience.report.view.impact: what an outage cost, in the same numbers as the tables."""

from __future__ import annotations

from dataclasses import replace

from resilience.core.records import EventKind, Incident, TimelineEvent
from resilience.report.series import Columns
from resilience.report.view import View, build
from resilience.report.view.formats import span
from resilience.report.view.impact import longest, told
from tests.kits import incident_factory as factory


def drill(**changes: object) -> View:
    story = factory.drill()
    return build(replace(story.incident, **changes), Columns.of(story.samples))  # type: ignore[arg-type]


def test_a_run_in_which_staging_was_well_has_no_impact() -> None:
    story = factory.green()
    assert build(story.incident, Columns.of(story.samples)).impact == ()


def test_services_tests_modes_and_length_are_counted() -> None:
    found = dict(drill().impact)
    assert found["Lasted"].endswith("it is over")
    assert found["Services"].startswith("4 of 6: ")
    assert "(critical)" in found["Services"]
    assert found["Tests"].startswith("6 of 52 tests (12 %) said nothing about the product")
    assert "the full suite then ran on real staging" in found["Tests"]
    assert "degraded" in found["Modes"]


def test_what_hurt_longest_is_said_with_the_number_of_the_table() -> None:
    view = drill()
    worst = max(view.services, key=lambda row: row.down_s or 0)
    assert longest(view.services).startswith(f"{worst.first.name} {span(worst.down_s)} ")
    assert f"LONGEST: {longest(view.services)}." in view.lines
    assert longest(view.services[:1]) == "", "of one there is nothing to compare"


def test_without_tests_that_is_said() -> None:
    assert dict(drill(tests=None, full_tests=None).impact)["Tests"] == "none was run"


def incident(*events: TimelineEvent) -> Incident:
    return replace(factory.drill().incident, timeline=events)


def test_who_was_told_is_what_was_sent_and_who_took_it() -> None:
    at = factory.drill().incident.started_at
    assert told(replace(incident(), drill="")).startswith("nobody, as far as this run knows: resilience publish")
    assert told(replace(incident(), drill="x")) == "nobody, as it was a drill"
    sent = TimelineEvent(at=at, what="published", detail="issue #12")
    taken = TimelineEvent(at=at, what="acknowledged", detail="on it (by ana@laptop)", kind=EventKind.BY_HAND)
    assert told(incident(sent, taken)) == (f"issue #12 at {at:%H:%M:%S} UTC; taken at {at:%H:%M:%S} UTC by ana@laptop")

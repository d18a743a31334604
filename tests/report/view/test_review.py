"""resilience.report.view.review: what a review asks that can be known, and the command that fills what cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilience.core.records import ConnectivityStatus as S, EventKind, Incident, TimelineEvent
from resilience.report.series import Columns
from resilience.report.view import build
from resilience.report.view.review import SEVERITIES, builds, severity
from tests.kits import incident_factory as factory

DRILL = factory.drill().incident


def rows(incident: Incident) -> dict[str, tuple[str, str]]:
    found = build(incident, Columns.of(factory.drill().samples)).review
    return {label: (value, fill) for label, value, fill in found}


def note(text: str, what: str = "note") -> TimelineEvent:
    return TimelineEvent(at=DRILL.started_at, what=what, detail=f"{text} (by ana@laptop)", kind=EventKind.BY_HAND)


def unwell(**statuses: S) -> Incident:
    assert DRILL.health is not None
    services = tuple(
        replace(one, status=statuses.get(one.name, S.AVAILABLE), fault=None) for one in DRILL.health.services
    )
    return replace(DRILL, health=replace(DRILL.health, services=services))


def blocked(incident: Incident) -> Incident:
    assert incident.decision is not None
    return replace(incident, decision=replace(incident.decision, blocked=True))


@pytest.mark.parametrize(
    ("incident", "word"),
    [
        (blocked(unwell(database=S.UNAVAILABLE)), "1 of 4"),
        (unwell(database=S.UNAVAILABLE), "2 of 4"),
        (unwell(redis=S.UNAVAILABLE), "3 of 4"),
        (replace(unwell(redis=S.DEGRADED), tests=factory.green().incident.tests), "4 of 4"),
        (unwell(), ""),
    ],
)
def test_severity_is_by_the_first_rule_that_fits(incident: Incident, word: str) -> None:
    assert severity(incident).startswith(word)
    assert bool(severity(incident)) is bool(word)


def test_each_severity_has_its_reason() -> None:
    assert [rule.word for rule in SEVERITIES] == [f"{number} of 4" for number in range(1, 5)]
    assert severity(unwell(database=S.UNAVAILABLE)) == "2 of 4: a critical service was down: database"


def test_the_trigger_stands_apart_from_the_cause_and_people_fill_both() -> None:
    found = rows(replace(DRILL, drill="", timeline=()))
    assert found["Trigger"] == ("", 'resilience note "trigger: …"')
    assert found["Cause"][0] == "VPC connector"
    said = rows(replace(DRILL, timeline=(note("trigger: deploy 41"), note("cause: the pool was too small"))))
    assert said["Trigger"][0] == "deploy 41"
    assert said["Cause"][0] == "the pool was too small"


def test_a_build_that_changed_just_before_is_named_and_is_the_trigger_where_nobody_knows_better() -> None:
    assert DRILL.health is not None
    facts = {"build": "42", "build_before": "41", "build_seen": "2026-11-22 20:30"}
    services = tuple(
        replace(one, facts=facts if one.name == "backend_api" else one.facts) for one in DRILL.health.services
    )
    incident = replace(DRILL, health=replace(DRILL.health, services=services), timeline=())
    assert list(builds(incident)) == ["backend_api went from build 41 to 42, after 2026-11-22 20:30 UTC"]
    found = rows(incident)
    assert found["Change of a build just before"][0] == found["Trigger"][0] == next(builds(incident))
    assert rows(replace(DRILL, timeline=()))["Change of a build just before"][1].startswith("not known: no service")


def test_who_took_it_and_what_it_repeats() -> None:
    incident = replace(DRILL, repeat_of="second time in 90 days", timeline=(note("on it", "acknowledged"),))
    assert "on it (by ana@laptop)" in rows(incident)["Acknowledged"][0]
    assert rows(incident)["Repeat of"][0] == "second time in 90 days"
    assert rows(DRILL)["Repeat of"][0] == "no earlier outage of this kind is known"


def test_without_an_outage_there_is_nothing_to_review() -> None:
    story = factory.green()
    assert build(story.incident, Columns.of(story.samples)).review == ()

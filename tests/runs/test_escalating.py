"""The clock of an escalation runs on over runs, looks and processes; a history that is gone costs only what it would have said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resilience.core.records import (
    Cause,
    CauseName,
    ConnectivityStatus,
    Incident,
    InfrastructureHealth,
    Sample,
    Verdict,
)
from resilience.core.settings import Maintenance, Settings
from resilience.runs import memory
from resilience.runs.escalating import (
    counted,
    lasting_outage,
    note_look,
    note_outage,
    notices_of_look,
    past_incidents,
    remember_facts,
    so_far,
)
from resilience.runs.history import History
from resilience.runs.keeping import Keeping
from resilience.runs.people import acknowledge
from resilience.runs.runbook import Run
from tests.kits import incident_factory as factory
from tests.kits.records import TYPES, S, health
from tests.kits.run_kit import an_incident, settings_of
from tests.kits.small_staging import SmallStaging

DOWN = health({"database": S.UNAVAILABLE, "redis": S.UNAVAILABLE})


NOW = [datetime.now(UTC)]


@pytest.fixture(autouse=True)
def _one_moment() -> None:
    """Count all of a test from one moment: a second that turned between two calls failed one."""
    NOW[0] = datetime.now(UTC).replace(microsecond=0)


def at(minutes: float) -> datetime:
    return NOW[0] - timedelta(minutes=minutes)


def seen(found: InfrastructureHealth, minutes: float) -> InfrastructureHealth:
    services = tuple(replace(one, started_at=None) for one in found.services)
    return replace(found, started_at=at(minutes), services=services)


def look(settings: Settings, minutes: int, *names: str, bad: bool = True, **more: Any) -> Incident:
    status = S.UNAVAILABLE if bad else S.AVAILABLE
    incident = replace(an_incident(), run=f"run-{minutes}", started_at=at(minutes), **{"latest": DOWN, **more})
    samples = [Sample(at=at(minutes), service=name, status=status, response_time_s=0.1) for name in names]
    memory.record(settings, incident, samples)
    return incident


def since(settings: Settings, incident: Incident) -> datetime | None:
    return so_far(settings, incident.latest or DOWN, incident=incident).down_since


def test_the_clock_is_of_the_critical_services_and_begins_anew_after_a_full_pass(team: Path) -> None:
    settings = settings_of(team)
    look(settings, 50, "redis")
    assert since(settings, look(settings, 40, "database")) == at(40)
    tests = factory.green().incident.tests
    look(settings, 30, "redis", "database", bad=False, tests=tests, verdict=Verdict.PASSED, latest=health({}))
    assert since(settings, look(settings, 10, "redis", "database")) == at(10)


def test_looks_without_a_run_keep_the_clock_and_are_no_runs_of_the_incident(team: Path) -> None:
    settings = settings_of(team)
    note_look(settings, seen(DOWN, 31))
    (notice,) = notices_of_look(settings, seen(DOWN, 0))
    assert notice.reason.startswith("critical services down for 31 minutes (limit 30): database")
    with History(settings.outputs / "history.sqlite") as kept:
        row = kept.open_incident("staging")
        assert row is not None
        assert kept.incident_runs(row.id) == ()
        assert kept.bad_services(row.id) == ("database", "redis")


def test_a_look_at_a_staging_that_is_well_makes_no_history(team: Path) -> None:
    settings = settings_of(team)
    assert notices_of_look(settings, seen(health({}), 0)) == ()
    note_look(settings, seen(health({}), 0))
    assert not settings.outputs.exists()


def test_a_look_by_url_alone_is_nobodys_outage(team: Path) -> None:
    settings = replace(settings_of(team), source=None)
    assert [notice.rule for notice in notices_of_look(settings, health(dict.fromkeys(TYPES, S.UNAVAILABLE)))] == [
        "everything_down"
    ]
    assert not settings.outputs.exists()


@pytest.mark.parametrize(
    ("status", "names"),
    [
        ({"database": S.UNAVAILABLE, "redis": S.UNAVAILABLE}, ("database",)),
        ({"redis": S.UNAVAILABLE, "websocket": S.DEGRADED}, ("redis", "websocket")),
        ({"database": S.DEGRADED}, ("database",)),
        ({}, ()),
    ],
)
def test_critical_services_that_are_down_are_counted_before_all_that_are_unwell(
    status: dict[str, ConnectivityStatus], names: tuple[str, ...]
) -> None:
    assert counted(health(status)) == names


def test_a_run_notes_each_rule_once_and_dates_the_outage(team: Path) -> None:
    settings = settings_of(team)
    look(settings, 45, "database")
    run = Run.create(settings, slug="x")
    for _ in range(2):
        note_outage(run, seen(DOWN, 0))
    assert [notice.rule for notice in run.incident.notices] == ["critical_down"]
    assert run.incident.outage_started_at is not None
    assert [event.what for event in run.incident.timeline].count("escalation is due") == 1


def test_suites_of_earlier_processes_and_this_one_are_counted_together_and_a_pass_ends_the_row(team: Path) -> None:
    settings = settings_of(team)
    suite = replace(factory.green().incident, environment="staging")
    for number in range(2):
        verdict = Verdict.INFRASTRUCTURE_UNAVAILABLE
        memory.record(settings, replace(suite, run=f"lost-{number}", started_at=at(9 - number), verdict=verdict), ())
    assert suite.tests is not None
    lost = replace(suite, run="now", tests=replace(suite.tests, verdict=Verdict.PRODUCT_FAILURES))
    found = so_far(settings, DOWN, incident=lost).suites
    assert (found.count, found.blocked) == (3, 2)
    passed = replace(lost, tests=replace(suite.tests, verdict=Verdict.PASSED_ON_STAND_INS))
    assert so_far(settings, DOWN, incident=passed).suites.count == 0


def test_what_is_acknowledged_is_noted_as_quiet_and_told_when_the_time_is_over(team: Path) -> None:
    settings = settings_of(team)
    look(settings, 45, "database")
    acknowledge(settings, "restarting the connector", for_s=3600)
    run = Run.create(settings, slug="x")
    note_outage(run, seen(DOWN, 0))
    (notice,) = run.incident.notices
    assert notice.quiet.startswith("acknowledged by ")
    acknowledge(settings, for_s=0)
    note_outage(run, seen(DOWN, 0))
    (notice,) = run.incident.notices
    assert notice.quiet == ""


def test_a_window_of_maintenance_quietens(team: Path) -> None:
    window = Maintenance(since=at(60), until=at(-60), services=("database",))
    settings = replace(settings_of(team), maintenance=(window,))
    look(settings, 45, "database")
    (notice,) = notices_of_look(settings, seen(DOWN, 0))
    assert notice.quiet.startswith("maintenance until ")


def test_the_outage_that_lasts_is_known_without_a_look(team: Path) -> None:
    from resilience.core import codec

    settings = settings_of(team)
    assert lasting_outage(settings) is None
    look(settings, 45, "database")
    found = lasting_outage(settings)
    assert found is not None
    assert (found.since, found.notices, found.last_look) == (at(45), (), "unknown")
    memory.note_snapshot(settings.state, codec.to_json(DOWN))
    found = lasting_outage(settings)
    assert found is not None
    assert [notice.rule for notice in found.notices] == ["critical_down"]
    assert found.last_look == "unavailable"


def test_a_history_that_cannot_be_read_costs_what_it_would_have_said(team: Path) -> None:
    settings = settings_of(team)
    settings.outputs.mkdir()
    (settings.outputs / "history.sqlite").mkdir()
    found = so_far(settings, DOWN, incident=replace(an_incident(), outage_started_at=at(31)))
    assert found.down_since == at(31)
    assert [notice.rule for notice in notices_of_look(settings, DOWN)] == []


def test_an_outage_of_the_same_cause_is_known_again_with_what_ended_it(team: Path) -> None:
    settings = settings_of(team)
    cause = Cause(cause=CauseName.VPC_CONNECTOR, services=("database",), evidence=(), next="")
    ill = health({"database": S.UNAVAILABLE}, causes=(cause,))
    began = at(60 * 24 * 10)
    old = replace(an_incident(), run="old", started_at=began, health=ill)
    memory.record(settings, old, [Sample(at=began, service="database", status=S.UNAVAILABLE, response_time_s=5.0)])
    remember_facts(settings, old)
    with History(settings.outputs / "history.sqlite") as kept:
        name = kept.incident_of(old)
        Keeping(kept).say(
            "note",
            environment="staging",
            incident=name,
            at=began + timedelta(minutes=40),
            author="ana@laptop",
            text="restarted the connector",
        )
        kept.db.execute("UPDATE incident SET closed_us = opened_us + 2700000000")
        (past,) = past_incidents(kept, Keeping(kept), "staging")
        assert (past.cause, past.services) == ("vpc_connector", ("database",))
    look(settings, 5, "database")
    found = so_far(settings, ill)
    assert found.again.startswith("second time in 90 days for database; the last began ")
    assert found.again.endswith("and lasted 45 min; last ended by: restarted the connector (ana@laptop)")


async def test_a_suite_that_was_blocked_as_a_whole_is_lost_in_the_run_that_lost_it(
    team: Path, staging: SmallStaging
) -> None:
    """Who must be told is told by the run that fills the row, not by the next look."""
    staging.status = 503
    settings = settings_of(team)
    settings = replace(settings, escalation=replace(settings.escalation, suite_failures=2))
    told = []
    for slug in ("one", "two"):
        run = Run.create(settings, slug=slug)
        await run.assess()
        run.choose_mode()
        run.without_stand_ins()
        run.block_tests()
        told.append([notice.rule for notice in run.incident.notices])
        run.finish()
        memory.record(settings, run.incident, ())
    assert told == [[], ["suites_lost"]]

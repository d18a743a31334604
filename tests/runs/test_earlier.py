"""What a rehearsal compares with is how a test last ended on real staging, and nothing that ran on stand-ins or in a drill."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resilience.core.records import (
    Applied,
    Incident,
    Outcome,
    TestExecutionMode,
    TestOutcome,
    TestSuiteResult,
    TestTotals,
)
from resilience.core.settings import Settings
from resilience.runs.configuration import load_settings
from resilience.runs.earlier import RUNS, ended_on_staging, users_of
from resilience.runs.folder import write_incident
from tests.kits.incident_factory import VANTAGE, night
from tests.kits.taught_kit import Staging, project

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
SAID = frozenset({"passed", "failed"})


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    staging = Staging()
    staging.port = 9
    monkeypatch.chdir(project(tmp_path / "team", staging))
    return load_settings(None)


def ran(mode: TestExecutionMode = TestExecutionMode.FULL, **ends: Outcome) -> TestSuiteResult:
    return TestSuiteResult(
        mode=mode, started_at=NOW, duration_s=1.0, exit_code=0, commands=(), totals=TestTotals(),
        tests=tuple(TestOutcome(id=name, outcome=end) for name, end in ends.items()),
    )  # fmt: skip


def run(settings: Settings, minute: int, **fields: object) -> None:
    folder = settings.outputs / "2026-11-25" / f"03-{minute:02d}-00Z-x"
    folder.mkdir(parents=True)
    at = NOW + timedelta(minutes=minute)
    told = {"environment": settings.environment, **fields}
    incident = Incident(run=folder.name, slug="x", started_at=at, vantage=VANTAGE, **told)  # type: ignore[arg-type]
    write_incident(folder, incident, str)


def test_the_latest_end_of_each_test_counts_and_what_an_outage_ended_leaves_the_one_before(settings: Settings) -> None:
    run(settings, 1, tests=ran(a=Outcome.FAILED, b=Outcome.PASSED, c=Outcome.PASSED))
    run(settings, 2, tests=ran(a=Outcome.PASSED, c=Outcome.INFRASTRUCTURE_UNAVAILABLE))
    assert ended_on_staging(settings, SAID) == {"a": "passed", "b": "passed", "c": "passed"}


def test_what_ran_on_stand_ins_in_a_drill_or_elsewhere_is_no_end_on_staging(settings: Settings) -> None:
    run(settings, 1, tests=ran(a=Outcome.PASSED))
    run(settings, 2, tests=ran(TestExecutionMode.OFFLINE, a=Outcome.FAILED))
    run(settings, 3, tests=ran(a=Outcome.FAILED), drill="drill")
    run(settings, 4, tests=ran(a=Outcome.FAILED), environment="another")
    run(settings, 5, tests=ran(a=Outcome.FAILED), applied=applied())
    run(settings, 6)
    assert ended_on_staging(settings, SAID) == {"a": "passed"}
    run(settings, 7, tests=ran(TestExecutionMode.OFFLINE, a=Outcome.PASSED), full_tests=ran(a=Outcome.FAILED))
    assert ended_on_staging(settings, SAID) == {"a": "failed"}, "the full suite after a recovery is on real staging"


def test_a_record_that_cannot_be_read_and_runs_of_long_ago_are_left_out(settings: Settings) -> None:
    run(settings, 1, tests=ran(old=Outcome.PASSED))
    for minute in range(2, RUNS + 2):
        run(settings, minute, tests=ran(a=Outcome.PASSED))
    broken = settings.outputs / "2026-11-25" / "04-00-00Z-x"
    broken.mkdir()
    (broken / "incident.json").write_text("{")
    assert ended_on_staging(settings, SAID) == {"a": "passed"}


def test_those_that_were_seen_to_use_a_service_count_and_all_where_none_was(settings: Settings) -> None:
    assert users_of(settings, "database", ("a", "b")) == ("a", "b")
    settings.state.mkdir(parents=True, exist_ok=True)
    (settings.state / "uses.json").write_text(json.dumps({"schema": 1, "tests": {"a": ["database"], "b": ["redis"]}}))
    assert users_of(settings, "database", ("a", "b", "c")) == ("a",)
    assert users_of(settings, "llm", ("a", "b")) == ("a", "b")


def applied() -> Applied:
    found = night().incident.applied
    assert found is not None
    assert found.stand_ins
    return found

"""resilience.runs.tasks: what an incident leaves to do is carried from run to run, with owners and the age of the last drill."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resilience.core.records import ConnectivityStatus as S, Incident, Outcome, Sample, TestExecutionMode
from resilience.core.settings import Settings
from resilience.runs import memory
from resilience.runs.folder import RunFolder, read_incident
from resilience.runs.stages import report
from resilience.runs.tasks import code_owners, drilled, with_tasks
from tests.kits import incident_factory as factory
from tests.kits.run_kit import settings_of, team

__all__ = ["team"]

NAME = "tests/integration/test_orders.py::test_total_is_rounded"


def run_of(settings: Settings, at: datetime, **changes: object) -> RunFolder:
    """Return a run with the records of the night and one product failure, reported."""
    story = factory.night()
    run = RunFolder.create(settings)
    tests = replace(story.incident.tests, **changes) if changes else story.incident.tests  # type: ignore[type-var]
    run.save(
        started_at=at, health=story.incident.health, latest=story.incident.latest, tests=tests,
        outage_started_at=at, decision=story.incident.decision,
    )  # fmt: skip
    run.add_samples([Sample(at=at, service="database", status=S.UNAVAILABLE, response_time_s=2.0)])
    report(run, charts=False)
    return run


def test_the_next_run_of_the_same_incident_ticks_off_what_it_settled(team: Path) -> None:
    (team / "CODEOWNERS").write_text("tests/integration/ @org/orders\n")
    settings = settings_of(team)
    now = datetime.now(UTC)
    first = run_of(settings, now - timedelta(minutes=20))
    left = {task.key: task for task in read_incident(first.folder).left_to_do}
    assert left[f"fix:{NAME}"].owner == "@org/orders"
    assert not left[f"fix:{NAME}"].done
    tests = factory.night().incident.tests
    assert tests is not None
    fixed = tuple(replace(t, outcome=Outcome.PASSED, message=None) if t.id == NAME else t for t in tests.tests)
    second = run_of(settings, now, tests=fixed, mode=TestExecutionMode.FULL)
    after = {task.key: task for task in read_incident(second.folder).left_to_do}
    assert after[f"fix:{NAME}"].done == "passed on real staging"
    assert after[f"fix:{NAME}"].run == first.incident.run
    other = "fix:tests/unit/test_money.py::test_parse_euro"
    assert not after[other].done
    assert after[other].run == first.incident.run


def test_what_is_left_stands_in_record_page_markdown_and_summary(team: Path) -> None:
    run = run_of(settings_of(team), datetime.now(UTC))
    for name in ("incident.json", "report.html", "report.md", "summary.md"):
        text = (run.folder / name).read_text().replace("\\", "")
        assert "test_total_is_rounded" in text
        assert "Drill it: there never was one here" in text


def test_owners_come_from_the_first_codeowners_file_and_nobody_without_one(tmp_path: Path) -> None:
    assert code_owners(tmp_path)("a.py") == ""
    (tmp_path / "CODEOWNERS").write_text("* @later\n")
    assert code_owners(tmp_path)("a.py") == "@later"
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github/CODEOWNERS").write_text("* @first\n")
    assert code_owners(tmp_path)("a.py") == "@first"


def test_the_last_drill_is_dated_by_the_history_of_drills(team: Path) -> None:
    settings = settings_of(team)
    assert drilled(settings) < 0
    drill = replace(settings, drill="flapping")
    incident: Incident = replace(factory.drill().incident, started_at=datetime.now(UTC) - timedelta(days=3))
    assert memory.record(drill, incident, ())
    assert drilled(settings) == pytest.approx(3.0, abs=0.1)


def test_without_a_history_the_runs_own_tasks_are_left(team: Path) -> None:
    incident = with_tasks(settings_of(team), factory.night().incident, None)
    assert f"fix:{NAME}" in {task.key for task in incident.left_to_do}

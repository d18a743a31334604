"""A lesson begins only where staging is well, of itself and of all it depends on; see test_teach.py for whole lessons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from resilience.core.errors import UsageError
from resilience.core.records import Outcome, TestOutcome
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run
from resilience.runs.teaching import NotWellError, needed_by, passed_in, teachable, until_well
from tests.kits.taught_kit import SUITE, Staging, project

MORE = """depends_on = ["auth_service"]

[[service]]
name = "auth_service"
type = "http"
url = "{url}"
depends_on = ["cache"]

[[service]]
name = "cache"
type = "redis"
url = "${{NOT_SET}}"
"""


@pytest.fixture
async def staging() -> AsyncIterator[Staging]:
    async with Staging().running() as made:
        yield made


async def test_a_lesson_waits_for_good_looks_in_a_row_at_all_that_is_needed(
    staging: Staging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project(tmp_path / "team", staging, more=MORE.format(url=f"{staging.origin}/health")))
    settings = load_settings(None)
    services = teachable(settings)
    assert [one.name for one in services] == ["backend_api"]
    assert set(needed_by(services, settings)) == {"backend_api", "auth_service", "cache"}
    said: list[str] = []
    await until_well(settings, services, said.append)
    assert len(said) == 2
    assert staging.asked == ["/health"] * 4, "both services, twice; what is not configured is left out"
    staging.broken = 1
    with pytest.raises(NotWellError, match=r"is unavailable: nothing is learned"):
        await until_well(settings, services)


def test_who_is_named_and_cannot_teach_is_told_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = Staging()
    staging.port = 9
    monkeypatch.chdir(project(tmp_path / "team", staging, more=MORE.format(url="http://127.0.0.1:9/health")))
    settings = load_settings(None)
    with pytest.raises(UsageError, match="cache: a service of type redis teaches no traffic"):
        teachable(settings, ["cache"])


def test_only_tests_that_passed_without_a_doubt_are_learned_from() -> None:
    tests = (
        TestOutcome(id="a", outcome=Outcome.PASSED),
        TestOutcome(id="b", outcome=Outcome.PASSED, suspect=True),
        TestOutcome(id="c", outcome=Outcome.FAILED),
        TestOutcome(id="d", outcome=Outcome.XPASSED),
    )
    assert passed_in(tests) == {"a"}


async def test_a_run_that_may_teach_runs_its_tests_where_staging_cannot_and_says_why(
    staging: Staging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = SUITE.partition("def test_flow")[0] + "def test_answers():\n    assert ask('/items')[0] == 200\n"
    monkeypatch.chdir(project(tmp_path / "team", staging, suite=suite))
    monkeypatch.setenv("BACKEND_URL", staging.origin)
    run = Run.create(load_settings(None), slug="teaches")
    await run.assess()
    run.choose_mode()
    well = await run.run_tests(teach_if_well=True)
    assert "backend_api: learned 1 answers of 1 tests (generation 1)" in well.notes
    monkeypatch.setattr(run, "settings", replace(run.settings, services=()))
    held = await run.run_tests(teach_if_well=True)
    assert held.notes[0].startswith("nothing was learned: no service teaches traffic")
    assert [test.outcome for test in (*well.tests, *held.tests)] == [Outcome.PASSED] * 2

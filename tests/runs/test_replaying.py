"""Only a test that failed by itself, and all of whose services replay, is run once more; for runs see test_on_recordings.py."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from resilience.core.records import Evidence, Outcome, TestExecutionMode, TestOutcome, TestSuiteResult, TestTotals
from resilience.core.settings import Settings
from resilience.runs.configuration import load_settings
from resilience.runs.replaying import to_run_again
from resilience.teach import key
from resilience.teach.store import Store
from tests.kits.taught_kit import Staging, project


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    staging = Staging()
    staging.port = 9
    folder = project(tmp_path / "team", staging)
    monkeypatch.chdir(folder)
    return folder


def result(*tests: TestOutcome) -> TestSuiteResult:
    return TestSuiteResult(
        mode=TestExecutionMode.FULL, started_at=datetime.now(UTC), duration_s=1.0, exit_code=1, commands=(),
        totals=TestTotals(), tests=tests,
    )  # fmt: skip


def failed(name: str, *used: str, outcome: Outcome = Outcome.FAILED, rounds: int = 1) -> TestOutcome:
    evidence = (Evidence(round=1, rule=16, judgement=outcome, reason="", used=used),)
    return TestOutcome(id=name, outcome=outcome, rounds=rounds, evidence=evidence)


@pytest.fixture
def taught(team: Path) -> tuple[Settings, Store]:
    settings = load_settings(None)
    mark = key.mark(key.make(settings.data, {}))
    store = Store(settings.state)
    with store.lesson():
        for passed in (("a", "old"), ("a", "b", "never")):
            ended = {name: "failed" if name == "never" else "passed" for name in passed}
            manifest = {
                "at": datetime.now(UTC).isoformat(), "source": "traffic", "masked": {"key": mark},
                "tests": dict.fromkeys(passed, 1), "ended": ended,
            }  # fmt: skip
            store.write("backend_api", manifest, {"recordings.har": b"{}"})
    return settings, store


@pytest.mark.parametrize(
    "test",
    [
        failed("a", outcome=Outcome.PASSED),
        failed("a", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE),
        failed("a", rounds=0),
        failed("a", "backend_api", "database"),
        failed("a", "database?"),
        failed("never", "backend_api"),
        failed("unknown", "backend_api"),
    ],
)
def test_what_did_not_fail_by_itself_or_uses_more_than_replays_is_not_run_again(
    taught: tuple[Settings, Store], test: TestOutcome
) -> None:
    assert to_run_again(*taught, result(test)).tests == ()


def test_the_newest_generation_on_which_a_test_passed_is_the_one_that_is_served(taught: tuple[Settings, Store]) -> None:
    both = to_run_again(*taught, result(failed("a", "backend_api"), failed("b"), failed("old", "backend_api")))
    assert [test.id for test in both.tests] == ["a", "b"]
    assert both.generations["backend_api"].number == 2
    older = to_run_again(*taught, result(failed("old", "backend_api?")))
    assert [test.id for test in older.tests] == ["old"]
    assert older.generations["backend_api"].number == 1


def test_recordings_of_another_key_replay_nothing(
    taught: tuple[Settings, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(key.VARIABLE, "quite another key of somebody")
    assert to_run_again(*taught, result(failed("a"))).tests == ()

"""The team's commands as they are run: which are taken, what they select, what they are told, and what proves nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from resilience.core.errors import SettingsError, UsageError
from resilience.core.plan import selection
from resilience.core.records import (
    CommandResult,
    Outcome,
    TestExecutionMode as M,
    TestOutcome,
    TestSuiteResult,
    TestTotals,
    Verdict,
)
from resilience.core.secret import Secret
from resilience.core.settings import ModeSettings
from resilience.runs import testing
from resilience.runs.runbook import Run
from tests.kits import incident_factory as factory
from tests.kits.records import AT
from tests.kits.run_kit import change, settings_of
from tests.kits.small_staging import SmallStaging


def result(*codes: int, kind: str = "other", totals: TestTotals | None = None) -> TestSuiteResult:
    commands = tuple(
        CommandResult(command=f"c{code}", kind=kind, exit_code=code, duration_s=0.1, outcome=Outcome.FAILED)
        for code in codes
    )
    return TestSuiteResult(
        mode=M.FULL,
        started_at=AT,
        duration_s=1.0,
        exit_code=1,
        commands=commands,
        totals=totals or TestTotals(),
        tests=(),
        verdict=Verdict.PRODUCT_FAILURES,
    )


def test_a_modes_own_selection_goes_before_the_guides(team: Path) -> None:
    settings = settings_of(team)
    assert "critical" in selection(M.CRITICAL_ONLY, settings.modes, settings.wishes)
    mine = replace(settings, modes={M.CRITICAL_ONLY: ModeSettings(commands=("x",), select="mine")})
    assert selection(M.CRITICAL_ONLY, mine.modes, mine.wishes) == "mine"


async def test_the_planned_commands_are_taken_and_a_selection_that_was_asked_for_replaces_theirs(team: Path) -> None:
    run = Run.create(settings_of(team))
    await run.assess()
    run.choose_mode()
    secret = replace(run.settings, secrets=(Secret("p1ain-in-command"),))
    edited = replace(secret, modes={M.FULL: ModeSettings(commands=("pytest --key p1ain-in-command",))})
    assert [c.command for c in testing.commands_of(M.FULL, edited, "")] == ["pytest --key p1ain-in-command"], "unmasked"
    assert [command.command for command in testing.commands_of(M.FULL, run.settings, "")] == [
        f"{sys.executable} -m pytest -q -p no:cacheprovider tests"
    ]
    assert {command.select for command in testing.commands_of(M.FULL, run.settings, "mine")} == {"mine"}
    with pytest.raises(SettingsError, match=r"\[modes\.offline\] commands.*resilience test -- pytest tests/"):
        testing.commands_of(M.OFFLINE, run.settings, "")


@pytest.mark.parametrize(("code", "words"), [(127, "was not found"), (126, "may not be run")])
def test_a_command_that_the_shell_could_not_start_proves_nothing(code: int, words: str) -> None:
    with pytest.raises(UsageError, match=f"'c{code}' {words}"):
        testing.refuse_unstarted(result(code))


@pytest.mark.parametrize("code", [0, 1, 2, 125, 128, 137])
def test_any_other_exit_code_is_the_commands_own(code: int) -> None:
    testing.refuse_unstarted(result(code))
    testing.refuse_unstarted(result(127, kind="pytest"))


def test_a_command_that_is_not_there_takes_nothing_from_the_one_beside_it() -> None:
    testing.refuse_unstarted(result(1, 127))


@pytest.mark.parametrize(
    ("totals", "kind", "nothing"),
    [
        (TestTotals(deselected=3), "pytest", True),
        (TestTotals(deselected=3, passed=1), "pytest", False),
        (TestTotals(), "pytest", False),
        (TestTotals(deselected=3), "other", False),
    ],
)
def test_a_selection_that_leaves_no_test_is_seen(totals: TestTotals, kind: str, nothing: bool) -> None:
    counted = result(0, kind=kind, totals=totals)
    assert testing.selected_nothing(replace(counted, tests=())) is (nothing and counted.total_tests > 0)


async def test_the_tests_are_given_a_snapshot_of_what_was_seen_and_of_what_serves_them(
    stood_in: Path, staging: SmallStaging
) -> None:
    (stood_in / "tests" / "test_shop.py").write_text(
        "import json, os\n\n\n"
        "def test_one():\n"
        "    seen = json.load(open(os.environ['RESILIENCE_SNAPSHOT']))\n"
        "    assert seen['in_use'] == ['backend_api']\n"
        "    assert seen['services'][0]['status'] == 'unavailable'\n"
        "    assert os.environ['RESILIENCE_APPLIED']\n"
    )
    staging.status = 503
    run = Run.create(settings_of(stood_in), apply=True)
    await run.assess()
    run.choose_mode()
    try:
        await run.apply()
        assert (await run.run_tests()).totals.passed == 1
        assert json.loads((run.folder / "snapshot.json").read_text())["mode"] == "degraded"
    finally:
        await run.restore()


async def test_while_tests_run_staging_is_looked_at_and_no_look_outlives_them(team: Path) -> None:
    run = Run.create(settings_of(team))
    async with testing.sampling(run, "run_tests"):
        for _ in range(1000):
            if len(run.samples()) >= 2:
                break
            await asyncio.sleep(0.02)
    assert {sample.stage for sample in run.samples()} == {"run_tests"}
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_a_look_in_the_background_that_fails_does_not_end_the_tests(team: Path) -> None:
    run = Run.create(settings_of(team))
    run.settings = replace(run.settings, services=(), recovery=replace(run.settings.recovery, interval_s=0.0))
    async with testing.sampling(run, "run_tests"):
        for _ in range(20):
            await asyncio.sleep(0)  # a look without services fails before it waits for anything
    assert run.samples() == ()


async def test_the_tests_get_stagings_own_values_where_the_configuration_asks_for_it_and_the_report_says_so(
    stood_in: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stood_in / "tests" / "test_shop.py").write_text(
        "import os\n\n\n"
        f"def test_given(): assert os.environ['TEAM_BACKEND'] == 'http://127.0.0.1:{staging.port}'\n"
        "def test_kept(): assert os.environ['TEAM_BACKEND_HOST'] == 'mine'\n"
    )
    exports = 'exports = { TEAM_BACKEND = "http://{host}:{port}", TEAM_BACKEND_HOST = "{host}" }'
    change(stood_in, "critical = true\n", f"critical = true\n{exports}\n")
    change(stood_in, "[runbook]\n", "[runbook]\nstaging_exports = true\n")
    monkeypatch.setenv("TEAM_BACKEND_HOST", "mine")
    monkeypatch.delenv("TEAM_BACKEND", raising=False)
    run = Run.create(settings_of(stood_in))
    await run.assess()
    run.choose_mode()
    said = run.make_plan().notes
    found = await run.run_tests()
    assert found.totals.passed == 2
    assert f"TEAM_BACKEND=http://127.0.0.1:{staging.port}" in found.notes[0]
    assert found.notes[:2] == tuple(note for note in said if "staging_exports" in note)


def test_what_was_held_back_names_the_service_it_was_held_for_and_its_fault() -> None:
    night = factory.night().incident
    assert night.health is not None
    held = {"staging": "needs real staging; stand-ins are used for database", "other": "told by nobody"}
    tests = (
        TestOutcome(id="a", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE, rounds=0, reason=held["staging"]),
        TestOutcome(id="b", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE, rounds=0, reason="x", service="backend_api"),
        TestOutcome(id="c", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE, rounds=0, reason=held["other"]),
        TestOutcome(id="d", outcome=Outcome.FAILED, reason=held["staging"]),
    )
    named = testing.with_held(replace(result(), tests=tests, held=held), {"staging": "database"}, night.health).tests
    down = night.health.result("database")
    backend = night.health.result("backend_api")
    assert down is not None
    assert backend is not None
    assert [(one.service, one.fault) for one in named] == [
        ("database", down.fault), ("backend_api", backend.fault), (None, None), (None, None),
    ]  # fmt: skip

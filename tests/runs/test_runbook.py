"""The doors to a run: `Run` only forwards to the stages, and a run is opened by name, by environment, or made."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from resilience.core.errors import UsageError
from resilience.core.records import Verdict
from resilience.runs import stages
from resilience.runs.runbook import Run, applied_run, open_run, render_again
from tests.kits.run_kit import SECRET, change, on_disk, settings_of
from tests.kits.small_staging import SmallStaging

VERBS = {name: member for name, member in vars(Run).items() if getattr(member, "__module__", "") == stages.__name__}


def test_the_verbs_of_a_run_are_the_stages_themselves() -> None:
    assert set(VERBS) >= {"assess", "choose_mode", "make_plan", "apply", "run_tests", "validate_recovery", "report"}
    for verb in VERBS.values():
        assert getattr(stages, verb.__name__) is verb
        assert next(iter(inspect.signature(verb).parameters)) == "run"


def test_without_a_name_a_new_run_is_made_and_a_named_one_is_opened(
    team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESILIENCE_RUN", raising=False)
    first = open_run(slug="mine", parameters={"note": "x"})
    assert first.incident.slug == "mine"
    assert open_run(str(first.folder)).folder == first.folder
    assert open_run("latest").folder == first.folder
    monkeypatch.setenv("RESILIENCE_RUN", str(first.folder))
    assert open_run().folder == first.folder
    monkeypatch.setenv("RESILIENCE_RUN", "latest")
    second = open_run(str(Run.create(settings_of(team)).folder))
    assert open_run().folder == second.folder != first.folder


def test_the_latest_of_no_runs_is_refused_with_what_to_type(team: Path) -> None:
    with pytest.raises(UsageError, match=r"no run in .* yet"):
        open_run("latest")


async def test_the_run_whose_fallback_is_applied_is_found_until_it_is_restored(
    stood_in: Path, staging: SmallStaging
) -> None:
    staging.status = 503
    settings = settings_of(stood_in)
    assert applied_run(settings) is None
    run = Run.create(settings, apply=True)
    await run.assess()
    run.choose_mode()
    await run.apply()
    try:
        found = applied_run(settings)
        assert found is not None
        assert found.folder == run.folder
        assert found.applied_now
        assert not Run.create(settings).applied_now
    finally:
        await run.restore()
    assert applied_run(settings) is None


async def test_a_report_that_is_made_again_leaves_the_record_as_it_was(team: Path) -> None:
    change(team, "http://127.0.0.1", f"http://someone:{SECRET.replace('/', '%2F').replace('+', '%2B')}@127.0.0.1")
    settings = settings_of(team)
    run = Run.create(settings)
    await run.assess()
    run.report(charts=False)
    before = (run.folder / "incident.json").read_bytes()
    (run.folder / "report.md").unlink()
    assert render_again(run.folder, settings) == ()
    assert (run.folder / "incident.json").read_bytes() == before
    assert SECRET not in (run.folder / "report.md").read_text()
    (run.folder / "incident.json").write_bytes(before[:50])
    assert render_again(run.folder, settings) != ()


def test_what_did_not_take_place_is_told_as_blocked_and_proves_nothing(team: Path) -> None:
    run = Run.create(settings_of(team))
    result = run.blocked_result()
    assert (result.verdict, result.exit_code, result.total_tests) == (Verdict.INFRASTRUCTURE_UNAVAILABLE, 20, 0)
    assert run.headline() == ("STAGING: not assessed yet", "TESTS: no mode chosen yet")
    assert json.dumps(on_disk(run)["tests"]) == "null"

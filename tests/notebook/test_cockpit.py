"""The cockpit clicks: the verbs of the run, one at a time, with errors shown and nothing done that was not agreed to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import ipywidgets
import pytest

from resilience.core.errors import VerdictError
from resilience.core.records import EventKind, Outcome, StageName, StageStatus, Verdict
from resilience.core.settings import PublishSettings
from resilience.core.verdict import judge_run
from resilience.notebook.cockpit import Notebook
from resilience.notebook.kernel import forget_own_variables, interactive
from resilience.notebook.passed import ParameterValues
from resilience.notebook.section import Section
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run, applied_run
from tests.kits.servers.github import FakeGitHub
from tests.kits.small_staging import SmallStaging

PARAMETERS = {"apply": False, "restore": True, "samples": 1, "mode": ""}


@pytest.fixture
def cockpit(team: Path) -> Iterator[Notebook]:
    """The runbook as a person in JupyterLab has it; widgets work without a browser."""
    yield Notebook(Run.create(load_settings(team / "resilience.toml")), ParameterValues(PARAMETERS), interactive=True)
    ipywidgets.Widget.close_all()


def button(section: Section, label: str) -> Any:
    return next(control for control in section.controls if getattr(control, "description", "") == label)


def said(cockpit: Notebook) -> str:
    """What the strip says beside the next step."""
    return unescape(str(cockpit.strip.message.value))


def seen(control: Any) -> bool:
    return bool(control.layout.display != "none")


async def done(cockpit: Notebook) -> None:
    assert cockpit.task is not None
    await asyncio.wait_for(asyncio.shield(cockpit.task), 60)


async def prepared(cockpit: Notebook) -> Notebook:
    await cockpit.assess()
    cockpit.choose_mode()
    cockpit.make_plan()
    return cockpit


async def test_opening_the_page_only_looks(cockpit: Notebook, team: Path) -> None:
    await prepared(cockpit)
    for verb in (cockpit.apply, cockpit.run_tests, cockpit.validate_recovery, cockpit.restore, cockpit.report):
        assert not await verb()
    assert cockpit.incident.applied is None
    assert cockpit.incident.tests is None
    assert not (team / ".env.test.active").exists()
    cockpit.finish()
    assert "not yet" in cockpit.sections["finish"].html


async def test_what_is_known_can_be_explored_as_frames(cockpit: Notebook) -> None:
    await cockpit.assess()
    services, samples = cockpit.frame("services"), cockpit.frame("samples")
    assert set(samples["service"]) <= set(services["name"])
    assert len(samples) >= (services["status"] != "not_configured").sum() > 0
    assert cockpit.frame("tests").empty


async def test_looking_again_shows_the_trend_and_chooses_anew(cockpit: Notebook, staging: SmallStaging) -> None:
    await prepared(cockpit)
    assert "mode full" in cockpit.sections["mode"].html
    staging.status = 503
    button(cockpit.sections["assess"], "Look again").click()
    await done(cockpit)
    assert "STAGING: DOWN" in cockpit.sections["assess"].html
    assert "<svg" in cockpit.sections["assess"].html
    assert "mode full" not in cockpit.sections["mode"].html


async def test_a_mode_that_was_clicked_is_said_to_be_a_persons(cockpit: Notebook) -> None:
    await prepared(cockpit)
    chooser = next(c for c in cockpit.sections["mode"].controls if isinstance(c, ipywidgets.ToggleButtons))
    chooser.value = "critical_only"
    decision = cockpit.incident.decision
    assert decision is not None
    assert (decision.mode.value, decision.forced) == ("critical_only", True)
    assert "a click by" in decision.asked_by
    assert "critical_only" in cockpit.sections["plan"].html
    chooser.value = "by health"
    assert cockpit.incident.decision.mode.value == "full"  # type: ignore[union-attr]


async def test_applying_asks_first_and_does_nothing_on_no(cockpit: Notebook) -> None:
    await prepared(cockpit)
    await cockpit.apply()
    section = cockpit.sections["apply"]
    button(section, "Apply the plan…").click()
    assert cockpit.task is None
    cockpit.strip.no.click()
    assert cockpit.task is None
    assert cockpit.incident.stage(StageName.APPLY_FALLBACK) is None
    cockpit.strip.yes.click()
    assert cockpit.task is None, "a question that was answered is not there to be answered again"
    button(section, "Apply the plan…").click()
    cockpit.strip.yes.click()
    await done(cockpit)
    assert "APPLIED" in section.html
    agreed = [event.detail for event in cockpit.incident.timeline if event.kind is EventKind.CONFIRMED]
    assert len(agreed) == 1
    assert agreed[0].startswith("a click by ")


async def test_the_tests_run_by_a_click_and_a_double_click_runs_them_once(cockpit: Notebook) -> None:
    await prepared(cockpit)
    await cockpit.run_tests()
    section = cockpit.sections["tests"]
    run = button(section, "Run the tests")
    run.click()
    first = cockpit.task
    run.click()
    assert cockpit.task is first
    assert run.disabled
    assert seen(cockpit.strip.stop)
    assert not seen(cockpit.strip.next)
    await done(cockpit)
    assert not run.disabled
    assert not seen(cockpit.strip.stop)
    assert cockpit.incident.tests is not None
    assert [test.outcome for test in cockpit.incident.tests.tests] == [Outcome.PASSED] * 2
    assert "PASSED" in section.html


async def test_a_test_run_can_be_stopped_and_says_so(cockpit: Notebook, team: Path) -> None:
    (team / "tests" / "test_slow.py").write_text("import time\n\n\ndef test_slow():\n    time.sleep(60)\n")
    await prepared(cockpit)
    await cockpit.run_tests()
    section = cockpit.sections["tests"]
    button(section, "Run the tests").click()
    async with asyncio.timeout(30):
        while "running" not in section.html:  # noqa: ASYNC110 - watched from outside, as a person would
            await asyncio.sleep(0.05)
    cockpit.strip.stop.click()
    async with asyncio.timeout(30):
        await asyncio.wait({cockpit.task})  # type: ignore[arg-type]
    assert "Stopped by you" in section.html
    assert cockpit.incident.stage(StageName.RUN_TESTS).status is StageStatus.INTERRUPTED  # type: ignore[union-attr]
    assert not button(section, "Run the tests").disabled


async def test_an_error_of_a_click_is_shown_where_the_result_would_be(cockpit: Notebook) -> None:
    await cockpit.run_tests()
    button(cockpit.sections["tests"], "Run the tests").click()
    await done(cockpit)
    assert "OrderError" in cockpit.sections["tests"].html
    assert "01_assess.ipynb" in cockpit.sections["tests"].html


async def test_watching_staging_fills_the_gauge(cockpit: Notebook) -> None:
    await prepared(cockpit)
    await cockpit.validate_recovery()
    section = cockpit.sections["recovery"]
    assert "0 of 2 good checks in a row" in section.html
    button(section, "Watch staging").click()
    await done(cockpit)
    assert "RECOVERY: confirmed" in section.html
    assert "Staging is back." in section.html


async def test_watching_goes_on_after_a_bad_look_says_when_the_next_is_and_can_be_stopped(
    cockpit: Notebook, staging: SmallStaging
) -> None:
    """It stopped after one look."""
    await prepared(cockpit)
    await cockpit.validate_recovery()
    section = cockpit.sections["recovery"]
    staging.status = 503
    looks = len(cockpit.run.samples())
    button(section, "Watch staging").click()
    async with asyncio.timeout(30):
        while len(cockpit.run.samples()) < looks + 3:  # noqa: ASYNC110 - watched from outside, as a person would
            await asyncio.sleep(0.05)
    assert "next look at " in section.html
    assert "last bad check" in section.html
    assert not cockpit.task.done()  # type: ignore[union-attr]
    cockpit.strip.stop.click()
    async with asyncio.timeout(30):
        await asyncio.wait({cockpit.task})  # type: ignore[arg-type]
    assert "Stopped by you" in section.html
    assert not button(section, "Watch staging").disabled


async def test_a_new_kernel_knows_what_is_applied_goes_on_with_it_and_undoes_it(
    stood_in: Path, staging: SmallStaging
) -> None:
    """After a restart it said that nothing had been done yet, while the fallback was applied."""
    staging.status = 503
    config = stood_in / "resilience.toml"
    run = Run.create(load_settings(config), apply=True)
    await run.assess()
    run.choose_mode()
    run.make_plan()
    await run.apply()
    # Another page, on a run of its own.
    page = Notebook(Run.create(load_settings(config)), ParameterValues(PARAMETERS), interactive=True)
    try:
        page.show_strip()
        await prepared(page)
        for verb in (page.apply, page.run_tests, page.validate_recovery, page.restore):
            await verb()
        strip = page.strip
        assert "mode degraded · since " in strip.facts.value
        assert strip.next.description == "Go on"
        assert "another run is applied here" in said(page)
        strip.next.click()
        assert page.run.folder == run.folder
        assert f"Going on with run {run.incident.run}" in said(page)
        assert strip.next.description == "Run the tests"
        assert "APPLIED: 1 stand-in ready" in page.sections["apply"].html
        assert "carried out" in page.sections["plan"].html
        assert "nothing has been done yet" not in page.sections["plan"].html
        strip.undo.click()
        assert page.incident.restored is None
        strip.yes.click()
        await done(page)
        assert "RESTORED: every file is as it was" in page.sections["restore"].html
        assert not seen(strip.undo)
        assert "in this checkout" in strip.facts.value
        assert not (stood_in / ".env.test.active").exists()
    finally:
        await run.restore()
        ipywidgets.Widget.close_all()


async def test_run_all_on_the_run_that_is_applied_shows_what_it_knows_and_does_nothing_anew(
    stood_in: Path, staging: SmallStaging
) -> None:
    staging.status = 503
    config = stood_in / "resilience.toml"
    run = Run.create(load_settings(config), apply=True)
    await run.assess()
    run.choose_mode()
    run.make_plan()
    await run.apply()
    await run.run_tests()
    before = (stood_in / ".env.test.active").read_bytes()
    found = applied_run(load_settings(config))
    assert found is not None
    page = Notebook(found, ParameterValues(PARAMETERS), interactive=True)
    try:
        page.show_strip()
        await prepared(page)
        for verb in (page.apply, page.run_tests, page.validate_recovery, page.restore, page.report):
            await verb()
        assert page.strip.next.description == "Watch staging"
        assert "carried out" in page.sections["plan"].html
        assert "APPLIED: 1 stand-in ready" in page.sections["apply"].html
        assert "TESTS" in page.sections["tests"].html
        assert page.task is None
        assert (stood_in / ".env.test.active").read_bytes() == before
        # Undone elsewhere meanwhile: this page finds out when it is asked to go on.
        await run.restore()
        page._go_on()
        assert "Nothing is applied here any more" in said(page)
        assert "mode degraded · since " not in page.strip.facts.value
        assert len(list((stood_in / "outputs").glob("*/*/incident.json"))) == 1
    finally:
        await run.restore()
        ipywidgets.Widget.close_all()


async def test_restoring_asks_first(cockpit: Notebook) -> None:
    await prepared(cockpit)
    await cockpit.restore()
    section = cockpit.sections["restore"]
    button(section, "Restore…").click()
    assert cockpit.incident.restored is None
    cockpit.strip.yes.click()
    await done(cockpit)
    assert "nothing to put back" in section.html


async def test_a_step_done_by_hand_wants_a_note(cockpit: Notebook) -> None:
    await prepared(cockpit)
    await cockpit.apply()
    section = cockpit.sections["apply"]
    button(section, "Mark as done by hand").click()
    assert cockpit.incident.stage(StageName.APPLY_FALLBACK) is None
    next(control for control in section.controls if isinstance(control, ipywidgets.Text)).value = "own database, ann"
    button(section, "Mark as done by hand").click()
    stage = cockpit.incident.stage(StageName.APPLY_FALLBACK)
    assert stage is not None
    assert (stage.status, stage.note) == (StageStatus.DONE_BY_HAND, "own database, ann")


async def test_a_note_of_a_person_stands_in_the_report_that_is_written_then(
    cockpit: Notebook, staging: SmallStaging
) -> None:
    staging.status = 503
    await prepared(cockpit)
    await cockpit.report()
    section = cockpit.sections["report"]
    next(control for control in section.controls if isinstance(control, ipywidgets.Text)).value = "called the provider"
    button(section, "Add to the timeline").click()
    assert "Noted on the timeline of staging-" in cockpit.sections["publish"].html
    button(section, "Write the report").click()
    await done(cockpit)
    assert "called the provider" in (cockpit.run.folder / "report.html").read_text()


async def test_publishing_shows_the_exact_text_first_and_writes_nothing_where_nothing_is_configured(
    cockpit: Notebook, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.status = 503
    await prepared(cockpit)
    await cockpit.report()
    section = cockpit.sections["report"]
    with FakeGitHub() as double:
        monkeypatch.setenv("GITHUB_API_URL", double.url)
        monkeypatch.setenv("GITHUB_TOKEN", "t-bot")
        button(section, "Publish…").click()
        assert "no repository is configured" in section.html
        cockpit.run.settings = replace(cockpit.settings, issue="1278", publish=PublishSettings(repository="octo/shop"))
        button(section, "Publish…").click()
        assert said(cockpit).endswith("The text to be written:</span>")
        shown = unescape(cockpit.sections["publish"].html).removeprefix("<pre>").removesuffix("</pre>")
        assert double.requests == []
        cockpit.strip.yes.click()
        await done(cockpit)
        assert double.on()[0]["body"] == shown
        assert "Published the incident's comment" in unescape(cockpit.sections["publish"].html)


async def test_the_report_is_written_by_a_click(cockpit: Notebook) -> None:
    await prepared(cockpit)
    await cockpit.report()
    button(cockpit.sections["report"], "Write the report").click()
    await done(cockpit)
    assert (cockpit.run.folder / "report.html").exists()
    assert "report.html" in cockpit.sections["report"].html


async def test_headless_a_failed_verdict_is_raised_and_in_front_of_a_person_it_is_not(team: Path) -> None:
    (team / "tests" / "test_bug.py").write_text("def test_bug():\n    assert False\n")
    asked = ParameterValues({**PARAMETERS, "apply": True, "fail_on": "failures"})
    headless = Notebook(Run.create(load_settings(team / "resilience.toml"), apply=True), asked)
    await prepared(headless)
    await headless.run_tests()
    with pytest.raises(VerdictError, match="1 tests failed as product"):
        headless.finish()
    headless.interactive = True
    headless.finish()


async def test_blocked_tests_are_left_out_as_on_the_command_line(team: Path, staging: SmallStaging) -> None:
    staging.status = 503
    asked = ParameterValues({**PARAMETERS, "apply": True})
    headless = Notebook(Run.create(load_settings(team / "resilience.toml"), apply=True), asked)
    await prepared(headless)
    assert await headless.run_tests() is None
    assert "TESTS: BLOCKED" in headless.sections["tests"].html
    stage = headless.incident.stage(StageName.RUN_TESTS)
    assert stage is not None
    assert (stage.status, stage.note) == (StageStatus.SKIPPED, "blocked by infrastructure")
    assert judge_run(headless.incident) == (Verdict.INFRASTRUCTURE_UNAVAILABLE, 20)


def test_outside_of_a_kernel_nobody_is_there_to_click() -> None:
    assert not interactive({"JPY_SESSION_NAME": "/x.ipynb"})


def test_what_only_a_kernel_set_is_taken_out_and_a_persons_own_stays() -> None:
    environ = {
        "TERM": "xterm-color",
        "FORCE_COLOR": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "JPY_PARENT_PID": "17",
        "JPY_SESSION_NAME": "/x.ipynb",
        "PAGER": "less",
        "PATH": "/bin",
    }
    forget_own_variables(environ)
    assert environ == {"JPY_SESSION_NAME": "/x.ipynb", "PAGER": "less", "PATH": "/bin"}


@pytest.mark.parametrize("alone", [True, False])
async def test_the_parameter_publish_writes_the_end_onto_the_issue_where_no_runner_does(
    team: Path, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    """Also where the last cell then fails; under `resilience run` the runner publishes, behind its own last word."""
    (team / "tests" / "test_bug.py").write_text("def test_bug():\n    assert False\n")
    asked = ParameterValues({**PARAMETERS, "apply": True, "fail_on": "failures", "publish": True})
    headless = Notebook(Run.create(load_settings(team / "resilience.toml"), apply=True), asked)
    headless.run.settings = replace(headless.settings, issue="1278", publish=PublishSettings(repository="octo/shop"))
    await prepared(headless)
    await headless.run_tests()
    await headless.report()
    if not alone:
        monkeypatch.setenv("RESILIENCE_HEADLESS", "1")
    with FakeGitHub() as double:
        monkeypatch.setenv("GITHUB_API_URL", double.url)
        monkeypatch.setenv("GITHUB_TOKEN", "t-bot")
        with pytest.raises(VerdictError) if alone else nullcontext():
            headless.finish()
        assert [one["body"].count("PRODUCT FAILURES") for one in double.on()] == ([1] if alone else [])
    if alone:
        assert "Published the incident's comment" in unescape(headless.sections["publish"].html)

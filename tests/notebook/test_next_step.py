"""The next step of the page is what `resilience status` proposes, but for what this run has done already."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilience.core.next_steps import Situation
from resilience.core.records import ConnectivityStatus
from resilience.notebook.next_step import Page, Step, elsewhere, next_step

DOWN, UP, UNKNOWN = ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.AVAILABLE, ConnectivityStatus.UNKNOWN
APPLIED = Situation(staging=DOWN, fallback="applied")


@pytest.mark.parametrize(
    ("page", "action"),
    [
        (Page(situation=Situation()), "assess"),
        (Page(situation=Situation(staging=DOWN)), "apply"),
        (Page(situation=Situation(staging=DOWN, changes=False)), "tests"),
        (Page(situation=Situation(staging=DOWN, blocked=True, changes=False)), "assess"),
        (Page(situation=Situation(staging=UNKNOWN, changes=False)), "assess"),
        (Page(situation=Situation(staging=UP)), "tests"),
        (Page(situation=Situation(staging=UP), tested=True), "report"),
        (Page(situation=APPLIED), "tests"),
        (Page(situation=APPLIED, tested=True), "recovery"),
        (Page(situation=replace(APPLIED, staging=UP)), "recovery"),
        (Page(situation=replace(APPLIED, staging=UP), tested=True, recovered=True), "restore"),
        (Page(situation=replace(APPLIED, fallback="unfinished")), "undo"),
        (Page(situation=APPLIED, other_run=True), "go_on"),
        (Page(situation=replace(APPLIED, elsewhere="runner-7"), other_run=True), ""),
        (Page(situation=replace(APPLIED, dead=("redis",)), tested=True), ""),
        (Page(situation=Situation(staging=DOWN), damage="journal.json cannot be read"), ""),
        (Page(situation=Situation(staging=DOWN, left_behind=".env")), ""),
        (Page(situation=Situation(staging=UP), tested=True, reported=True), ""),
    ],
)
def test_each_situation_has_its_step(page: Page, action: str) -> None:
    step = next_step(page)
    assert step.action == action
    assert bool(step.label) == bool(action)
    assert step.label or step.why, "where nothing is to be clicked, it is said what to do"


def test_what_must_be_done_elsewhere_is_said_with_the_command() -> None:
    assert "resilience services up redis" in next_step(Page(situation=replace(APPLIED, dead=("redis",)))).why
    assert "runner-7: resilience restore" in next_step(Page(situation=replace(APPLIED, elsewhere="runner-7"))).why
    assert "resilience init" in next_step(Page(situation=Situation(configured=False))).why


def test_at_the_end_it_is_said_that_the_real_staging_was_never_tested() -> None:
    done = Page(situation=Situation(staging=UP), tested=True, reported=True)
    assert "real staging" not in next_step(done).why
    assert "have not run on the real staging" in next_step(replace(done, on_staging=False)).why


def test_on_a_page_without_the_button_the_notebook_is_named_that_has_it() -> None:
    assert elsewhere(Step(action="tests", label="Run the tests")).notebook == "04_run_tests"
    assert elsewhere(Step(action="go_on", label="Go on")).notebook == "00_incident"

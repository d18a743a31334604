"""resilience.report.view.headline: the verdict is the first sentence, and status and mode stand with their nouns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilience import report
from resilience.core.records import Verdict
from tests.kits import incident_factory as factory

VERDICTS = {
    Verdict.PASSED: "PASSED",
    Verdict.PASSED_ON_STAND_INS: "NOT A FULL PASS",
    Verdict.PRODUCT_FAILURES: "PRODUCT FAILURES",
    Verdict.INFRASTRUCTURE_UNAVAILABLE: "NOT A FULL PASS",
    Verdict.UNDECIDED: "UNDECIDED",
    Verdict.STAND_IN_GAPS: "only gaps of the stand-ins failed",
    Verdict.UNKNOWN: "UNKNOWN",
    Verdict.RUNBOOK_FAILED: "THE RUNBOOK FAILED",
    Verdict.INTERRUPTED: "Interrupted",
    Verdict.TIMED_OUT: "TIMED OUT",
    Verdict.KILLED: "KILLED",
    Verdict.RUNNING: "Still running",
}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_verdict_is_the_first_sentence_in_page_and_markdown(verdict: Verdict) -> None:
    incident = replace(factory.drill().incident, verdict=verdict)
    first = report.markdown(incident).split("\n\n")[1]
    assert VERDICTS[verdict] in first
    assert VERDICTS[verdict] in report.html(incident).partition('<p class="word">')[2][:120]


def test_status_and_mode_stand_with_their_nouns() -> None:
    text = report.markdown(factory.drill().incident)
    assert "**STAGING:** WAS DOWN (database, backend\\_api); UP again since 20:41:22 UTC." in text
    assert "**TESTS:** ran on local stand-ins for database and backend\\_api (mode degraded)" in text


def test_a_run_that_failed_before_any_look_knows_nothing_and_says_so() -> None:
    text = report.markdown(factory.failed().incident)
    assert "THE RUNBOOK FAILED; nothing is known about your tests" in text
    assert "STAGING:** UNKNOWN (it was not assessed)" in text
    assert "df -h outputs" in text

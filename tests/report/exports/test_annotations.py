"""resilience.report.exports.annotations: an error beside each product failure, and one warning for all that an outage took."""

from __future__ import annotations

from dataclasses import replace

from resilience.core.records import Outcome, TestOutcome, TestTotals
from resilience.report.exports.annotations import MOST, workflow_commands
from tests.kits import incident_factory as factory


def told(*tests: TestOutcome, **totals: int) -> tuple[str, ...]:
    incident = factory.drill().incident
    assert incident.tests is not None
    return workflow_commands(replace(incident, tests=replace(incident.tests, tests=tests, totals=TestTotals(**totals))))


def test_a_product_failure_is_an_error_at_its_line_with_a_message_that_ends_no_command() -> None:
    test = TestOutcome(
        id="tests/test_a.py::test_x[a,b:c]",
        outcome=Outcome.FAILED,
        where="tests/test_a.py:12",
        message="100%\n::error::x",
    )
    assert told(test) == (
        "::error file=tests/test_a.py,line=12,title=tests/test_a.py%3A%3Atest_x[a%2Cb%3Ac]::100%25%0A::error::x",
    )


def test_an_outage_is_one_warning_and_no_error() -> None:
    lost = TestOutcome(id="a::b", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE, service="database", where="a:1")
    gap = TestOutcome(id="a::c", outcome=Outcome.STAND_IN_GAP, where="a:2")
    assert told(lost, lost, gap, infrastructure_unavailable=2, stand_in_gap=1) == (
        "::warning title=Infrastructure::2 tests held back or lost to infrastructure; "
        "1 test failed at gaps of the stand-ins (database)",
    )


def test_there_are_not_too_many_and_none_without_tests() -> None:
    assert len(told(*[TestOutcome(id="a::b", outcome=Outcome.ERROR)] * 200)) == MOST
    assert workflow_commands(replace(factory.drill().incident, tests=None)) == ()
    assert told(TestOutcome(id="a::b", outcome=Outcome.PASSED)) == ()


def test_hostile_texts_stay_on_their_line() -> None:
    for line in workflow_commands(factory.hostile().incident):
        assert line.startswith(("::error ", "::warning "))
        assert "\n" not in line
        assert "\r" not in line

"""resilience.show.terminal.tests: the product's failures first, then what is not known, then what was lost by its reason."""

from __future__ import annotations

from dataclasses import replace

from resilience.core.records import CommandEnd, Outcome, TestOutcome, Verdict
from resilience.show import terminal
from tests.kits.printed import printed
from tests.kits.run_kit import an_incident
from tests.kits.shown import RECOVERY, TESTS


def show(*tests: TestOutcome) -> str:
    return printed(lambda console: terminal.show_tests(replace(TESTS, tests=tests), console=console))


def test_the_product_s_failures_come_first_and_a_long_list_is_counted() -> None:
    failed = [TestOutcome(id=f"t{number}", outcome=Outcome.FAILED, message="boom\nmore") for number in range(25)]
    text = show(TestOutcome(id="hung", outcome=Outcome.TIMEOUT), *failed)
    assert text.index("failed t0: boom") < text.index("… and 5 more in the report") < text.index("timed out hung")
    assert "more\n" not in text.partition("failed t0")[2].partition("failed t1")[0]


def test_a_suspect_and_a_timed_out_test_say_what_that_means() -> None:
    text = show(TestOutcome(id="a", outcome=Outcome.FAILED, suspect=True), TestOutcome(id="b", outcome=Outcome.TIMEOUT))
    assert "Suspects: Counted as product failures" in text
    assert "Timed out: Stopped at their time limit; why is not known." in text


def test_what_was_lost_is_counted_by_its_reason() -> None:
    lost = [
        TestOutcome(id=f"t{n}", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE, reason="needs redis", rounds=0)
        for n in range(3)
    ]
    text = show(*lost, TestOutcome(id="x", outcome=Outcome.STAND_IN_GAP, reason="no pgvector"))
    assert "3 held back or lost: needs redis" in text
    assert "1 stand-in gap: no pgvector" in text


def test_a_test_that_passed_later_is_no_loss() -> None:
    assert "no reason known" not in show(TestOutcome(id="t", outcome=Outcome.PASSED, rounds=2))


def test_recovery_is_one_line() -> None:
    assert printed(lambda console: terminal.show_recovery(RECOVERY, console=console)).startswith(
        "RECOVERY: not yet, 1 of 5"
    )


def test_the_codes_are_a_line_only_where_they_differ() -> None:
    ended = an_incident(verdict=Verdict.UNKNOWN, exit_code=0, command=CommandEnd(verb="recover", exit_code=0))
    assert printed(lambda console: terminal.show_codes(ended, console=console)) == ""
    blocked = replace(ended, verdict=Verdict.INFRASTRUCTURE_UNAVAILABLE, exit_code=20)
    assert "Its run: exit code 20" in printed(lambda console: terminal.show_codes(blocked, console=console))

"""A command is what the worst of its tests is, unless its end says that more is wrong than they tell."""

from __future__ import annotations

import pytest

from resilience.core.records import Outcome
from resilience.suite.ends import RULES, End, judge_end, worst

PASSED, FAILED, NOT_RUN = Outcome.PASSED, Outcome.FAILED, Outcome.NOT_RUN
DOWN = Outcome.INFRASTRUCTURE_UNAVAILABLE

ROWS = [
    ("a limit ended it", End(worst=FAILED, timed_out="the deadline passed", stalled="x"), Outcome.TIMEOUT, "the deadline passed"),
    ("it stalled beside a service that is down", End(worst=DOWN, stalled="no progress", complete=False), DOWN, "no progress"),
    (
        "pytest could not start",
        End(worst=PASSED, exit_code=4, refused=True, collected=0, tail="ERROR: unrecognized arguments: --nope"),
        NOT_RUN,
        "pytest could not start: unrecognized arguments: --nope (exit code 4)",
    ),
    ("it ended in the middle", End(worst=PASSED, complete=False, exit_code=137), NOT_RUN, "no finish line, exit code 137"),
    ("it ended in the middle", End(worst=DOWN, complete=False, exit_code=137), DOWN, "no finish line, exit code 137"),
    ("it was killed after its last test", End(worst=PASSED, exit_code=137), NOT_RUN, "killed by signal 9 (SIGKILL) after"),
    ("an exit code that no test explains", End(worst=PASSED, exit_code=139), FAILED, "exit code 139"),
    ("an exit code that no test explains", End(worst=PASSED, exit_code=2), FAILED, "exit code 2, although no test failed"),
    ("nothing was collected", End(worst=PASSED, exit_code=5, collected=0), NOT_RUN, "nothing was collected (exit code 5)"),
    ("tests were not run", End(worst=NOT_RUN, not_run="never reached"), NOT_RUN, "never reached"),
    ("anything else", End(worst=PASSED), PASSED, "per-test events"),
    ("anything else", End(worst=FAILED, exit_code=1, failing=True), FAILED, "per-test events"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "end", "outcome", "says"), ROWS, ids=[f"{row[0]}-{row[2]}" for row in ROWS])
def test_the_first_rule_that_fits_decides(rule: str, end: End, outcome: Outcome, says: str) -> None:
    assert next(one for one in RULES if one.fits(end)).what == rule
    found, told = judge_end(end)
    assert found is outcome
    assert says in told


def test_every_rule_has_a_row_and_a_reason() -> None:
    assert {row[0] for row in ROWS} == {rule.what for rule in RULES}
    assert all(rule.reason for rule in RULES)


@pytest.mark.parametrize("outcome", [FAILED, DOWN, Outcome.UNDECIDED])
def test_a_usage_error_of_one_pytest_hides_no_failure_of_another(outcome: Outcome) -> None:
    assert judge_end(End(worst=outcome, exit_code=4, refused=True))[0] is outcome


def test_an_exit_code_is_explained_by_a_test_that_a_later_round_settled() -> None:
    assert judge_end(End(worst=PASSED, exit_code=1, failing=True)) == (PASSED, "per-test events")


def test_the_worst_is_a_limit_then_the_products_then_an_outages() -> None:
    ranked = [Outcome.TIMEOUT, FAILED, Outcome.ERROR, DOWN, Outcome.UNDECIDED, Outcome.STAND_IN_GAP, NOT_RUN, PASSED]
    assert [worst(ranked[number:]) for number in range(len(ranked))] == ranked
    assert worst(()) is PASSED
    assert worst([Outcome.SKIPPED, Outcome.XFAILED]) is PASSED

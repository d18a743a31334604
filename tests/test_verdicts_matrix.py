"""What proves what stays as it was, but for what a commit changes on purpose."""

from __future__ import annotations

from pathlib import Path

from resilience.core.records import Outcome, StageStatus, Verdict
from tests.frozen import differences
from tests.verdicts_matrix import BY_TESTS, VERDICTS, fail_on, judged_stages, matrix

FROZEN = Path(__file__).parent / "data" / "verdicts.txt"


def test_the_table_of_verdicts_is_the_frozen_one() -> None:
    said = differences(FROZEN, matrix(), "tests.verdicts_matrix")
    assert not said, said


def test_the_table_goes_through_every_outcome_verdict_and_stage_status() -> None:
    assert {outcome for one in BY_TESTS.values() for outcome in one.tests} == set(Outcome)
    assert {verdict for verdict, _ in VERDICTS} == set(Verdict) - {Verdict.RUNNING}
    told = list(judged_stages())
    assert all(any(f" {status.value}: " in line for line in told) for status in StageStatus)


def test_fail_on_means_one_thing_in_the_notebook_and_on_the_command_line() -> None:
    assert [line for line in fail_on() if "they differ" in line] == []

"""What became of a stage, by how its notebook ended: the break goes before the notebook's word, and each has its code."""

from __future__ import annotations

import signal
from datetime import timedelta

import pytest

from resilience.core.records import ExitCode, Stage, StageName, StageStatus, Verdict
from resilience.core.verdict import VERDICTS
from resilience.notebook import endings
from resilience.notebook.endings import Break
from tests.kits.records import AT

LATER = AT + timedelta(seconds=3)


def stage(status: StageStatus, error: str = "") -> Stage:
    return Stage(name=StageName.RUN_TESTS, status=status, started_at=AT, error=error, notebook="notebooks/04.ipynb")


BEGUN = stage(StageStatus.STARTED)


@pytest.mark.parametrize("written", [None, *StageStatus])
def test_a_notebook_that_came_through_is_finished_unless_it_said_that_the_stage_was_not_done_by_it(
    written: StageStatus | None,
) -> None:
    """Also where the notebook caught the error of a stage: then its last cell judges, and nothing broke."""
    end = endings.ended(BEGUN, None, None if written is None else stage(written), at=LATER)
    said = written in (StageStatus.SKIPPED, StageStatus.DONE_BY_HAND)
    assert end.status is (written if said else StageStatus.FINISHED)
    assert (end.finished_at, end.notebook) == (LATER, "notebooks/04.ipynb")


@pytest.mark.parametrize("written", [None, *StageStatus])
@pytest.mark.parametrize("status", sorted(endings.BROKEN))
def test_a_break_is_believed_before_what_the_notebook_wrote(status: StageStatus, written: StageStatus | None) -> None:
    broke = Break(status, "tests (cell 3 of 8)", "Why: this", "do that")
    end = endings.ended(BEGUN, broke, None if written is None else stage(written), at=LATER)
    assert (end.status, end.cell, end.error, end.hint) == (status, "tests (cell 3 of 8)", "Why: this", "do that")


@pytest.mark.parametrize(
    ("status", "error", "heard", "code", "verdict"),
    [
        (StageStatus.FAILED, "ZeroDivisionError: x", None, ExitCode.RUNBOOK_FAILED, Verdict.RUNBOOK_FAILED),
        (StageStatus.FAILED, "LockedError: another", None, ExitCode.LOCKED, Verdict.RUNBOOK_FAILED),
        (StageStatus.FAILED, "OrderError: no look", None, ExitCode.USAGE, Verdict.RUNBOOK_FAILED),
        (StageStatus.KILLED, "KernelDied: x", None, ExitCode.RUNBOOK_FAILED, Verdict.RUNBOOK_FAILED),
        (StageStatus.TIMED_OUT, "TimedOut: x", None, ExitCode.TIMED_OUT, Verdict.TIMED_OUT),
        (StageStatus.INTERRUPTED, "Interrupted: x", signal.SIGINT, ExitCode.INTERRUPTED, Verdict.INTERRUPTED),
        (StageStatus.INTERRUPTED, "Interrupted: x", signal.SIGTERM, ExitCode.TERMINATED, Verdict.INTERRUPTED),
    ],
)
def test_each_break_has_its_exit_code_and_verdict(
    status: StageStatus, error: str, heard: int | None, code: int, verdict: Verdict
) -> None:
    assert endings.exit_code([stage(StageStatus.FINISHED), stage(status, error)], heard=heard) == code
    assert VERDICTS.get(code, Verdict.RUNBOOK_FAILED) is verdict


def test_of_two_breaks_the_worse_counts_and_none_is_zero() -> None:
    broken = [stage(StageStatus.TIMED_OUT), stage(StageStatus.KILLED)]
    assert endings.exit_code(broken, heard=None) == ExitCode.RUNBOOK_FAILED
    whole = [stage(StageStatus.FINISHED), stage(StageStatus.SKIPPED), stage(StageStatus.DONE_BY_HAND)]
    assert endings.exit_code(whole, heard=None) == ExitCode.PASSED


def test_the_message_says_what_ended_the_cell_and_what_to_type() -> None:
    where = "tests (cell 3 of 8)"
    killed = endings.killed(-9, where, run="031407Z-x")
    assert "SIGKILL" in killed.message
    assert "resilience resume 031407Z-x" in killed.hint
    assert "exit code 3" in endings.killed(3, where, run="x").message
    assert "SIGTERM stopped the run" in endings.interrupted(signal.SIGTERM, where, run="x").message
    assert "the stage was stopped in this cell after 4 s" in endings.timed_out(4.2, where, run="x", whole=False).message
    assert "the run was stopped" in endings.timed_out(4.2, where, run="x", whole=True).message


def test_an_error_of_ours_keeps_its_hint_apart_and_loses_its_colours() -> None:
    class Told(Exception):
        ename = "OrderError"
        evalue = "\x1b[31mno look\x1b[0m. Hint: resilience assess"

    assert endings.failed(Told(), "here") == Break(
        StageStatus.FAILED, "here", "OrderError: no look.", "resilience assess"
    )
    assert endings.failed(ValueError("plain"), "here").message == "ValueError: plain"

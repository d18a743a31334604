"""The verdict of a run from its records: a break goes first, and nothing is called passed that was not tested."""

from __future__ import annotations

from itertools import product

import pytest

from resilience.core.records import (
    Decision,
    ExitCode,
    Stage,
    StageName,
    StageStatus,
    TestExecutionMode as M,
    TestSuiteResult,
    TestTotals,
    Verdict,
)
from resilience.runs.runbook import judge_run
from tests.kits.records import AT, S, health
from tests.kits.run_kit import an_incident


def suite(verdict: Verdict, code: int) -> TestSuiteResult:
    return TestSuiteResult(
        mode=M.FULL,
        started_at=AT,
        duration_s=1.0,
        exit_code=code,
        commands=(),
        totals=TestTotals(passed=1),
        tests=(),
        verdict=verdict,
    )


RESULTS = (
    None,
    suite(Verdict.PASSED, 0),
    suite(Verdict.PASSED_ON_STAND_INS, 10),
    suite(Verdict.PRODUCT_FAILURES, 1),
    suite(Verdict.INFRASTRUCTURE_UNAVAILABLE, 20),
    suite(Verdict.UNKNOWN, 21),
    suite(Verdict.TIMED_OUT, 124),
)


BROKEN = {
    StageStatus.FAILED: (Verdict.RUNBOOK_FAILED, 30),
    StageStatus.KILLED: (Verdict.RUNBOOK_FAILED, 30),
    StageStatus.STARTED: (Verdict.RUNBOOK_FAILED, 30),
    StageStatus.INTERRUPTED: (Verdict.INTERRUPTED, 130),
    StageStatus.TIMED_OUT: (Verdict.TIMED_OUT, 124),
}


def test_the_verdict_over_all_that_can_be_recorded() -> None:
    for status, name, tests, blocked, overall in product(StageStatus, StageName, RESULTS, (False, True), (None, *S)):
        decision = Decision(mode=M.DEGRADED, reasons=(), decided_at=AT, blocked=blocked)
        found = an_incident(
            stages=(Stage(name=name, status=status, started_at=AT),),
            tests=tests,
            decision=decision,
            latest=None if overall is None else health({}, overall=overall),
        )
        verdict, code = judge_run(found)
        case = (status, name, tests and tests.verdict, blocked, overall)
        if name is not StageName.REPORT and status in BROKEN:
            assert (verdict, code) == BROKEN[status], case
        elif tests is not None:
            assert (verdict, code) == (tests.verdict, tests.exit_code), case
        else:
            assert verdict is not Verdict.PASSED, case
            assert (code == 20) == (blocked or overall is S.UNAVAILABLE), case
        assert code in ExitCode.ORDER


def test_of_several_breaks_the_worst_counts() -> None:
    stages = tuple(
        Stage(name=name, status=status, started_at=AT)
        for name, status in zip(
            StageName, (StageStatus.TIMED_OUT, StageStatus.INTERRUPTED, StageStatus.FAILED), strict=False
        )
    )
    assert judge_run(an_incident(stages=stages))[1] == 30
    assert judge_run(an_incident(stages=stages[:2]))[1] == 130


@pytest.mark.parametrize(("critical", "full"), list(product(RESULTS, RESULTS)))
def test_the_two_runs_of_a_recovery_count_by_the_worse(
    critical: TestSuiteResult | None, full: TestSuiteResult | None
) -> None:
    found = an_incident(critical_tests=critical, full_tests=full, tests=RESULTS[2])
    ran = [result for result in (critical, full) if result is not None]
    expected = ExitCode.worst(*(result.exit_code for result in ran)) if ran else 10
    assert judge_run(found)[1] == expected

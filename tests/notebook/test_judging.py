"""A stage that broke fails the notebook; what the tests said does where `fail_on` says so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from resilience.core.records import (
    Incident,
    Stage,
    StageName,
    StageStatus,
    TestExecutionMode,
    TestSuiteResult,
    TestTotals,
    Vantage,
    Verdict,
)
from resilience.core.verdict import FailOn
from resilience.notebook.judging import fails

NOW = datetime(2026, 11, 22, 3, 14, 7, tzinfo=UTC)


def incident(verdict: Verdict | None = None, *, code: int = 0, broken: StageStatus | None = None) -> Incident:
    tests = verdict and TestSuiteResult(
        mode=TestExecutionMode.DEGRADED,
        started_at=NOW,
        duration_s=1,
        exit_code=code,
        commands=(),
        totals=TestTotals(failed=2),
        tests=(),
        verdict=verdict,
    )
    stages = ()
    if broken:
        stages = (Stage(name=StageName.ASSESS, status=broken, started_at=NOW, error="the kernel was killed"),)
    return Incident(
        run="r",
        slug="s",
        environment="staging",
        started_at=NOW,
        vantage=Vantage(host="h", user="u"),
        tests=tests or None,
        stages=stages,
    )


@pytest.mark.parametrize("fail_on", list(FailOn))
@pytest.mark.parametrize("verdict", list(Verdict))
def test_fail_on_decides_about_what_tests_said_and_about_nothing_else(verdict: Verdict, fail_on: FailOn) -> None:
    partial = {
        *(Verdict.PASSED_ON_STAND_INS, Verdict.INFRASTRUCTURE_UNAVAILABLE, Verdict.UNKNOWN),
        *(Verdict.UNDECIDED, Verdict.STAND_IN_GAPS),
    }
    counted = {
        FailOn.NEVER: set[Verdict](),
        FailOn.FAILURES: {Verdict.PRODUCT_FAILURES},
        FailOn.DEGRADED: {Verdict.PRODUCT_FAILURES, *partial},
    }
    always = {Verdict.RUNBOOK_FAILED, Verdict.INTERRUPTED, Verdict.TIMED_OUT, Verdict.KILLED}
    expected = verdict in always or verdict in counted[fail_on]
    assert bool(fails(incident(verdict, code=1), fail_on)) is expected


@pytest.mark.parametrize("status", list(StageStatus))
def test_a_broken_stage_always_fails(status: StageStatus) -> None:
    broken = status in (StageStatus.FAILED, StageStatus.KILLED, StageStatus.TIMED_OUT, StageStatus.INTERRUPTED)
    reason = fails(incident(broken=status), FailOn.NEVER)
    assert bool(reason) is broken
    assert not broken or ("assess" in reason and "the kernel was killed" in reason)


def test_only_looking_does_not_fail() -> None:
    assert fails(incident()) == ""

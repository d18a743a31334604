"""Tests are compared by how they ended in the lesson; see test_rehearse.py for whole rehearsals."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from resilience.core.records import Outcome, TestExecutionMode, TestOutcome, TestSuiteResult, TestTotals
from resilience.runs.rehearsing import _compared
from resilience.teach.store import Store, rehearsal_of


def result(**outcomes: Outcome) -> TestSuiteResult:
    return TestSuiteResult(
        mode=TestExecutionMode.OFFLINE, started_at=datetime.now(UTC), duration_s=1.0, exit_code=0, commands=(),
        totals=TestTotals(), tests=tuple(TestOutcome(id=name, outcome=one) for name, one in outcomes.items()),
    )  # fmt: skip


def test_what_was_not_run_on_either_side_counts_neither_way(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ended = {
        "same": "passed", "bug": "failed", "gap": "passed", "other": "passed", "held": "passed", "gone": "passed",
        "outage": "infrastructure_unavailable", "doubt": "passed",
    }  # fmt: skip
    with store.lesson():
        generation = store.write(
            "api", {"at": datetime.now(UTC).isoformat(), "source": "traffic", "ended": ended}, {"recordings.har": b""}
        )
    seen = {test: end for test, end in ended.items() if end != "infrastructure_unavailable"}
    told = result(
        same=Outcome.PASSED, bug=Outcome.FAILED, gap=Outcome.STAND_IN_GAP, other=Outcome.FAILED,
        held=Outcome.INFRASTRUCTURE_UNAVAILABLE, outage=Outcome.PASSED, doubt=Outcome.UNDECIDED, new=Outcome.FAILED,
    )  # fmt: skip
    rehearsal = _compared(store, {"api": generation}, {"api": seen}, told, ())
    one = rehearsal.fidelity["api"]
    assert (one.same, one.ran, one.gaps, one.differ) == (2, 5, 1, 2)
    assert {test.test for test in rehearsal.differing["api"]} == {"gap", "other", "doubt"}
    assert rehearsal.not_rehearsed == 2
    assert rehearsal_of(generation) == (
        one.__class__(at=one.at.replace(microsecond=0), same=2, ran=5, gaps=1, differ=2),
        {"same"},
    )

"""Totals add up; the worst of several codes wins."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from resilience.core.records import (
    CommandResult,
    Outcome,
    Reached,
    TestExecutionMode,
    TestOutcome,
    Verdict,
)
from resilience.core.verdict import prove, totals


def outcome_tests(*found: Outcome) -> tuple[TestOutcome, ...]:
    return tuple(TestOutcome(id=f"t{number}", outcome=one) for number, one in enumerate(found))


PYTEST_COMMAND = CommandResult(command="pytest", kind="pytest", exit_code=0, duration_s=1.0)


@pytest.mark.parametrize(
    ("found", "mode", "more", "code"),
    [
        ((Outcome.PASSED,), "full", {}, 0),
        ((Outcome.PASSED, Outcome.SKIPPED, Outcome.XFAILED, Outcome.DESELECTED), "full", {}, 0),
        ((Outcome.PASSED,), "degraded", {}, 10),
        ((Outcome.PASSED,), "full", {"stand_ins": True}, 10),
        ((Outcome.PASSED, Outcome.STAND_IN_GAP), "full", {}, 10),
        ((Outcome.PASSED, Outcome.INFRASTRUCTURE_UNAVAILABLE), "degraded", {}, 10),
        ((Outcome.PASSED, Outcome.INFRASTRUCTURE_UNAVAILABLE), "degraded", {"blocked": True}, 20),
        ((Outcome.FAILED, Outcome.INFRASTRUCTURE_UNAVAILABLE), "full", {"blocked": True}, 1),
        ((Outcome.ERROR,), "full", {}, 1),
        ((Outcome.NOT_RUN, Outcome.PASSED), "full", {}, 21),
        ((Outcome.NOT_RUN, Outcome.FAILED), "full", {}, 1),
        ((Outcome.DESELECTED,), "full", {}, 21),
        ((), "full", {}, 21),
        ((Outcome.TIMEOUT, Outcome.FAILED), "full", {}, 124),
        ((Outcome.TIMEOUT, Outcome.FAILED), "full", {"interrupted": 130}, 130),
        ((Outcome.FAILED,), "full", {"interrupted": 143, "runner_failed": "x"}, 30),
        ((Outcome.PASSED,), "degraded", {"reached": [Reached(service="database", connections=0, canary=False)]}, 21),
    ],
)
def test_the_exit_code_follows_the_contracts_order(
    found: tuple[Outcome, ...], mode: str, more: dict[str, Any], code: int
) -> None:
    proof = prove(mode=TestExecutionMode(mode), tests=outcome_tests(*found), commands=[PYTEST_COMMAND], **more)
    assert proof.exit_code == code
    assert (proof.verdict is Verdict.PASSED) == (code == 0)


def test_totals_add_up_for_every_pair_of_outcomes() -> None:
    for pair in itertools.product(Outcome, repeat=2):
        counted = totals(outcome_tests(*pair))
        assert sum(getattr(counted, outcome.value) for outcome in Outcome) == 2

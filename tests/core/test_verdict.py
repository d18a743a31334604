"""Totals add up; the worst of several codes wins."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from resilience.core.marks import BLAME, Blame
from resilience.core.records import (
    CommandResult,
    ExitCode,
    Outcome,
    Reached,
    TestExecutionMode,
    TestOutcome,
    Verdict,
)
from resilience.core.verdict import (
    RULES,
    VERDICTS,
    FailOn,
    Results,
    Rule,
    code_of,
    counts_as_failure,
    prove,
    totals,
)


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
        ((Outcome.PASSED,), "degraded", {"reached": (Reached(service="database", connections=0, canary=False),)}, 21),
    ],
)
def test_the_exit_code_follows_the_contracts_order(
    found: tuple[Outcome, ...], mode: str, more: dict[str, Any], code: int
) -> None:
    results = Results(
        mode=TestExecutionMode(mode), counts=totals(outcome_tests(*found)), commands=(PYTEST_COMMAND,), **more
    )
    proof = prove(results)
    assert proof.exit_code == code
    assert (proof.verdict is Verdict.PASSED) == (code == 0)


def test_totals_add_up_for_every_pair_of_outcomes() -> None:
    for pair in itertools.product(Outcome, repeat=2):
        counted = totals(outcome_tests(*pair))
        assert sum(getattr(counted, outcome.value) for outcome in Outcome) == 2


def results(*found: Outcome, **more: Any) -> Results:
    given: dict[str, Any] = {
        "mode": TestExecutionMode.FULL,
        "counts": totals(outcome_tests(*found)),
        "commands": (PYTEST_COMMAND,),
    }
    return Results(**(given | more))


LOST_COMMAND = replace(PYTEST_COMMAND, kind="other", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE)
ROWS: dict[str, tuple[Results, int]] = {
    "the runbook failed": (results(Outcome.PASSED, runner_failed="disk full"), 30),
    "interrupted": (results(Outcome.PASSED, interrupted=143), 143),
    "timed out": (results(Outcome.PASSED, Outcome.TIMEOUT), 124),
    "product failures": (results(Outcome.PASSED, Outcome.ERROR), 1),
    "blocked by infrastructure": (results(Outcome.PASSED, commands=(PYTEST_COMMAND, LOST_COMMAND)), 20),
    "undecided": (results(Outcome.PASSED, Outcome.UNDECIDED), 20),
    "only gaps of the stand-ins": (results(Outcome.PASSED, Outcome.STAND_IN_GAP), 10),
    "a command proved nothing": (results(Outcome.PASSED, unknown=("make: killed",)), 21),
    "our plug-in had trouble": (results(Outcome.PASSED, Outcome.FAILED, trouble=("logreport: TypeError",)), 21),
    "no command": (results(Outcome.PASSED, commands=()), 21),
    "no test ran": (results(Outcome.DESELECTED), 21),
    "tests were left over": (results(Outcome.PASSED, Outcome.NOT_RUN), 21),
    "another server was used": (
        results(Outcome.PASSED, reached=(Reached(service="database", connections=0, canary=False),)),
        21,
    ),
    "not a full pass": (results(Outcome.PASSED, stand_ins=True), 10),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_decides_by_itself_and_no_other_one_applies(rule: Rule) -> None:
    made, code = ROWS[rule.name]
    proof = prove(made)
    assert (proof.because, proof.exit_code) == ((rule.name,), code)
    assert rule.reason


def test_a_run_that_no_rule_speaks_against_passed() -> None:
    assert prove(results(Outcome.PASSED, Outcome.SKIPPED)).verdict is Verdict.PASSED


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_blame_of_each_outcome_is_one_and_agrees_with_the_verdict_it_leads_to(outcome: Outcome) -> None:
    verdict = prove(results(Outcome.PASSED, outcome, blocked=outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE)).verdict
    assert (BLAME[outcome] is Blame.PRODUCT) == (verdict is Verdict.PRODUCT_FAILURES)
    assert (BLAME[outcome] is Blame.INFRASTRUCTURE) == (verdict is Verdict.INFRASTRUCTURE_UNAVAILABLE)
    assert BLAME[outcome] is not Blame.NONE or verdict is Verdict.PASSED


@pytest.mark.parametrize("fail_on", ["", *FailOn])
@pytest.mark.parametrize("code", ExitCode.ORDER)
def test_what_a_word_hides_is_what_the_tests_said_and_never_what_broke(code: int, fail_on: str) -> None:
    counted = counts_as_failure(code, fail_on)
    if code in (30, 124, 130, 137, 143):
        assert counted
    elif code == 0:
        assert not counted
    else:
        assert counted == (fail_on in ("", "degraded") or (fail_on == "failures" and code == 1))


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.RUNNING])
def test_a_verdicts_code_leads_back_to_it(verdict: Verdict) -> None:
    code = code_of(verdict)
    assert code in ExitCode.ORDER
    assert VERDICTS[code] is verdict or any(rule.verdict is verdict and rule.code == code for rule in RULES)

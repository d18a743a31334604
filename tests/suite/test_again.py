"""What a second run settles, row by row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from resilience.core.records import Evidence, FaultCode, Outcome
from resilience.suite.again import RULES, Again, settle
from resilience.suite.evidence import Judged

INFRA, FAILED, UNDECIDED, PASSED = (
    Outcome.INFRASTRUCTURE_UNAVAILABLE, Outcome.FAILED, Outcome.UNDECIDED, Outcome.PASSED,
)  # fmt: skip


def judged(outcome: Outcome, rule: int, kind: str = "A", *, sign: bool = True, **more: Any) -> Judged:
    signs = ("A: tcp_refused",) if sign else ()
    evidence = Evidence(round=1, rule=rule, judgement=outcome, reason="r", signs=signs)
    return Judged(outcome=outcome, rule=rule, kinds=frozenset({kind}), evidence=evidence, message=kind, **more)


OUTAGE = judged(INFRA, 11, again=True, trace=True)
BESIDE_GREEN = judged(FAILED, 13, again=True, suspect=True)
OWN = judged(FAILED, 13, "B", sign=False, again=True)
PASS = Judged(outcome=PASSED, rule=0)
OTHER = judged(FAILED, 16, "C", sign=False)

ROWS: dict[str, tuple[Again, Outcome, bool, bool]] = {
    "passed after an outage": (Again(first=OUTAGE, now=PASS), PASSED, False, False),
    "passed, and no outage was seen": (Again(first=BESIDE_GREEN, now=PASS), PASSED, True, False),
    "skipped by itself": (Again(first=OUTAGE, now=Judged(outcome=Outcome.SKIPPED)), Outcome.SKIPPED, False, False),
    "the service is down again": (Again(first=OUTAGE, now=OUTAGE), INFRA, False, True),
    "the same error beside well services": (Again(first=OUTAGE, now=BESIDE_GREEN), FAILED, True, False),
    "the client's own error stays": (Again(first=OWN, now=OWN), FAILED, False, False),
    "unwell only while it runs, twice": (
        Again(first=judged(FAILED, 10, again=True, alone=True), now=judged(FAILED, 10, again=True, alone=True)),
        FAILED, True, False,
    ),
    "it hangs twice": (Again(first=judged(FAILED, 3, again=True), now=judged(FAILED, 3, again=True)), FAILED, False, False),
    "another error": (Again(first=OUTAGE, now=OTHER), UNDECIDED, False, True),
    "another error, and no more rounds": (Again(first=OUTAGE, now=OTHER, more=False), UNDECIDED, False, False),
    "another error with its whole file": (Again(first=OUTAGE, now=OTHER, whole=True), UNDECIDED, False, False),
    "another error with its whole file, and nothing left behind": (
        Again(first=replace(OUTAGE, nothing_done=True), now=OTHER, whole=True), FAILED, False, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_second_run_settles(name: str) -> None:
    again, outcome, suspect, more = ROWS[name]
    found = settle(again)
    assert (found.outcome, found.suspect, found.again) == (outcome, suspect, more), found
    assert found.reason or outcome in (Outcome.SKIPPED, INFRA)


def test_every_rule_decides_a_row() -> None:
    decided = {next(rule.what for rule in RULES if rule.fits(again)) for again, *_ in ROWS.values()}
    assert decided == {rule.what for rule in RULES}
    assert all(rule.reason for rule in RULES)


def test_both_errors_are_named_where_they_differ_and_the_test_runs_with_its_file_next() -> None:
    found = settle(Again(first=OUTAGE, now=OTHER))
    assert found.rule == 17
    assert "before it was: A" in found.reason
    assert found.evidence is not None
    assert (found.evidence.rule, found.evidence.judgement) == (17, UNDECIDED)


def test_what_passed_on_a_later_round_keeps_the_service_and_the_fault_that_took_it_at_first() -> None:
    lost = Judged(
        outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE,
        service="redis",
        fault=FaultCode.PROTO_RESET,
        message="reset",
        trace=True,
    )
    now = settle(Again(first=lost, now=Judged(outcome=Outcome.PASSED)))
    assert (now.outcome, now.service, now.fault) == (Outcome.PASSED, "redis", FaultCode.PROTO_RESET)

"""Why a test was judged so is said in words, whatever is known of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from resilience.core.records import Evidence, FaultCode, Outcome, SeenLook, TestOutcome
from resilience.core.why import why_lines

AT = datetime(2026, 11, 22, 3, 14, 7, tzinfo=UTC)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_said_and_whose_it_is(outcome: Outcome) -> None:
    lines = why_lines(TestOutcome(id="a::b", outcome=outcome))
    assert lines[0].startswith("a::b: ")
    assert lines[-1] == "  no error was judged: it never failed, or never ran"


def test_a_round_names_the_rule_the_sign_the_endpoint_and_the_looks_with_their_times() -> None:
    red = SeenLook(service="redis", at=AT, red=True, fault=FaultCode.TCP_REFUSED)
    well = SeenLook(service="redis", at=AT, red=False, detail="well")
    evidence = Evidence(
        round=1,
        rule=11,
        judgement=Outcome.INFRASTRUCTURE_UNAVAILABLE,
        reason="both sides say so",
        error="ConnectionError: Error 111",
        signs=("redis.exceptions.ConnectionError: tcp_refused",),
        endpoint="127.0.0.1:6379",
        service="redis",
        used=("redis", "database?"),
        before=well,
        during=red,
        passed_there=1,
        recordings="fails on both",
    )
    text = "\n".join(why_lines(TestOutcome(id="a::b", outcome=Outcome.PASSED, where="a.py:3", evidence=(evidence,))))
    for part in (
        "at a.py:3",
        "round 1: held back or lost by rule 11 of docs/verdict.md: both sides say so",
        "sign      redis.exceptions.ConnectionError: tcp_refused",
        "endpoint  127.0.0.1:6379 (redis)",
        "redis, database? (? = may have)",
        "look before 03:14:07Z redis well",
        "look during 03:14:07Z redis unwell, tcp_refused",
        "1 other test of this round passed",
        "recorded  it fails on both",
    ):
        assert part in text, text


@pytest.mark.parametrize(
    ("since", "told"),
    [
        (Outcome.PASSED, "settled since, on recovered staging: passed, nobody's: nothing failed"),
        (Outcome.FAILED, "settled since, on recovered staging: failed, the product's"),
        (Outcome.UNDECIDED, "settled when the service is back"),
    ],
)
def test_an_undecided_test_says_what_it_came_to_on_recovered_staging(since: Outcome, told: str) -> None:
    before, later = (TestOutcome(id="a::b", outcome=outcome) for outcome in (Outcome.UNDECIDED, since))
    assert told in why_lines(before, since=later)[0]

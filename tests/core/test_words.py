"""The sentences a tired person reads first name their subject, and none can be taken for another."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from resilience.core import words
from resilience.core.records import (
    CommandEnd,
    Decision,
    ExitCode,
    FaultCode,
    Recovery,
    TestExecutionMode as M,
    TestSuiteResult,
    TestTotals,
    Verdict,
)
from tests.kits.kinds import ServiceType
from tests.kits.records import AT, TYPES, S, health, result
from tests.kits.run_kit import an_incident


def decision(mode: M, **fields: object) -> Decision:
    return Decision(mode=mode, reasons=(), decided_at=AT, **fields)  # type: ignore[arg-type]


# --------------------------------------------------------------------------- staging


@pytest.mark.parametrize(
    ("statuses", "line"),
    [
        ({}, "STAGING: UP (7 of 7 checked)"),
        (
            dict.fromkeys([n for n in TYPES if n != "redis"], S.NOT_CONFIGURED),
            "STAGING: UNKNOWN (1 of 1 checked, 6 not configured)",
        ),
        (
            {"redis": S.DEGRADED},
            "STAGING: DEGRADED (redis: slow, 10 ms). 7 of 7 checked",
        ),
    ],
)
def test_the_first_line_names_staging_its_status_and_how_much_was_looked_at(
    statuses: dict[str, object], line: str
) -> None:
    assert words.staging_line(health(statuses)) == line  # type: ignore[arg-type]


def test_the_critical_services_are_named_first_and_a_long_list_is_counted() -> None:
    line = words.staging_line(health(dict.fromkeys(TYPES, S.UNAVAILABLE)))
    assert line.startswith(
        "STAGING: DOWN (database, backend_api, redis, clickhouse: connect time-out after 5.0 s; and 3 more)"
    )
    assert "(database: connect time-out after 5.0 s; and 6 more)" in words.staging_line(
        health(dict.fromkeys(TYPES, S.UNAVAILABLE)), most=1
    )


@pytest.mark.parametrize("status", S)
def test_every_overall_status_has_a_word_of_its_own(status: S) -> None:  # type: ignore[valid-type]
    found = {words.staging_line(health({}, overall=one)).partition(" (")[0] for one in S}
    assert len(found) == len(S)


@pytest.mark.parametrize("code", FaultCode)
def test_every_fault_has_a_phrase_without_underscores(code: FaultCode) -> None:
    phrase = words.fault_phrase(result("redis", S.UNAVAILABLE, code))
    assert phrase
    assert "_" not in phrase


def test_a_status_code_says_more_than_its_class_and_a_time_out_says_after_how_long() -> None:
    answered = replace(result("backend_api", S.UNAVAILABLE, FaultCode.APP_OVERLOAD), facts={"status": "503"})
    assert words.fault_phrase(answered) == "503"
    assert words.fault_phrase(replace(answered, fault=FaultCode.PROTO_SLOW)) == "answers too slowly after 5.0 s"
    assert words.fault_phrase(replace(result("redis", S.DEGRADED), flapping=True)) == "flapping"


def test_a_service_that_answered_too_slowly_is_slow_and_one_that_gave_up_a_query_timed_out() -> None:
    slow = result("redis", S.DEGRADED, FaultCode.APP_SLOW)
    assert words.fault_phrase(replace(slow, response_time_s=1.2)) == "slow, 1.2 s"
    assert words.fault_phrase(replace(slow, status=S.UNAVAILABLE)) == "query time-out"


# --------------------------------------------------------------------------- tests


def test_no_line_about_tests_can_be_taken_for_one_about_staging() -> None:
    for mode, blocked, stand_ins, held in product(M, (False, True), ((), ("redis",)), ({}, {"database": "why"})):
        line = words.tests_line(decision(mode, blocked=blocked, stand_ins=stand_ins, held=held))
        assert line.startswith("TESTS: ")
        assert "STAGING" not in line
        assert blocked == ("BLOCKED" in line)
        assert ("real staging" in line) == (mode is M.FULL and not blocked)


def test_stand_ins_and_what_waits_are_named() -> None:
    assert words.tests_line(decision(M.DEGRADED, stand_ins=("database", "redis"))) == (
        "TESTS: can run on local stand-ins for database, redis (mode degraded)"
    )
    assert "but for those that need database" in words.tests_line(decision(M.DEGRADED, held={"database": "why"}))


def test_stand_ins_do_not_hide_that_other_tests_wait() -> None:
    line = words.tests_line(decision(M.DEGRADED, stand_ins=("redis",), held={"database": "why"}))
    assert "redis" in line
    assert "database" in line


def test_critical_only_says_so_also_on_stand_ins() -> None:
    assert "only the critical" in words.tests_line(decision(M.CRITICAL_ONLY, stand_ins=("redis",)))


def test_every_verdict_in_every_mode_has_words_and_only_a_full_pass_says_passed_alone() -> None:
    for verdict, mode in product(Verdict, (None, *M)):
        phrase = words.verdict_phrase(verdict, mode)
        assert phrase
        if verdict is not Verdict.PASSED:
            assert not phrase.startswith("PASSED")
        if verdict is Verdict.PASSED_ON_STAND_INS:
            assert phrase.startswith("NOT A FULL PASS")
    assert "NOT A FULL RUN" not in words.verdict_phrase(Verdict.PRODUCT_FAILURES, M.FULL)
    assert "NOT A FULL RUN" in words.verdict_phrase(Verdict.PRODUCT_FAILURES, M.DEGRADED)
    assert "nothing is known about your tests" in words.verdict_phrase(Verdict.RUNBOOK_FAILED)


def test_totals_leave_out_zeros_and_tell_the_products_failures_from_infrastructures() -> None:
    totals = TestTotals(passed=1204, failed=3, infrastructure_unavailable=212, retried=9, passed_on_retry=7)
    assert words.totals_line(totals) == (
        "1,204 passed, 3 failed (product), 212 held back or lost; 9 run again, 7 of them passed"
    )
    assert words.totals_line(TestTotals()) == "no tests"


def test_the_lines_after_a_run_tell_bugs_from_the_outage() -> None:
    found = TestSuiteResult(
        mode=M.DEGRADED,
        started_at=AT,
        duration_s=1.0,
        exit_code=1,
        commands=(),
        totals=TestTotals(failed=1, infrastructure_unavailable=2),
        tests=(),
        verdict=Verdict.PRODUCT_FAILURES,
    )
    lines = words.result_lines(found)
    assert lines[0] == "TESTS: PRODUCT FAILURES (mode degraded); and NOT A FULL RUN"
    assert "The failures are the product's" in lines[2]


# --------------------------------------------------------------------------- recovery, exit codes, small words


def recovery(**fields: object) -> Recovery:
    given = {"recovered": False, "in_a_row": 2, "good_needed": 5, "dwell_s": 60.0, "duration_s": 1.0, **fields}
    return Recovery(started_at=AT, checks=(), **given)  # type: ignore[arg-type]


def test_recovery_is_confirmed_or_not_yet_with_the_gauge() -> None:
    assert words.recovery_line(recovery(reason="redis is slow")) == (
        "RECOVERY: not yet, 2 of 5 good checks in a row (redis is slow)"
    )
    line = words.recovery_line(recovery(recovered=True, in_a_row=6))
    assert line == "RECOVERY: confirmed, 6 good checks in a row (5 needed, over at least 60.0 s)"


def test_every_exit_code_of_ours_has_a_phrase_of_its_own() -> None:
    codes = [value for name, value in vars(ExitCode).items() if isinstance(value, int) and name.isupper()]
    phrases = [words.exit_code_phrase(code) for code in codes]
    assert len(set(phrases)) == len(codes)
    assert words.exit_code_phrase(7) == "the command's own"
    assert words.exit_code_phrase(ExitCode.NOT_A_FULL_PASS) == "NOT A FULL PASS"


@pytest.mark.parametrize(
    ("verb", "command", "verdict", "code", "said"),
    [
        (
            "apply",
            0,
            Verdict.INFRASTRUCTURE_UNAVAILABLE,
            20,
            "0 (done). Its run: exit code 20 (staging is unavailable)",
        ),
        ("apply", 20, Verdict.UNKNOWN, 10, "20 (a stand-in did not come up, or there is none). Its run: exit code 10"),
        ("recover", 0, Verdict.PASSED_ON_STAND_INS, 10, "0 (done). Its run: exit code 10 (NOT A FULL PASS)"),
        ("recover", 20, Verdict.PRODUCT_FAILURES, 1, "20 (staging is unavailable). Its run: exit code 1"),
        ("recover", 0, Verdict.UNKNOWN, 0, ""),
    ],
)
def test_the_codes_of_a_command_and_of_its_run_are_both_said_where_they_differ(
    verb: str, command: int, verdict: Verdict, code: int, said: str
) -> None:
    incident = an_incident(verdict=verdict, exit_code=code, command=CommandEnd(verb=verb, exit_code=command))
    line = words.both_codes_line(incident)
    assert (said in line) if said else (line == "")


def test_a_run_without_tests_passed_nothing_on_staging() -> None:
    assert words.run_code_phrase(an_incident(verdict=Verdict.UNKNOWN, exit_code=0)) == "staging is available"
    assert words.run_code_phrase(an_incident()) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0.0 ms"),
        (0.0004, "0.4 ms"),
        (0.042, "42 ms"),
        (0.9996, "1.0 s"),
        (1.234, "1.2 s"),
        (59.0, "59.0 s"),
        (99.96, "1 min 40 s"),
        (125.0, "2 min 05 s"),
        (3600.0, "60 min 00 s"),
    ],
)
def test_seconds_are_short_and_have_a_unit(value: float | None, text: str) -> None:
    assert words.seconds(value) == text


def test_small_words() -> None:
    assert (words.plural(1, "test"), words.plural(2, "test"), words.plural(1200, "test")) == (
        "1 test",
        "2 tests",
        "1,200 tests",
    )
    assert (words.listing(()), words.listing(("a",)), words.listing(("a", "b")), words.listing(("a", "b", "c"))) == (
        "none",
        "a",
        "a and b",
        "a, b and c",
    )


def test_every_type_of_service_can_be_said_to_be_down() -> None:
    assert {result(name).type for name in TYPES} == set(ServiceType)
    for name in TYPES:
        assert name in words.staging_line(health({name: S.UNAVAILABLE}))


def test_the_gist_of_a_failure_is_what_was_asserted_without_where_its_values_were_had_from() -> None:
    said = (
        "AssertionError: assert 82200 == (9800 + 3600) + where 82200 = <function revenue at 0x7f0556e5de40>('2026-09')"
    )
    assert words.gist(said) == "AssertionError: assert 82200 == (9800 + 3600)"
    assert words.gist("TypeError: <function f at 0x7f0556e5de40> is not iterable\nmore") == (
        "TypeError: <function f> is not iterable"
    )
    assert words.gist("assert 1 + 1 == 3") == "assert 1 + 1 == 3"
    assert words.gist("") == ""

"""Where a run is not as its scenario expects is told, with what was expected and found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from resilience.core.records import (
    ConnectivityStatus,
    Decision,
    Incident,
    InfrastructureHealth,
    Outcome,
    Recovery,
    TestExecutionMode,
    TestOutcome,
    TestSuiteResult,
    TestTotals,
    Vantage,
    Verdict,
)
from resilience.lab.differences import differences, planted_lines
from resilience.lab.scenario import Scenario
from resilience.lab.scenario_file import parse_scenario

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HEAD = 'title = "t"\nguide = "g"\ndescription = "d"\n'
STEP = '[[step]]\nat = "outage"\nservices = ["redis"]\nfault = "refuse"\n'


def parse(text: str) -> Scenario:
    return parse_scenario(HEAD + text, name="own", source="own.toml")


def an_incident() -> Incident:
    vantage = Vantage(host="h", user="u")
    totals = TestTotals(passed=40, failed=1)
    tests = (TestOutcome(id="tests/test_a.py::test_bug", outcome=Outcome.FAILED),)
    mode = TestExecutionMode.DEGRADED
    return Incident(
        run="r",
        slug="s",
        environment="staging",
        started_at=NOW,
        vantage=vantage,
        verdict=Verdict.PRODUCT_FAILURES,
        exit_code=1,
        health=InfrastructureHealth(
            environment="staging",
            started_at=NOW,
            duration_s=1,
            vantage=vantage,
            overall_status=ConnectivityStatus.UNAVAILABLE,
            services=(),
        ),
        decision=Decision(mode=mode, reasons=("r",), decided_at=NOW),
        tests=TestSuiteResult(
            mode=mode, started_at=NOW, duration_s=1, exit_code=1, commands=(), totals=totals, tests=tests
        ),
        recovery=Recovery(
            recovered=True, started_at=NOW, duration_s=1, good_needed=5, in_a_row=5, dwell_s=2, checks=()
        ),
    )


EXPECT = """
[expect]
overall = "unavailable"
mode = "degraded"
verdict = "product_failures"
exit_code = 1
recovered = true
product_failures = ["test_a.py::test_bug"]
[expect.tests]
passed = { at_least = 40, at_most = 40 }
failed = 1
"""


def test_a_run_as_expected_has_no_difference() -> None:
    assert differences(parse(EXPECT).expect, an_incident()) == []


def test_what_is_not_expected_is_not_looked_at() -> None:
    assert differences(parse("").expect, replace(an_incident(), tests=None, health=None, decision=None)) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[expect]\noverall = 'available'\n", "overall status of staging: available was expected, found unavailable"),
        ("[expect]\nrecovered = false\n", "recovery: false was expected, found true"),
        ("[expect]\nverdict = 'passed'\n", "verdict: passed was expected, found product_failures"),
        ("[expect]\nmode = 'full'\n", "mode: full was expected, found degraded"),
        ("[expect]\nexit_code = 10\n", "exit code: 10 was expected, found 1"),
        ("[expect]\nrestored = true\n", "restored to the byte: true was expected, found nothing"),
        ("[expect]\ncauses = ['vpc_connector']\n", "causes: vpc_connector was expected, found none"),
        ("[expect.status]\nredis = 'available'\n", "status of redis: available was expected, found nothing"),
        ("[expect.fault]\nredis = ['tcp_refused']\n", "fault of redis: tcp_refused was expected, found nothing"),
        ("[expect.tests]\npassed = 41\n", "tests passed: exactly 41 were expected, found 40"),
        ("[expect.tests]\nfailed = { at_most = 0 }\n", "tests failed: at most 0 were expected, found 1"),
        (
            "[expect]\nproduct_failures = []\n",
            "product failure tests/test_a.py::test_bug: none was expected there, found failed",
        ),
    ],
)
def test_each_difference_names_what_was_expected_and_found(text: str, told: str) -> None:
    assert differences(parse(text).expect, an_incident()) == [told]


def test_differences_are_told_the_whole_first_then_its_parts() -> None:
    told = differences(
        parse("[expect]\nexit_code = 0\noverall = 'available'\n[expect.tests]\nfailed = 0\n").expect, an_incident()
    )
    assert [line.partition(":")[0] for line in told] == ["overall status of staging", "exit code", "tests failed"]


def test_a_bug_that_was_hidden_is_a_difference() -> None:
    scenario = parse("[expect]\nproduct_failures = ['test_a.py::test_bug', 'test_b.py::test_x']\n")
    assert differences(scenario.expect, an_incident()) == [
        "product failure test_b.py::test_x: failed was expected, found no such test",
    ]
    assert differences(scenario.expect, replace(an_incident(), tests=None)) == [
        "tests: a test run was expected, found none"
    ]


def test_a_planted_bug_is_called_planted_whether_it_was_found_or_not() -> None:
    scenario = parse("[expect]\nproduct_failures = ['test_a.py::test_bug', 'test_b.py::test_x']\n")
    assert planted_lines(scenario.expect, an_incident()) == [
        "Planted by the drill, and found: test_a.py::test_bug",
        "Planted by the drill, and NOT found: test_b.py::test_x",
    ]
    assert planted_lines(scenario.expect, replace(an_incident(), tests=None))[0].startswith(
        "Planted by the drill, and NOT"
    )
    assert planted_lines(parse("").expect, an_incident()) == []

"""resilience.report.exports.junit: an outage is never a pass and never a failure of the product."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import junitparser
import pytest

from resilience.core.records import CommandResult, Outcome, TestExecutionMode, TestOutcome, TestSuiteResult, TestTotals
from resilience.report import junit
from resilience.report.exports.junit import TAGS
from tests.kits import incident_factory as factory

EXPECTED = {
    Outcome.PASSED: None,
    Outcome.XPASSED: None,
    Outcome.FAILED: ("failure", "product"),
    Outcome.ERROR: ("error", "product"),
    Outcome.SKIPPED: ("skipped", "pytest.skip"),
    Outcome.XFAILED: ("skipped", "pytest.xfail"),
    Outcome.UNDECIDED: ("error", "undecided"),
    Outcome.STAND_IN_GAP: ("error", "stand_in_gap"),
    Outcome.TIMEOUT: ("error", "timeout"),
    Outcome.NOT_RUN: ("skipped", "not_run"),
    Outcome.INFRASTRUCTURE_UNAVAILABLE: ("error", "infrastructure"),
}


def one(outcome: Outcome, **fields: object) -> TestSuiteResult:
    test = TestOutcome(id="tests/unit/test_a.py::TestB::test_x[a::b]", outcome=outcome, **fields)  # type: ignore[arg-type]
    return TestSuiteResult(
        mode=TestExecutionMode.DEGRADED,
        started_at=datetime(2026, 11, 22, 3, 14, tzinfo=UTC),
        duration_s=1.5,
        exit_code=10,
        commands=(CommandResult(command="pytest tests", kind="pytest", exit_code=0, duration_s=1.5),),
        totals=TestTotals(),
        tests=(test,),
    )


def case(xml: str) -> ET.Element:
    found = ET.fromstring(xml).find(".//testcase")
    assert found is not None
    return found


def test_every_outcome_has_a_row() -> None:
    assert set(TAGS) == set(Outcome) == {*EXPECTED, Outcome.DESELECTED}


@pytest.mark.parametrize("outcome", list(EXPECTED))
def test_every_outcome_has_one_tag_and_type(outcome: Outcome) -> None:
    found = [(child.tag, child.get("type")) for child in case(junit(one(outcome))) if child.tag != "properties"]
    assert found == ([] if EXPECTED[outcome] is None else [EXPECTED[outcome]])


def test_what_was_held_back_is_skipped_of_type_infrastructure_with_the_reason() -> None:
    xml = junit(one(Outcome.INFRASTRUCTURE_UNAVAILABLE, rounds=0, reason="needs database, which is down"))
    skipped = case(xml).find("skipped")
    assert skipped is not None
    assert (skipped.get("type"), skipped.get("message")) == ("infrastructure", "needs database, which is down")


def test_deselected_tests_are_no_cases_but_counted() -> None:
    result = factory.suite(datetime(2026, 11, 22, tzinfo=UTC), TestExecutionMode.DEGRADED)
    properties = {p.get("name"): p.get("value") for p in ET.fromstring(junit(result)).iter("property")}
    assert properties["deselected"] == "12"


def test_rounds_service_and_fault_are_properties() -> None:
    properties = {
        p.get("name"): p.get("value")
        for p in case(junit(one(Outcome.PASSED, rounds=3, service="redis"))).iter("property")
    }
    assert properties["rounds"] == "3"
    assert properties["service"] == "redis"


def test_names_are_as_pytest_writes_them_also_with_colons_in_a_parameter() -> None:
    found = case(junit(one(Outcome.PASSED)))
    assert (found.get("classname"), found.get("name")) == ("tests.unit.test_a.TestB", "test_x[a::b]")


def test_counts_add_up_and_another_parser_reads_the_same() -> None:
    result = factory.suite(datetime(2026, 11, 22, tzinfo=UTC), TestExecutionMode.DEGRADED)
    xml = junit(result, host="ci", run="r")
    parsed = junitparser.JUnitXml.fromstring(xml.encode())
    cases = [test for suite in parsed for test in suite]
    assert len(cases) == len(result.tests) + 1  # and one command that is not pytest
    assert parsed.tests == len(cases)
    assert parsed.failures == 2
    assert parsed.errors == 1 + 1 + 1 + 1
    assert parsed.skipped == 4 + 1


def test_a_command_judged_by_exit_code_is_a_case_of_its_own() -> None:
    result = factory.suite(datetime(2026, 11, 22, tzinfo=UTC), TestExecutionMode.DEGRADED)
    assert 'name="make check-openapi"' in junit(result)


def test_no_result_is_an_empty_document() -> None:
    assert ET.fromstring(junit(None)).get("tests") == "0"


def test_hostile_texts_stay_inside_well_formed_xml() -> None:
    story = factory.hostile()
    root = ET.fromstring(junit(story.incident.tests))
    assert len(list(root.iter("testcase"))) >= 40
    assert not root.findall(".//script")

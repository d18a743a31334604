"""The records answer what the guide's snippets ask of them, and what is derived is derived in one place."""

from __future__ import annotations

import dataclasses
import enum
from datetime import timedelta
from itertools import permutations

import pytest

from resilience.core import records
from resilience.core.records import (
    SCHEMA,
    ExitCode,
    Incident,
    Outcome,
    ServiceName,
    Stage,
    StageName,
    StageStatus,
    TestExecutionMode,
    TestSuiteResult,
    TestTotals,
    Vantage,
)
from tests.kits.records import AT, TYPES, S, health

RECORDS = [
    kind
    for kind in vars(records).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == records.__name__
]
ENUMS = [
    kind
    for kind in vars(records).values()
    if isinstance(kind, type) and issubclass(kind, enum.Enum) and kind.__module__ == records.__name__
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda kind: kind.__name__)
def test_a_record_cannot_be_changed_takes_no_field_by_place_and_has_no_other(record: type) -> None:
    assert record.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert hasattr(record, "__slots__")
    assert all(field.kw_only for field in dataclasses.fields(record))
    assert record.__doc__


@pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)
def test_a_closed_set_is_made_of_the_words_that_stand_in_json(kind: type[enum.Enum]) -> None:
    assert issubclass(kind, enum.StrEnum)
    assert all(member.value == member.name.lower() for member in kind)
    assert kind.__doc__


@pytest.mark.parametrize("codes", list(permutations(ExitCode.ORDER, 2)))
def test_where_two_exit_codes_apply_the_first_of_the_contracts_order_wins(codes: tuple[int, int]) -> None:
    assert ExitCode.worst(*codes) == min(codes, key=ExitCode.ORDER.index)


def test_no_code_is_a_pass_and_a_code_outside_of_the_order_wins_over_all() -> None:
    assert ExitCode.worst() == 0
    assert ExitCode.worst(30, 75, 1) == 75


def test_a_health_names_its_services_by_status_in_the_order_of_the_configuration() -> None:
    found = health({"redis": S.UNAVAILABLE, "database": S.UNAVAILABLE, "websocket": S.DEGRADED})
    assert found.get_unavailable_services() == ("database", "redis")
    assert found.get_degraded_services() == ("websocket",)
    assert set(found.get_available_services()) == set(TYPES) - {"database", "redis", "websocket"}
    result = found.result("redis")
    assert result is not None
    assert result.status is S.UNAVAILABLE
    assert found.result("no_such") is None


def test_a_services_name_also_answers_value_as_the_guides_snippets_ask() -> None:
    name = health({"redis": S.UNAVAILABLE}).get_unavailable_services()[0]
    assert (name, name.value, isinstance(name, str)) == ("redis", "redis", True)
    assert ServiceName("x") == "x"


def totals(**counts: int) -> TestSuiteResult:
    return TestSuiteResult(
        mode=TestExecutionMode.FULL,
        started_at=AT,
        duration_s=1.0,
        exit_code=0,
        commands=(),
        totals=TestTotals(**counts),
        tests=(),
    )


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_counts_once_in_what_plain_pytest_collects(outcome: Outcome) -> None:
    assert totals(**{outcome.value: 1}).total_tests == 1


def test_what_was_run_again_overlaps_and_is_not_counted_twice() -> None:
    result = totals(passed=5, retried=3, passed_on_retry=2, failed=1, error=2)
    assert (result.total_tests, result.retried_tests) == (8, 3)
    assert (result.passed_tests, result.failed_tests) == (5, 3), "an error of a fixture is a failure to a person"


def test_of_a_stage_that_was_run_again_the_latest_record_counts() -> None:
    def stage(status: StageStatus, minutes: int) -> Stage:
        return Stage(name=StageName.RUN_TESTS, status=status, started_at=AT + timedelta(minutes=minutes))

    incident = Incident(
        run="r",
        slug="s",
        environment="staging",
        started_at=AT,
        vantage=Vantage(host="h", user="u"),
        stages=(stage(StageStatus.FAILED, 0), stage(StageStatus.FINISHED, 1)),
    )
    found = incident.stage(StageName.RUN_TESTS)
    assert found is not None
    assert found.status is StageStatus.FINISHED
    assert incident.stage(StageName.REPORT) is None
    assert incident.schema == SCHEMA

"""resilience.core.groups: each test that needs a person stands in one group, and the product's come first."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest

from resilience.core.groups import GROUPS, groups
from resilience.core.marks import BLAME, Blame
from resilience.core.records import Outcome, TestExecutionMode, TestOutcome, TestSuiteResult, TestTotals


def every_test() -> list[TestOutcome]:
    return [
        TestOutcome(id=f"{outcome}-{rounds}-{suspect}", outcome=outcome, rounds=rounds, suspect=suspect)
        for outcome, rounds, suspect in product(Outcome, (0, 1, 2), (False, True))
    ]


@pytest.mark.parametrize("test", every_test(), ids=lambda test: test.id)
def test_what_has_somebody_to_blame_stands_in_one_group_and_what_has_not_in_one_at_most(test: TestOutcome) -> None:
    found = [kind.key for kind in GROUPS if kind.belongs(test)]
    later = test.outcome is Outcome.PASSED and (test.rounds > 1 or test.suspect)
    assert len(found) == (1 if BLAME[test.outcome] is not Blame.NONE or later else 0)


def test_why_a_test_timed_out_is_not_known() -> None:
    assert BLAME[Outcome.TIMEOUT] is Blame.UNKNOWN
    kind = next(kind for kind in GROUPS if kind.belongs(TestOutcome(id="a", outcome=Outcome.TIMEOUT)))
    assert (kind.key, "not known" in kind.meaning) == ("timeout", True)


def test_the_groups_keep_their_order_and_leave_out_the_empty_ones() -> None:
    tests = tuple(every_test())
    result = TestSuiteResult(
        mode=TestExecutionMode.FULL,
        started_at=datetime(2026, 11, 22, tzinfo=UTC),
        duration_s=1.0,
        exit_code=1,
        commands=(),
        totals=TestTotals(),
        tests=tests,
    )
    assert [group.key for group in groups(result)] == [kind.key for kind in GROUPS]
    assert groups(TestSuiteResult(**{**_fields(result), "tests": ()})) == ()  # type: ignore[arg-type]


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in type(record).__dataclass_fields__}  # type: ignore[attr-defined]

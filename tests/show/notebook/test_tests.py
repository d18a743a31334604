"""resilience.show.notebook.tests: the verdict first, then the product's failures, then what was lost."""

from __future__ import annotations

from resilience.core.records import (
    Outcome,
    TestOutcome,
    TestSuiteResult,
)
from resilience.show import notebook as views
from tests.kits.shown import EVIL, TESTS


def test_product_failures_stand_before_what_infrastructure_took() -> None:
    shown = views.html(TESTS)
    assert shown.index("PRODUCT FAILURES") < shown.index("Suspects (1)") < shown.index("Failed from infrastructure (1)")
    assert "Passed on a later round (1)" in shown


def test_a_long_list_of_tests_is_cut_and_says_so() -> None:
    tests = tuple(TestOutcome(id=f"t{n}", outcome=Outcome.FAILED) for n in range(100))
    shown = views.html(TestSuiteResult(**{**_fields(TESTS), "tests": tests}))  # type: ignore[arg-type]
    assert "and 60 more, in junit.xml" in shown


def test_a_failure_says_its_gist_and_its_name_breaks_where_the_test_begins() -> None:
    """pytest's "+ where" and addresses filled the column; a long name broke in the middle of a word."""
    said = "AssertionError: assert 82200 == 1 +  where 82200 = <function revenue at 0x7f9c93e120c0>('2026-09')"
    tests = (TestOutcome(id="tests/test_a.py::TestB::test_c", outcome=Outcome.FAILED, message=said),)
    shown = views.html(TestSuiteResult(**{**_fields(TESTS), "tests": tests}))  # type: ignore[arg-type]
    assert "AssertionError: assert 82200 == 1<" in shown
    assert "<code>tests/test_a.py::<wbr>TestB::<wbr>test_c</code>" in shown


def test_a_running_suite_shows_bar_counts_and_failures() -> None:
    shown = views.progress_view(
        {"passed": 3, "failed": 1, "infrastructure_unavailable": 1},
        done=5,
        total=10,
        current=EVIL,
        failures=["tests/test_a.py::test_x"],
    )
    for part in (
        "5 of 10",
        "3 passed, 1 failed, 1 held back or lost",
        "test_x",
        "width:30.00%",
        "width:20.00%",
    ):
        assert part in shown


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in type(record).__dataclass_fields__}  # type: ignore[attr-defined]

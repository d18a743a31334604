"""resilience.report.places: a failure is placed where pytest's heading of it stands in the log, and never at a wrong one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from resilience.core.records import CommandResult, Outcome, TestExecutionMode, TestOutcome, TestSuiteResult
from resilience.report.places import places
from tests.kits import incident_factory as factory

LOG = """collected 4 items
=================================== FAILURES ===================================
__________________________ TestCarts.test_adds_up[a-b] _________________________
E   assert 1 == 2
________________________ ERROR at setup of test_needs_it _______________________
E   KeyError
_________________________________ test_twice ___________________________________
_________________________________ test_passed __________________________________
"""


def result(*tests: TestOutcome, log: str = "logs/01-round1.log") -> TestSuiteResult:
    command = CommandResult(command="pytest", kind="pytest", exit_code=1, duration_s=1.0, log=log)
    base = factory.suite(factory.drill().incident.started_at, TestExecutionMode.FULL)
    return replace(base, tests=tests, commands=(command,))


def failed(name: str, outcome: Outcome = Outcome.FAILED) -> TestOutcome:
    return TestOutcome(id=name, outcome=outcome)


def test_a_failure_stands_at_its_heading_and_what_two_share_stands_nowhere(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/01-round1.log").write_text(LOG)
    found = places(
        tmp_path,
        [
            result(
                failed("tests/test_a.py::TestCarts::test_adds_up[a-b]"),
                failed("tests/test_a.py::test_needs_it", Outcome.ERROR),
                failed("tests/test_a.py::test_twice"),
                failed("tests/test_b.py::test_twice"),
                failed("tests/test_b.py::test_passed", Outcome.PASSED),
            )
        ],
    )
    assert found == {
        "tests/test_a.py::TestCarts::test_adds_up[a-b]": ("logs/01-round1.log", 3),
        "tests/test_a.py::test_needs_it": ("logs/01-round1.log", 5),
    }


def test_of_several_rounds_the_last_is_opened(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for number in (1, 2):
        (tmp_path / f"logs/01-round{number}.log").write_text("\n" * number + "____ test_x ____\n")
    found = places(tmp_path, [result(failed("tests/test_a.py::test_x"), log="logs/01-round2.log")])
    assert found == {"tests/test_a.py::test_x": ("logs/01-round2.log", 3)}


def test_without_a_log_there_is_no_place(tmp_path: Path) -> None:
    assert places(tmp_path, [result(failed("tests/test_a.py::test_x"))]) == {}
    assert places(tmp_path, [result(failed("tests/test_a.py::test_x"), log="")]) == {}

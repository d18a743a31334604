"""Where a run is goes to stderr: a line for each stage that ended, and on no terminal nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilience.core.records import StageName, StageStatus
from resilience.notebook.telling import Moment, Teller, came_of
from resilience.show import sticky
from tests.kits.run_kit import an_incident
from tests.kits.shown import APPLIED, DECISION, DOWN, INCIDENT as SHOWN, RECOVERY, TESTS, health

INCIDENT = replace(SHOWN, health=health(DOWN), decision=DECISION, applied=APPLIED, tests=TESTS, recovery=RECOVERY)
EMPTY = an_incident()


def moment(status: StageStatus, text: str = "") -> Moment:
    return Moment(stage=StageName.CHOOSE_MODE, status=status, text=text, elapsed_s=2.5)


def test_a_stage_that_ended_is_one_line_with_the_first_line_of_why(capsys: pytest.CaptureFixture[str]) -> None:
    Teller().tell(moment(StageStatus.FAILED, "OrderError: no look\nand more"))
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith("  choose mode: failed (OrderError: no look)\n")
    assert "2.5" in told.err


def test_what_cells_say_is_not_told_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    Teller().tell(moment(StageStatus.STARTED, "looking"))
    assert capsys.readouterr().err == ""


def test_a_stage_that_came_through_tells_what_it_found_or_decided(capsys: pytest.CaptureFixture[str]) -> None:
    Teller(lambda stage: f"decided in {stage.value}").tell(moment(StageStatus.FINISHED))
    assert capsys.readouterr().err == "   2.5 s  choose mode: decided in choose_mode\n"
    Teller(lambda stage: "").tell(moment(StageStatus.FINISHED))
    assert capsys.readouterr().err == "   2.5 s  choose mode: finished\n"
    Teller(lambda stage: "never asked").tell(moment(StageStatus.FAILED, "why"))
    assert capsys.readouterr().err == "   2.5 s  choose mode: failed (why)\n"


def test_each_stage_is_told_in_the_words_of_its_records() -> None:
    assert came_of(StageName.ASSESS, INCIDENT).startswith("STAGING: ")
    assert came_of(StageName.CHOOSE_MODE, INCIDENT).startswith("TESTS: ")
    assert came_of(StageName.APPLY_FALLBACK, INCIDENT).startswith("stand-ins are ready for ")
    assert " passed" in came_of(StageName.RUN_TESTS, INCIDENT)
    assert came_of(StageName.VALIDATE_RECOVERY, INCIDENT).startswith("RECOVERY: ")
    assert {came_of(stage, EMPTY) for stage in StageName} == {""}, "of what is not there nothing is told"


def test_once_tests_are_counted_what_they_print_is_passed_over() -> None:
    with sticky.line("run") as line:
        teller = Teller()
        for text in ("collecting ...", "tests: 3 of 9", "test_a PASSED", "tests: 4 of 9"):
            teller.tell(moment(StageStatus.STARTED, text))
            told = line.text(0.0)
            assert told.endswith({"test_a PASSED": "3 of 9"}.get(text, text.removeprefix("tests: ")))

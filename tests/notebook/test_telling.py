"""Where a run is goes to stderr: a line for each stage that ended, and on no terminal nothing else."""

from __future__ import annotations

import pytest

from resilience.core.records import StageName, StageStatus
from resilience.notebook.telling import Moment, Teller


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

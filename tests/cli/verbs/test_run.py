"""A headless run only looks unless it is told to apply, and always leaves its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type, runs


@pytest.mark.slow
def test_a_run_that_only_looks_leaves_a_report_and_exits_by_what_it_found(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    staging.status = 503
    said = type_in("run", "--out", "elsewhere")
    assert said.code == 20, said.out + said.err
    (record,) = (team / "elsewhere").glob("*/*/incident.json")
    assert json.loads(record.read_text())["exit_code"] == 20
    assert (record.parent / "report.html").exists()
    assert not (team / ".env.test.active").exists()
    assert not runs(team)


def test_seconds_are_refused_where_they_are_none(type_in: Type, team: Path) -> None:
    type_in("run", "--stage-timeout", "0").complains("--stage-timeout 0")
    type_in("run", "--total-timeout", "-1").complains("--total-timeout -1")


def test_publishing_is_refused_before_anything_is_done_where_nothing_may_be_written(type_in: Type, team: Path) -> None:
    type_in("run", "--publish").complains("no repository is configured")
    type_in("run", "--issue", "7").complains("--publish --issue 7")
    assert not (team / "outputs").exists()

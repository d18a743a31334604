"""Steps are carried out one at a time; how one ended is shown where its result would be."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from resilience.core.errors import OrderError, UsageError
from resilience.core.records import StageName, StageStatus
from resilience.notebook.passed import ParameterValues
from resilience.notebook.section import Section
from resilience.notebook.steps import Steps
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run


def steps(team: Path, **parameters: object) -> Steps:
    return Steps(Run.create(load_settings(team / "resilience.toml")), ParameterValues(parameters))


async def test_an_error_in_a_cell_is_shown_and_is_the_cells(team: Path) -> None:
    async def fail() -> None:
        raise UsageError("that cannot be.", hint="try another")

    section = Section()
    with pytest.raises(UsageError):
        await steps(team)._do(section, "trying", fail)
    assert "that cannot be." in section.html


async def test_of_two_clicks_the_second_is_refused_and_a_stop_is_said(team: Path) -> None:
    mine, section, begun = steps(team), Section(), []

    async def wait() -> None:
        begun.append(1)
        await asyncio.Event().wait()

    mine._start(section, "waiting", wait)
    await asyncio.sleep(0)
    mine._start(section, "waiting", wait)
    await asyncio.sleep(0)
    mine.stop()
    assert mine.task is not None
    await mine.task
    assert begun == [1]
    assert section.text == "Stopped by you; what was done so far stands in the run's record."


async def test_an_error_after_a_click_is_shown_as_nobody_awaits_it(team: Path) -> None:
    async def fail() -> None:
        raise UsageError("that cannot be.", hint="try another")

    mine, section = steps(team), Section()
    mine._start(section, "trying", fail)
    assert mine.task is not None
    await mine.task
    assert "that cannot be." in section.text


def test_what_is_older_than_a_person_allows_is_not_built_upon(team: Path) -> None:
    def made(minutes: float) -> SimpleNamespace:
        return SimpleNamespace(started_at=datetime.now(UTC) - timedelta(minutes=minutes))

    mine = steps(team, max_age_minutes=10.0)
    mine._fresh(made(9), StageName.ASSESS)
    with pytest.raises(OrderError, match="20 minutes old; at most 10 are taken") as refused:
        mine._fresh(made(20), StageName.ASSESS)
    assert "-p max_age_minutes 21" in refused.value.hint
    steps(team)._fresh(made(20), StageName.ASSESS)


def test_what_was_done_by_hand_is_in_the_record_with_its_note(team: Path) -> None:
    mine, section = steps(team, done_by_hand="moved the DNS"), Section()
    assert mine._by_hand(section, StageName.APPLY_FALLBACK)
    stage = mine.incident.stage(StageName.APPLY_FALLBACK)
    assert stage is not None
    assert (stage.status, stage.note) == (StageStatus.DONE_BY_HAND, "moved the DNS")
    assert "moved the DNS" in section.text

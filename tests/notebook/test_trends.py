"""resilience.notebook.trends: 07_trends tells what the history holds, as sentences, charts and frames, and only reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.errors import SettingsError, UsageError
from tests.kits.notebook_runner import run_cells
from tests.kits.small_staging import SmallStaging


async def test_the_notebook_runs_over_a_history_and_its_frames_hold_it(team: Path, staging: SmallStaging) -> None:
    await run_cells("01_assess")
    staging.status = 503
    await run_cells("01_assess")
    page = await run_cells("07_trends")
    assert page["days"]["samples"].sum() == page["services"]["samples"].sum() == 2
    assert list(page["incidents"]["services"]) == ["backend_api"]
    assert len(page["tests"]) == 0
    assert "Outages: 1 outage" in repr(page["trends"])
    assert "Outages: 1 outage" in page["trends"]._repr_html_()


async def test_without_a_history_it_says_so_and_makes_none(team: Path) -> None:
    page = await run_cells("07_trends", since="7 days")
    assert "nobody looked" in repr(page["trends"])
    assert len(page["days"]) == 0
    assert not list(team.rglob("history.sqlite"))


async def test_a_period_that_is_none_and_an_unknown_parameter_are_refused(team: Path) -> None:
    with pytest.raises(UsageError, match="soon"):
        await run_cells("07_trends", since="soon")
    with pytest.raises(SettingsError, match="since"):
        await run_cells("07_trends", sinse="7 days")

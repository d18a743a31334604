"""resilience.runs.frames: each frame has its columns and types, also where there is no row."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from resilience.core.errors import UsageError
from resilience.core.period import period_of
from resilience.runs.frames import TREND_FRAMES, trend_frame
from resilience.runs.history import History
from resilience.runs.trends import Trends, read_trends
from tests.kits import incident_factory as factory

PERIOD = period_of("all", "", today=date(2026, 12, 31))
COLUMNS = {
    "days": "day service samples lost availability p50_s p95_s max_s",
    "services": "service samples lost availability p50_s p95_s max_s",
    "incidents": "id opened_at closed_at detect_s acknowledge_s mitigate_s recover_s services cause runs",
    "tests": "test flaky passed_later changed failed held_back undecided stand_in_gap last_at",
}


def trends(*, empty: bool = False) -> Trends:
    story = factory.drill()
    with History(":memory:") as kept:
        if not empty:
            kept.record(story.samples, story.incident)
        return read_trends(kept, "staging", PERIOD)


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("name", TREND_FRAMES)
def test_a_frame_has_the_same_columns_and_types_with_rows_and_without(name: str, empty: bool) -> None:
    found = trend_frame(name, trends(empty=empty))
    assert list(found.columns) == COLUMNS[name].split()
    assert (len(found) == 0) is empty
    for column in found.columns:
        if column.endswith("_s") or column == "availability":
            assert found[column].dtype == "float64", column
        if column.endswith("_at"):
            assert isinstance(found[column].dtype, pd.DatetimeTZDtype), column


def test_the_days_of_a_frame_are_days_and_their_counts_those_of_the_samples() -> None:
    story = factory.drill()
    found = trend_frame("days", trends())
    assert set(found["day"]) == {pd.Timestamp("2026-11-22")}
    known = [sample for sample in story.samples if sample.target == "staging" and sample.status.value != "unknown"]
    assert found["samples"].sum() == trend_frame("services", trends())["samples"].sum() <= len(known)
    worst = trend_frame("incidents", trends()).iloc[0]
    assert worst["recover_s"] == pytest.approx((worst["closed_at"] - worst["opened_at"]) / timedelta(seconds=1))
    assert worst["opened_at"].tzinfo is not None
    assert worst["opened_at"] < datetime(2026, 11, 23, tzinfo=UTC)


def test_a_frame_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="incidents"):
        trend_frame("incident", trends(empty=True))

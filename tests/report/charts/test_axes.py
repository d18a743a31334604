"""resilience.report.charts.axes: a few round ticks, whatever the length."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from resilience.report.charts.axes import ticks, unit


@pytest.mark.parametrize("seconds", [0.0005, 0.3, 25, 3_600, 7_200, 90_000, 40 * 86_400])
def test_the_time_axis_has_a_few_round_ticks_for_any_length(seconds: float) -> None:
    start = datetime(2026, 11, 22, 23, 59, 50, 123_000, tzinfo=UTC)
    for most in (4, 9):
        places, labels = ticks(start, start + timedelta(seconds=seconds), most)
        assert len(places) <= most + 1
        assert len(set(labels)) == len(labels)
        assert all(0 <= place <= seconds + 1e-6 for place in places)
        assert len(places) >= 2 or seconds < 0.2


@pytest.mark.parametrize(("value", "text"), [(10.0, "10 s"), (0.01, "10 ms"), (1e-5, "10 µs")])
def test_a_power_of_ten_has_its_unit(value: float, text: str) -> None:
    assert unit(value) == text

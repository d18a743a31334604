"""resilience.report.view.formats: times are UTC, spans have two units, and a share is never rounded to all or nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from resilience.report.view.formats import percent, span, when


def test_times_are_utc_whatever_the_zone() -> None:
    at = datetime(2026, 11, 22, 4, 14, 7, tzinfo=timezone(timedelta(hours=1)))
    assert (when(at), when(at, day=True), when(None)) == ("03:14:07", "2026-11-22 03:14:07", "–")
    assert when(at.astimezone(UTC)) == when(at)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (12.4, "12.4 s"),
        (250, "4 min 10 s"),
        (6_480, "1 h 48 min"),
        (timedelta(days=2, hours=3), "2 d 3 h"),
    ],
)
def test_a_stretch_of_time_has_its_two_largest_units(value: float | timedelta | None, text: str) -> None:
    assert span(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (0.0001, "< 0.1 %"),
        (0.003, "0.3 %"),
        (0.42, "42 %"),
        (0.9999, "> 99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_only_nothing_is_0_and_only_all_is_100_percent(share: float | None, text: str) -> None:
    assert percent(share) == text

"""A moment is said in UTC, and beside it as the clock on the wall shows it, where that is another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from resilience.core.moments import ago, clock

NOW = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)
BERLIN, NEW_YORK = timezone(timedelta(hours=1)), timezone(timedelta(hours=-5))


def test_of_checks_that_follow_each_other_the_seconds_are_told() -> None:
    assert clock(NOW, now=NOW, zone=BERLIN, seconds=True) == "03:14:00 UTC (04:14 here)"


@pytest.mark.parametrize(
    ("at", "zone", "said"),
    [
        (NOW, UTC, "03:14 UTC"),
        (NOW, BERLIN, "03:14 UTC (04:14 here)"),
        (NOW, NEW_YORK, "03:14 UTC (2026-11-21 22:14 here)"),
        (NOW - timedelta(days=2), UTC, "2026-11-20 03:14 UTC"),
        (NOW - timedelta(days=2), BERLIN, "2026-11-20 03:14 UTC (04:14 here)"),
        (NOW.astimezone(NEW_YORK), UTC, "03:14 UTC"),
    ],
)
def test_the_clock_on_the_wall_stands_beside_utc(at: datetime, zone: timezone, said: str) -> None:
    assert clock(at, now=NOW, zone=zone) == said


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=-3), "just now"),
        (timedelta(seconds=9), "just now"),
        (timedelta(seconds=45), "45 s ago"),
        (timedelta(minutes=42), "42 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=3), "3 days ago"),
    ],
)
def test_how_long_ago_is_said_as_people_say_it(passed: timedelta, said: str) -> None:
    assert ago(NOW - passed, now=NOW) == said

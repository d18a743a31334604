"""resilience.report.charts.trends: each picture says its numbers in a sentence, and what it leaves out."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from resilience.core.errors import UsageError
from resilience.core.period import Period
from resilience.core.trends import IncidentTimes, TestCounts
from resilience.report.charts.trends import PICTURES, SERVICES, TESTS, picture
from resilience.report.view import Day

AT = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)
PERIOD = Period(first=date(2026, 11, 1), last=date(2026, 11, 30))
PNG = b"\x89PNG"


def day(number: int, service: str = "database", availability: float = 1.0, p95: float | None = 0.2) -> Day:
    return Day(
        day=f"2026-11-{number:02}",
        service=service,
        availability=availability,
        samples=100,
        p50_s=p95 and p95 / 2,
        p95_s=p95,
    )


def outage(hours: float | None) -> IncidentTimes:
    return IncidentTimes(
        id="x", opened_at=AT, closed_at=None, detect_s=4.0, acknowledge_s=60.0, mitigate_s=None,
        recover_s=None if hours is None else hours * 3600,
    )  # fmt: skip


def test_days_name_the_lowest_and_how_many_services_are_not_drawn() -> None:
    found = [
        day(number, f"s{service:02}", 1 - service / 100) for number in (1, 2, 30) for service in range(SERVICES + 3)
    ]
    drawn = picture("days", found, PERIOD)
    assert drawn.png.startswith(PNG)
    assert "15 services" in drawn.says
    assert "The lowest was s14 on 2026-11-01: 86 % of 100 probes answered." in drawn.says
    assert "3 services that answered more often not drawn." in drawn.says


def test_a_day_of_which_no_probe_was_answered_is_drawn_without_a_latency() -> None:
    assert picture("days", [day(1, availability=0.0, p95=None)], PERIOD).png.startswith(PNG)


def test_outages_are_drawn_with_the_times_that_are_known() -> None:
    drawn = picture("incidents", [outage(2), outage(None)], PERIOD)
    assert drawn.png.startswith(PNG)
    assert drawn.says.startswith("2 outages in 2026-11-01 to 2026-11-30 (30 days)")
    assert "The longest began on 2026-11-22 03:14 UTC and took 2 h" in drawn.says


def test_a_hundred_outages_in_a_year_are_drawn() -> None:
    found = [outage(number % 7 + 0.01) for number in range(100)]
    assert picture("incidents", found, PERIOD).png.startswith(PNG)


def test_tests_are_drawn_by_what_they_came_to_and_those_left_out_are_counted() -> None:
    found = [
        TestCounts(test=f"tests/test_a.py::test_{n}", held_back=n + 1, failed=1, last_at=AT) for n in range(TESTS + 1)
    ]
    drawn = picture("tests", found, 40)
    assert drawn.png.startswith(PNG)
    assert drawn.says == (
        "Of 40 test runs, in how many a test was not plainly passed: 16 tests. 1 test with less not drawn."
    )


@pytest.mark.parametrize("name", PICTURES)
def test_where_there_is_nothing_only_the_sentence_is_there(name: str) -> None:
    drawn = picture(name, [], 0 if name == "tests" else PERIOD)
    assert drawn.png == b""
    assert drawn.says.startswith("No ")


def test_a_chart_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="days"):
        picture("day", [], PERIOD)

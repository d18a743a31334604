"""resilience.core.trends: the sentences name the worst, the medians with their number, and say where there is nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from resilience.core import trends
from resilience.core.trends import IncidentTimes, ServiceFigures, TestCounts

AT = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)


def figures(service: str, samples: int, lost: int) -> ServiceFigures:
    return ServiceFigures(
        service=service, samples=samples, lost=lost, availability=1 - lost / samples, p50_s=0.1, p95_s=0.2, max_s=0.3
    )


def outage(*, detect: float | None, recover: float | None) -> IncidentTimes:
    return IncidentTimes(
        id="x", opened_at=AT, closed_at=None if recover is None else AT + timedelta(seconds=recover),
        detect_s=detect, acknowledge_s=None, mitigate_s=None, recover_s=recover,
    )  # fmt: skip


def counts(test: str, **numbers: int) -> TestCounts:
    return TestCounts(test=test, last_at=AT, **numbers)


def test_the_service_that_answered_least_is_named_with_its_counts() -> None:
    line = trends.services_line([figures("redis", 2000, 10), figures("database", 1000, 400), figures("llm", 10, 0)], 3)
    assert line == "looked at on 3 days; database answered least, 600 of 1,000 probes"
    assert trends.services_line([figures("redis", 5, 0)], 1) == "looked at on 1 day; every probe was answered"
    assert trends.services_line([], 0) == "nobody looked"


def test_a_median_names_of_how_many_outages_it_is_known_and_those_without_an_end_are_counted() -> None:
    found = [outage(detect=10, recover=600), outage(detect=30, recover=None), outage(detect=50, recover=1200)]
    assert trends.incidents_line(found) == (
        "3 outages, 1 without a proved end; median time to detect 30 s, to recover 15 min of 2"
    )
    assert trends.incidents_line([outage(detect=None, recover=None)]) == "1 outage, 1 without a proved end"
    assert trends.incidents_line([]) == "no outage"


def test_flaky_and_held_back_tests_are_counted_apart_and_the_worst_of_each_is_named() -> None:
    found = [
        counts("a", passed_later=1, changed=1),
        counts("b", held_back=7),
        counts("c", passed_later=1),
        counts("d", failed=9),
    ]
    assert trends.tests_line(found, 12) == (
        "12 test runs; 2 tests flaky, most often a (2 times); 1 test held back, most often b (7 times)"
    )
    assert trends.tests_line([counts("d", failed=9)], 1) == "1 test run; 0 tests flaky; 0 tests held back"
    assert trends.tests_line([], 0) == "no test run"

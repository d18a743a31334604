"""resilience.core.recurrence: the same cause at the same service counts again, for 90 days."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from resilience.core.recurrence import PastIncident, again, cost
from tests.kits.records import AT

PAST = PastIncident(
    id="i",
    began_at=AT - timedelta(days=10),
    ended_at=AT - timedelta(days=10) + timedelta(hours=5),
    services=("database", "backend_api"),
    cause="vpc_connector",
    ended_by="restarted the connector (ana)",
)


def said(*past: PastIncident, services: tuple[str, ...] = ("database",), cause: str = "vpc_connector") -> str:
    return again(past, services=services, cause=cause, now=AT)


def test_the_third_time_says_how_the_last_ended() -> None:
    older = replace(PAST, id="o", began_at=AT - timedelta(days=80), ended_by="it came back by itself")
    assert said(PAST, older) == (
        "third time in 90 days for database; the last began 2026-11-12 03:14 UTC and lasted 5 h; "
        "last ended by: restarted the connector (ana)"
    )


@pytest.mark.parametrize(
    "other",
    [
        replace(PAST, began_at=AT - timedelta(days=91)),
        replace(PAST, cause="dns_resolver"),
        replace(PAST, services=("redis",)),
        replace(PAST, cause=""),
    ],
)
def test_too_old_another_cause_or_other_services_is_not_the_same(other: PastIncident) -> None:
    assert said(other) == ""


def test_where_no_cause_was_named_the_services_must_be_the_same() -> None:
    assert said(replace(PAST, cause=""), services=("backend_api", "database")).startswith("second time")


def test_the_cost_of_an_outage_names_only_what_there_was() -> None:
    assert cost(PAST, AT) == "outage 5 h"
    dear = replace(PAST, fallback_s=3 * 3600, held_back=1204, ended_at=None, began_at=AT - timedelta(minutes=30))
    assert cost(dear, AT) == "outage 30 min, tests ran for 3 h in a mode other than full, 1,204 tests held back or lost"


def test_a_clock_that_was_set_back_makes_no_outage_of_less_than_nothing() -> None:
    lasts = replace(PAST, began_at=AT + timedelta(hours=2), ended_at=None)
    assert cost(lasts, AT) == "outage 0 s"

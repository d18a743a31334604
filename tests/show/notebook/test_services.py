"""resilience.show.notebook.services: a status is a word, and a cause has its evidence and the next thing to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilience.core.records import (
    ConnectivityStatus,
)
from resilience.show import notebook as views
from tests.kits.records import health
from tests.kits.shown import CAUSES, RECORDS


@pytest.mark.parametrize("status", list(ConnectivityStatus))
def test_every_status_is_a_word_and_not_only_a_colour(status: ConnectivityStatus) -> None:
    assert status.value.replace("_", " ") in views.pill(status)


def test_a_health_names_cause_evidence_and_the_next_thing_to_do() -> None:
    shown = views.html(RECORDS["health"])
    for part in (
        "connect time-out after 5.0 s",
        "never yet reached",
        "VPC connector",
        "look at the connector",
        "runner",
    ):
        assert part in shown


def test_one_cause_is_likely_with_what_speaks_against_it_and_the_others_in_one_line() -> None:
    seen = replace(health({}), causes=CAUSES)
    for shown in (views.html(seen), views.text(seen)):
        assert shown.lower().count("likely cause") == 1
        assert "DNS resolver (clickhouse); this service alone (redis, websocket)" in shown
    assert "against it: it does not explain [redis]" in views.html(seen)

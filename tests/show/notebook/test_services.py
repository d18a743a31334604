"""resilience.show.notebook.services: a status is a word, and a cause has its evidence and the next thing to do."""

from __future__ import annotations

import pytest

from resilience.core.records import (
    ConnectivityStatus,
)
from resilience.show import notebook as views
from tests.kits.shown import RECORDS


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

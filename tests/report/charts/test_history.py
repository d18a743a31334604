"""resilience.report.charts.history: the worst day is named, and one day is no history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilience.core.records import ConnectivityStatus as S
from resilience.report.charts.canvas import Frame
from resilience.report.charts.history import _status, draw, say
from resilience.report.view import Day, View


def test_the_worst_day_is_named(drill: View) -> None:
    assert "The lowest was database on 2026-11-15: 40% of 900 probes answered." in say(drill)[0]


def test_one_day_is_no_history(drill: View) -> None:
    assert draw(replace(drill, days=drill.days[:1]), Frame(narrow=False)) is None


@pytest.mark.parametrize(("share", "status"), [(1.0, S.AVAILABLE), (0.98, S.DEGRADED), (0.5, S.UNAVAILABLE)])
def test_a_day_has_the_colour_of_a_status(share: float, status: S) -> None:
    assert _status(Day(day="2026-11-22", service="x", availability=share, p95_s=None, samples=9)) is status

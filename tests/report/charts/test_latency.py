"""resilience.report.charts.latency: no spike is hidden, and a name is text whatever it is made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from resilience.core.records import ConnectivityStatus, Sample
from resilience.report import charts
from resilience.report.charts.latency import BINS, folded
from resilience.report.series import Columns
from resilience.report.view import build
from tests.kits import incident_factory as factory


def test_folding_keeps_the_single_spike_of_a_million() -> None:
    at = np.linspace(0, 86_400, 1_000_000, endpoint=False)
    took = np.full(1_000_000, 0.02)
    took[617_283] = 9.5
    place, p50, p95, high = folded(at, took, 86_400.0)
    assert high.max() == 9.5
    assert p50.max() == p95.max() == 0.02
    assert len(place) == BINS


def test_names_with_dollars_markup_and_other_alphabets_are_drawn_as_text() -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    names = ("$\\frac{1}", "<b>&", "サービス", "x" * 80)
    found = tuple(
        Sample(at=start + timedelta(seconds=n), service=name, status=ConnectivityStatus.AVAILABLE, response_time_s=0.01)
        for n in range(5)
        for name in names
    )
    drawn = charts.draw("latency", build(factory.green().incident, Columns.of(found)))
    assert drawn is not None
    assert "&lt;b&gt;&amp;" in drawn.chart.svg

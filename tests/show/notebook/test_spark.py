"""resilience.show.notebook.spark: each look that failed is marked."""

from __future__ import annotations

from datetime import timedelta

from resilience.core.records import (
    ConnectivityStatus,
    Sample,
)
from resilience.show import notebook as views
from tests.kits.shown import NOW, health, result


def test_a_spark_marks_each_look_that_failed() -> None:
    samples = [
        Sample(at=NOW + timedelta(seconds=n), service="a", status=status, response_time_s=0.1 * n)
        for n, status in enumerate([ConnectivityStatus.AVAILABLE, ConnectivityStatus.UNAVAILABLE] * 3)
    ]
    drawn = views.spark(samples)
    assert drawn.count("<line") == 3
    assert "6 looks, slowest 500 ms, 3 failed" in drawn
    assert views.spark(samples[:1]) == ""
    assert "Trend" in views.health_view(health(result(ConnectivityStatus.AVAILABLE, name="a")), samples)

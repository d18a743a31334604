"""resilience.show.notebook.recovery: the gauge counts good checks."""

from __future__ import annotations

from resilience.show import notebook as views


def test_the_gauge_counts_good_checks() -> None:
    assert "2 of 5 good checks in a row" in views.gauge(2, 5)
    assert views.gauge(2, 5).count("todo") == 3

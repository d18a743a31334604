"""resilience.report.charts.distributions: what got slower is named, and an outage that lasts has no after."""

from __future__ import annotations

from dataclasses import replace

from resilience.report.charts.canvas import Frame
from resilience.report.charts.distributions import _windows, draw, say
from resilience.report.series import Window
from resilience.report.view import View


def test_an_outage_that_still_lasts_has_no_after_and_says_so(drill: View) -> None:
    assert drill.window is not None
    lasting = replace(drill, window=Window(start=drill.window.start, end=None))
    assert [name for name, _, _ in _windows(lasting.window)] == ["before", "during"]  # type: ignore[arg-type]
    assert "still lasting" in say(lasting)[0]


def test_without_an_outage_there_is_nothing_to_compare(drill: View) -> None:
    assert draw(replace(drill, window=None), Frame(narrow=False)) is None


def test_a_service_whose_median_grew_by_half_is_named(drill: View) -> None:
    row = drill.latency[0]
    slow = replace(row, during=replace(row.before, p50_s=(row.before.p50_s or 0.1) * 2))
    assert f"Median while it lasted: {row.service} " in say(replace(drill, latency=(slow,)))[0]
    assert "as fast as before" in say(replace(drill, latency=(replace(row, during=row.before),)))[0]

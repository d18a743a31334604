"""resilience.report.charts.chart: what a chart must offer is refused where it lacks something."""

from __future__ import annotations

import pytest

from resilience.report.charts.chart import ChartKind
from resilience.report.view import Section


def test_a_chart_without_its_words_or_its_section_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="say"):
        ChartKind(name="x", title="X", section=Section.TESTS, draw=lambda view, frame: None)  # type: ignore[call-arg]

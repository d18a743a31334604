"""resilience.report.view.figures: all times are counted from the first bad sample."""

from __future__ import annotations

from resilience.report.series import Columns
from resilience.report.view import build
from tests.kits import incident_factory as factory


def test_the_times_are_counted_from_the_first_bad_sample() -> None:
    story = factory.night()
    view = build(story.incident, Columns.of(story.samples))
    figures = {label: value for label, value, _ in view.figures}
    assert figures == {
        "Time to detect": "10 min 42 s",
        "Time to mitigate": "11 min 10 s",
        "Time to recover": "1 h 51 min",
        "In mode degraded": "1 h 55 min",
    }

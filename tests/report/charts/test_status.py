"""resilience.report.charts.status: the sentence says who was bad and for how long."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resilience.report.charts.canvas import Frame
from resilience.report.charts.status import draw, say
from resilience.report.view import View
from tests.kits import incident_factory as factory


def test_the_worst_is_named_first_with_its_time_and_the_mode_in_force(drill: View) -> None:
    sentence, alt = say(drill)
    assert "Unavailable or degraded: backend_api 17.0 s, database 17.0 s, redis 3.0 s" in sentence
    assert "Tests ran in mode degraded" in sentence
    assert "database 17.0 s" in alt


def test_where_nothing_was_bad_it_says_so(view_of: Callable[[factory.Story], View]) -> None:
    assert "No service was unavailable or degraded." in say(view_of(factory.green()))[0]


@pytest.mark.parametrize("narrow", [True, False])
def test_each_mode_in_force_is_named_in_its_band_or_in_the_legend(drill: View, narrow: bool) -> None:
    figure = draw(drill, Frame(narrow=narrow))
    assert figure is not None
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert drill.modes
    assert all(any(one.mode in text for text in texts) for one in drill.modes)

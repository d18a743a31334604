"""resilience.report.charts.canvas: a legend wraps inside the sheet, and a long name is cut with a mark."""

from __future__ import annotations

import pytest
from matplotlib.patches import Rectangle

from resilience.core.marks import OUTCOMES
from resilience.report.charts.canvas import Frame, Sheet, bar, legend, short


@pytest.mark.parametrize("narrow", [False, True])
def test_a_legend_of_every_outcome_stays_inside_the_sheet(narrow: bool) -> None:
    sheet = Sheet(Frame(narrow=narrow), 2.0)
    legend(sheet, list(OUTCOMES.values()), 0.5, 2.0)
    axes = sheet.figure.axes[0]
    assert [text.get_text() for text in axes.texts] == [mark.word for mark in OUTCOMES.values()]
    ends = [text.get_position()[0] + 0.066 * len(text.get_text()) for text in axes.texts]
    assert max(ends) <= sheet.frame.width
    assert len({text.get_position()[1] for text in axes.texts}) == (4 if narrow else 2)


def test_a_bar_has_the_fill_and_the_hatch_of_its_mark() -> None:
    axes = Sheet(Frame(narrow=False), 1.0).axes(0, 0, 1, 1)
    for mark in OUTCOMES.values():
        bar(axes, (0, 0), 1, 1, mark)
    patches = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [patch.get_hatch() or "" for patch in patches] == [mark.hatch for mark in OUTCOMES.values()]


def test_boxes_are_laid_out_in_inches_from_the_top_left() -> None:
    sheet = Sheet(Frame(narrow=False), 2.0)
    box = sheet.axes(0.96, 0.5, 4.8, 1.0).get_position()
    assert (box.x0, box.width) == (pytest.approx(0.1), pytest.approx(0.5))
    assert (box.y0, box.y1) == (pytest.approx(0.25), pytest.approx(0.75))


def test_a_long_name_is_cut_with_a_mark() -> None:
    assert short("database") == "database"
    assert short("x" * 30, 10) == "x" * 9 + "…"

"""resilience.report.charts.files: the drawing of a page takes the page's colours, and its text stays text."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from resilience.report.charts.canvas import INK, Frame, Sheet
from resilience.report.charts.files import RC, VARIABLES, inline, png, svg


@pytest.fixture
def drawing() -> str:
    import matplotlib as mpl

    with mpl.rc_context(RC):
        sheet = Sheet(Frame(narrow=False), 1.0)
        sheet.text(0.1, 0.1, "a $ and a <b>", color=INK)
        return svg(sheet.figure)


def test_text_stays_text_and_digits_are_few(drawing: str) -> None:
    assert "a $ and a &lt;b&gt;" in drawing
    assert "<metadata>" not in drawing


def test_in_the_page_ids_are_its_own_and_colours_are_variables(drawing: str) -> None:
    shown = inline(drawing, "status")
    assert shown.startswith('<svg aria-hidden="true"')
    assert 'id="status-figure_1"' in shown
    assert not [colour for colour in VARIABLES if colour in shown]
    assert "var(--chart-ink)" in shown


def test_a_picture_has_few_colours_and_the_width_of_two_screens() -> None:
    image = Image.open(io.BytesIO(png(Sheet(Frame(narrow=False), 1.0).figure)))
    assert (image.width, image.mode) == (1536, "P")

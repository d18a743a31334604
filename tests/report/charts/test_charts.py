"""resilience.report.charts: every story gives its charts, none is cut, the same input gives the same bytes."""

from __future__ import annotations

import html as html_module
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from resilience.report import charts
from resilience.report.charts.canvas import Frame
from resilience.report.charts.files import RC
from resilience.report.html import html
from resilience.report.series import Columns
from resilience.report.view import Section, View, build
from tests.kits import incident_factory as factory

HELPERS = {"__init__", "axes", "canvas", "chart", "files", "lines", "trends"}
"""Files of the folder that draw no chart of a run."""


@pytest.fixture(scope="module")
def drawings(drill: View) -> Mapping[str, charts.Drawn]:
    """Return all charts of a drill, drawn once for all that look at them."""
    made = {name: charts.draw(name, drill) for name in charts.CHARTS}
    return {name: drawn for name, drawn in made.items() if drawn is not None}


def test_each_file_of_the_folder_is_a_chart_of_its_name() -> None:
    folder = Path(charts.__file__).parent
    assert set(charts.CHARTS) == {path.stem for path in folder.glob("*.py")} - HELPERS


def test_every_section_has_a_chart_and_the_page_shows_each_chart_once_in_the_order_of_the_sections(
    drill: View, drawings: Mapping[str, charts.Drawn]
) -> None:
    assert {kind.section for kind in charts.KINDS.values()} == set(Section)
    made = tuple(drawn.chart for drawn in drawings.values())
    page = html(drill, charts=made)
    assert re.findall(r'<figure id="chart-(\w+)"', page) == list(charts.CHARTS)
    for chart in made:
        assert page.count(f"<h3>{chart.title}</h3>") == 1


def cells(part: str) -> list[list[str]]:
    """Return the rows of the tables in a part of the page, as a reader sees their cells."""
    rows = [
        re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in re.findall(r"<tr>(.*?)</tr>", part, re.DOTALL)
    ]
    return [[html_module.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row] for row in rows if row]


def test_the_charts_of_a_page_say_the_numbers_of_its_tables(drill: View, drawings: Mapping[str, charts.Drawn]) -> None:
    page = html(drill, charts=tuple(drawn.chart for drawn in drawings.values()))
    parts = dict(re.findall(r'<h[23] id="([\w-]+)">(.*?)(?=<h[23] id=|<h1 id=|$)', page, re.DOTALL))
    figures = dict(re.findall(r'<figure id="chart-(\w+)">(.*?)</figure>', page, re.DOTALL))
    wanted: list[tuple[str, str]] = []
    for row in cells(parts["down"]):
        wanted.append(("status", f">{row[4]}<" if row[4] != "–" else ">0<"))
    for outcome, count in cells(parts["counts"])[: len(drill.suites[0].totals)]:
        wanted.append(("tests", f"<title>{count} {outcome}</title>"))
    for service, *row in cells(parts["latency"]):
        for name, took, lost in zip(("before", "during", "after"), row[::2], row[1::2], strict=True):
            if " / " in took:
                p50, p95, most = took.split(" / ")
                said = f"{service}, {name}: p50 {p50}, p95 {p95}, max {most}; lost {lost}"
                wanted.append(("distributions", f"<title>{said}</title>"))
    for stage, status, _, took, _ in cells(parts["made"])[: len(drill.incident.stages)]:
        wanted.append(("stages", f"<title>{stage}: {took}{'' if status == 'finished' else f', {status}'}, from "))
    assert {name for name, _ in wanted} == {"status", "tests", "distributions", "stages"}
    assert [(name, text) for name, text in wanted if html_module.unescape(figures[name]).count(text) < 2] == []


@pytest.mark.parametrize("name", charts.CHARTS)
def test_each_chart_is_well_formed_small_and_described(drawings: Mapping[str, charts.Drawn], name: str) -> None:
    drawn = drawings[name]
    for svg in (drawn.svg_file, drawn.chart.svg, drawn.chart.svg_narrow):
        ET.fromstring(svg[svg.index("<svg") :])
    assert drawn.chart.sentence.endswith(".")
    assert len(drawn.chart.alt) > 30
    image = Image.open(io.BytesIO(drawn.png))
    assert image.width == 1536
    assert image.mode == "P"
    assert len(drawn.png) < 60_000


def test_the_same_view_gives_the_same_bytes(drill: View, drawings: Mapping[str, charts.Drawn]) -> None:
    assert charts.draw("status", drill) == drawings["status"]


@pytest.mark.parametrize("tell", [factory.drill, factory.night, factory.green])
@pytest.mark.parametrize("narrow", [False, True])
def test_no_text_leaves_the_page(
    view_of: Callable[[factory.Story], View], tell: Callable[[], factory.Story], narrow: bool
) -> None:
    """A label cut at the edge of the picture is a label nobody reads: ink must not touch the border."""
    shown = view_of(tell())
    for name, kind in charts.KINDS.items():
        with mpl.rc_context(RC):
            figure = kind.draw(shown, Frame(narrow=narrow))
            if figure is None:
                continue
            canvas = FigureCanvasAgg(figure)
            figure.set_dpi(160)
            canvas.draw()
            pixels = np.asarray(canvas.buffer_rgba())[..., :3].min(axis=2)
        edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
        assert all(edge.min() > 200 for edge in edges), f"{name} touches the border"


def test_ids_are_unique_over_all_drawings_of_a_page(drawings: Mapping[str, charts.Drawn]) -> None:
    found: list[str] = []
    assert set(drawings) == set(charts.CHARTS)
    for drawn in drawings.values():
        for svg in (drawn.chart.svg, drawn.chart.svg_narrow):
            found += re.findall(r'\bid="([^"]+)"', svg)
    assert len(found) == len(set(found))


def test_nothing_to_draw_is_none_and_no_error() -> None:
    empty = build(factory.failed().incident, Columns())
    assert [name for name in charts.CHARTS if charts.draw(name, empty)] == ["stages"]

"""resilience.report.charts and frames: every story gives its charts, no spike is hidden, the same input gives the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from resilience.core.records import ConnectivityStatus, Sample
from resilience.report import charts, frames
from resilience.report.charts import latency
from resilience.report.charts.axes import ticks
from resilience.report.charts.canvas import Frame
from resilience.report.charts.files import RC, png
from resilience.report.series import Columns
from resilience.report.view import Day, View, build
from tests.kits import incident_factory as factory


def view(story: factory.Story, days: tuple[Day, ...] = ()) -> View:
    return build(story.incident, Columns.of(story.samples), days=days)


DAYS = tuple(
    Day(day=f"2026-11-{day:02d}", service=name, availability=0.4 if day == 15 else 1.0, p95_s=0.02, samples=900)
    for day in range(10, 23)
    for name in ("database", "redis")
)


@pytest.fixture(scope="module")
def drill() -> View:
    return view(factory.drill(), DAYS)


@pytest.mark.parametrize("name", charts.CHARTS)
def test_each_chart_is_well_formed_small_and_described(drill: View, name: str) -> None:
    drawn = charts.draw(name, drill)
    assert drawn is not None
    for svg in (drawn.svg_file, drawn.chart.svg, drawn.chart.svg_narrow):
        ET.fromstring(svg[svg.index("<svg") :])
    assert drawn.chart.sentence.endswith(".")
    assert len(drawn.chart.alt) > 30
    image = Image.open(io.BytesIO(drawn.png))
    assert image.width == 1536
    assert image.mode == "P"
    assert len(drawn.png) < 60_000


def test_the_same_view_gives_the_same_bytes(drill: View) -> None:
    first, second = charts.draw("status", drill), charts.draw("status", drill)
    assert first == second


@pytest.mark.parametrize("tell", [factory.drill, factory.night, factory.green])
@pytest.mark.parametrize("narrow", [False, True])
def test_no_text_leaves_the_page(tell: Callable[[], factory.Story], narrow: bool) -> None:
    """A label cut at the edge of the picture is a label nobody reads: ink must not touch the border."""
    shown = view(tell(), DAYS)
    for name, (painter, _, _) in charts._PAINTERS.items():
        with mpl.rc_context(RC):
            figure = painter(shown, Frame(narrow=narrow))
            if figure is None:
                continue
            pixels = np.asarray(Image.open(io.BytesIO(png(figure))).convert("L"))
        edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
        assert all(edge.min() > 200 for edge in edges), f"{name} touches the border"


def test_ids_are_unique_over_all_drawings_of_a_page(drill: View) -> None:
    found: list[str] = []
    for name in charts.CHARTS:
        drawn = charts.draw(name, drill)
        assert drawn is not None
        for svg in (drawn.chart.svg, drawn.chart.svg_narrow):
            found += re.findall(r'\bid="([^"]+)"', svg)
    assert len(found) == len(set(found))


def test_nothing_to_draw_is_none_and_no_error() -> None:
    empty = view(factory.failed())
    assert [name for name in charts.CHARTS if charts.draw(name, empty)] == ["stages"]


def test_folding_keeps_the_single_spike_of_a_million() -> None:
    at = np.linspace(0, 86_400, 1_000_000, endpoint=False)
    took = np.full(1_000_000, 0.02)
    took[617_283] = 9.5
    place, p50, p95, high = latency.folded(at, took, 86_400.0)
    assert high.max() == 9.5
    assert p50.max() == p95.max() == 0.02
    assert len(place) == latency.BINS


@pytest.mark.parametrize("seconds", [0.0005, 0.3, 25, 3_600, 7_200, 90_000, 40 * 86_400])
def test_the_time_axis_has_a_few_round_ticks_for_any_length(seconds: float) -> None:
    start = datetime(2026, 11, 22, 23, 59, 50, 123_000, tzinfo=UTC)
    for most in (4, 9):
        places, labels = ticks(start, start + timedelta(seconds=seconds), most)
        assert len(places) <= most + 1
        assert len(set(labels)) == len(labels)
        assert all(0 <= place <= seconds + 1e-6 for place in places)
        assert len(places) >= 2 or seconds < 0.2


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


def test_frames_have_a_row_for_each_record() -> None:
    story = factory.drill()
    frame = frames.samples_frame(story.samples)
    assert len(frame) == len(story.samples)
    assert str(frame["at"].dt.tz) == "UTC"
    assert frame["at"].is_monotonic_increasing
    assert set(frame.loc[frame.service == "database", "fault"].dropna()) == {"tcp_timeout"}
    assert story.incident.tests is not None
    assert len(frames.tests_frame(story.incident.tests)) == len(story.incident.tests.tests)
    assert list(frames.services_frame(story.incident.health)["status"])[:2] == ["unavailable", "unavailable"]
    assert frames.samples_frame(()).empty
    assert frames.tests_frame(None).empty
    assert frames.services_frame(None).empty

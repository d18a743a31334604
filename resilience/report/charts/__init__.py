"""Turn a view into charts: small multiples on log scales, hatched as well as coloured, each with a sentence and alt text."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from resilience.report.charts import distributions, history, latency, phases, stages, status, tests
from resilience.report.charts.canvas import Frame
from resilience.report.charts.files import RC, inline, png, svg
from resilience.report.view import Chart, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A chart with the files that stand beside the page."""

    chart: Chart
    svg_file: str
    png: bytes


Painter = Callable[[View, Frame], "Figure | None"]
_PAINTERS: dict[str, tuple[Painter, str, Callable[[View], tuple[str, str]]]] = {
    "status": (status.draw, "Status by service", status.say),
    "latency": (latency.draw, "Latency by service", latency.say),
    "tests": (tests.draw, "Tests by outcome", tests.say),
    "stages": (stages.draw, "Stages of the runbook", stages.say),
    "distributions": (distributions.draw, "Before, during, after", distributions.say),
    "phases": (phases.draw, "Phases of a probe", phases.say),
    "history": (history.draw, "History of runs", history.say),
}
CHARTS = tuple(_PAINTERS)


def draw(name: str, view: View) -> Drawn | None:
    """Return the chart of this name, or None where there is nothing to draw."""
    painter, title, say = _PAINTERS[name]
    style: Any = {**RC, "svg.hashsalt": name}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks is drawn as a box, which is no reason to fail
        wide = painter(view, Frame(narrow=False))
        if wide is None:
            return None
        drawing = svg(wide)
        picture = png(wide)
        narrow = painter(view, Frame(narrow=True))
        small = svg(narrow) if narrow is not None else ""
    sentence, alt = say(view)
    chart = Chart(
        name=name,
        title=title,
        sentence=sentence,
        alt=alt,
        svg=inline(drawing, name),
        svg_narrow=inline(small, f"{name}-n") if small else "",
    )
    return Drawn(chart=chart, svg_file=drawing, png=picture)

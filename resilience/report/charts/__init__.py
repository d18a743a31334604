"""Turn a view into charts: small multiples on log scales, hatched as well as coloured, each with a sentence and alt text.

Each file of this folder that holds a `CHART` is a chart of the report, with its drawing, its sentence, its text for those
who cannot see it, and the section in which it stands; the page loops over them.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl

from resilience.report.charts.canvas import Frame
from resilience.report.charts.chart import ChartKind
from resilience.report.charts.files import RC, inline, png, svg
from resilience.report.offered import offered
from resilience.report.view import Chart, Section, View

_ORDER = {section: place for place, section in enumerate(Section)}
KINDS = {
    kind.name: kind
    for kind in sorted(
        offered(sys.modules[__name__], "CHART", ChartKind), key=lambda kind: (_ORDER[kind.section], kind.name)
    )
}
CHARTS = tuple(KINDS)
"""The names of all charts, in the order of the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A chart with the files that stand beside the page."""

    chart: Chart
    svg_file: str
    png: bytes


def draw(name: str, view: View) -> Drawn | None:
    """Return the chart of this name, or None where there is nothing to draw.

    Raises KeyError for an unknown name, and whatever the drawing raises. The same view gives the same bytes, so that
    a report made again is equal where nothing changed. SVG is for the page, PNG (160 dpi, 96 colours) for chats and
    issues.
    """
    kind = KINDS[name]
    style: Any = {**RC, "svg.hashsalt": name}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks is drawn as a box, which is no reason to fail
        wide = kind.draw(view, Frame(narrow=False))
        if wide is None:
            return None
        drawing = svg(wide)
        picture = png(wide)
        narrow = kind.draw(view, Frame(narrow=True))
        small = svg(narrow) if narrow is not None else ""
    sentence, alt = kind.say(view)
    chart = Chart(
        name=name,
        title=kind.title,
        section=kind.section,
        sentence=sentence,
        alt=alt,
        svg=inline(drawing, name),
        svg_narrow=inline(small, f"{name}-n") if small else "",
    )
    return Drawn(chart=chart, svg_file=drawing, png=picture)

"""What a file of this folder offers to be a chart of the report: its drawing, its sentence, its text and its section."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from resilience.report.charts.canvas import Frame
from resilience.report.view import Section, View


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartKind:
    """One chart. `draw` gives None where there is nothing to draw; it is called twice, for wide and for narrow pages.

    `say` gives the sentence below the chart, and the same for those who cannot see it. Charts of one section stand in
    the order of their names.

    What `draw` or `say` raises costs this chart alone, and the report names it. A new chart is one file of this
    folder.
    """

    name: str
    title: str
    section: Section
    draw: Callable[[View, Frame], Figure | None]
    say: Callable[[View], tuple[str, str]]

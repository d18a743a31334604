"""Draw the stages of the runbook as a waterfall."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from matplotlib.figure import Figure

from resilience.core.marks import STAGES
from resilience.core.records import Stage, StageStatus
from resilience.report.charts.canvas import GRID, INK, Frame, Sheet, bar
from resilience.report.charts.chart import ChartKind
from resilience.report.view import Section, View
from resilience.report.view.formats import span, when

_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
"""Distances of ticks that people count in, seconds."""


def draw(view: View, frame: Frame) -> Figure | None:
    """Draw one bar a stage that has ended, from when it began; one too short to be seen is a line."""
    stages = [stage for stage in view.incident.stages if stage.finished_at]
    if not stages:
        return None
    start = min(stage.started_at for stage in stages)
    length = max(((stage.finished_at or start) - start).total_seconds() for stage in stages) or 1.0
    left, right, row, top = 1.28, 0.95 if frame.narrow else 1.5, 0.30, 0.08
    body = row * len(stages)
    sheet = Sheet(frame, top + body + 0.50)
    axes = sheet.axes(left, top, frame.width - left - right, body)
    axes.set_xlim(0, length)
    axes.set_ylim(len(stages) - 0.5, -0.5)
    label = _ticks(axes, length, 4 if frame.narrow else 8)
    axes.set_yticks(range(len(stages)), [stage.name.value.replace("_", " ") for stage in stages], fontsize=frame.font)
    axes.tick_params(axis="y", length=0)
    for place, stage in enumerate(stages):
        _stage(axes, stage, (stage.started_at - start).total_seconds(), place, length, frame)
    sheet.text(left, sheet.height - 0.20, f"{label} since the first stage began")
    return sheet.figure


def _ticks(axes: Any, length: float, most: int) -> str:
    """Set round ticks in seconds or minutes, at most `most` of them, and return which of the two they are."""
    step = next((step for step in _STEPS if length / step <= most), length / 4)
    places = [n * step for n in range(int(length / step) + 1)]
    unit, label = (60, "minutes") if step >= 60 else (1, "seconds")
    axes.set_xticks(places, [f"{place / unit:g}" for place in places])
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    return label


def _stage(axes: Any, stage: Stage, begin: float, place: int, length: float, frame: Frame) -> None:
    """Draw one stage with how long it took, and its status where it is another than finished."""
    took = ((stage.finished_at or stage.started_at) - stage.started_at).total_seconds()
    mark = STAGES[stage.status]
    wide = max(took, length / 400)
    text = span(took) + ("" if stage.status is StageStatus.FINISHED else f", {mark.word}")
    name = stage.name.value.replace("_", " ")
    bar(axes, (begin, place - 0.33), wide, 0.66, mark, says=f"{name}: {text}, from {when(stage.started_at)} UTC")
    axes.text(begin + wide + length * 0.012, place, text, va="center", fontsize=frame.small, color=INK, clip_on=False)


def say(view: View) -> tuple[str, str]:
    done = [(stage, (stage.finished_at - stage.started_at)) for stage in view.incident.stages if stage.finished_at]
    longest = max(done, key=lambda item: item[1], default=None)
    whole = sum((took for _, took in done), timedelta(0))
    if longest is None:
        return "No stage has ended yet.", "No stage has ended yet."
    name = longest[0].name.value.replace("_", " ")
    text = f"The stages of this run took {span(whole)}; the longest was {name} with {span(longest[1])}."
    return text, f"Waterfall of the runbook's stages. {text}"


CHART = ChartKind(name="stages", title="Stages of the runbook", section=Section.TIMELINE, draw=draw, say=say)

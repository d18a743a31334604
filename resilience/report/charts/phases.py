"""Draw where the time of the median and of the worst probe of each service went."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from resilience.core.marks import NO_ANSWER, PHASES, RED, Mark, Tone
from resilience.core.records import ConnectivityStatus
from resilience.core.words import listing, seconds
from resilience.report.charts.canvas import GRID, INK, SOFT, Frame, Sheet, bar, legend, short
from resilience.report.charts.chart import ChartKind
from resilience.report.charts.lines import drawn_lines
from resilience.report.view import Section, View
from resilience.report.view.latency import PhaseRow

OTHER = Mark(word="other", tone=Tone.QUIET)
"""The time of a probe that no phase accounts for, where the service answered."""
PARTS = {mark.word: mark for mark in (*PHASES.values(), OTHER, NO_ANSWER)}


def draw(view: View, frame: Frame) -> Figure | None:
    """Draw one bar a probe, its parts as shares of its time: shares, as a median of 3 ms and a wait of 5 s share no scale."""
    drawn = {line.service for line in drawn_lines(view)}
    rows = [row for row in view.phases if row.total_s > 0 and row.service in drawn]
    if not rows:
        return None
    services = list(dict.fromkeys(row.service for row in rows))
    left, right, top = (1.62 if frame.narrow else 1.75), 0.66, 0.62 if frame.narrow else 0.40
    height, gap = 0.25, 0.12
    body = len(rows) * height + len(services) * gap
    sheet = Sheet(frame, top + body + 0.42)
    axes = sheet.axes(left, top, frame.width - left - right, body)
    axes.set_xlim(0, 1)
    axes.set_ylim(body, 0)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    at = 0.0
    used: list[str] = []
    width = frame.width - left - right
    for service in services:
        own = sorted((row for row in rows if row.service == service), key=lambda row: row.which != "median")
        name = short(service, 13)
        axes.text(
            -left / width + 0.02,
            at + height / 2,
            name,
            ha="left",
            va="center",
            fontsize=frame.font,
            fontweight="bold",
            color=INK,
            clip_on=False,
        )
        for row in own:
            used += _row(axes, row, at, height, frame, width)
            at += height
        at += gap
    begin = 0.12 if frame.narrow else left
    legend(sheet, [mark for name, mark in PARTS.items() if name in used], begin, 0.60 if frame.narrow else 0.38)
    sheet.text(begin, sheet.height - 0.19, "share of the probe's time; at the right its length")
    return sheet.figure


def _row(axes: Any, row: PhaseRow, at: float, height: float, frame: Frame, width: float) -> list[str]:
    """Draw one probe with what it is at the left and its length at the right; return the names of its parts."""
    style: dict[str, Any] = {"va": "center", "fontsize": frame.small, "clip_on": False}
    middle = at + height / 2
    axes.text(-0.015, middle, row.which, ha="right", color=RED if row.which == "failed" else SOFT, **style)
    axes.text(1.015, middle, seconds(row.total_s), color=INK, **style)
    return _phase_bar(axes, row, at, height, frame, width)


def _phase_bar(axes: Any, row: PhaseRow, at: float, height: float, frame: Frame, width: float) -> list[str]:
    """Draw one probe and return the names of its parts; time without a part is `other`, or `no answer` where it failed."""
    parts = list(row.parts)
    bad = row.status is ConnectivityStatus.UNAVAILABLE
    if row.rest_s > row.total_s * 0.001:
        parts.append(((NO_ANSWER if bad else OTHER).word, row.rest_s))
    total = sum(value for _, value in parts) or 1.0
    start = 0.0
    for name, value in parts:
        wide = value / total
        mark = PARTS[name]
        bar(
            axes,
            (start, at + 0.025),
            wide,
            height - 0.05,
            mark,
            edge=0.6,
            says=f"{row.service}, {row.which} probe: {name} {seconds(value)}",
        )
        text = f"{name} {seconds(value)}"
        if not mark.hatch and wide * width > 0.066 * len(text) + 0.05:
            axes.text(
                start + wide / 2,
                at + height / 2,
                text,
                ha="center",
                va="center",
                fontsize=frame.small - 1,
                color=mark.label,
            )
        start += wide
    return [name for name, _ in parts]


def say(view: View) -> tuple[str, str]:
    stuck = [
        f"{row.service} waited {seconds(row.rest_s)} after {row.parts[-1][0] if row.parts else 'nothing'}"
        for row in view.phases
        if row.which == "failed" and row.rest_s > 0.5 * row.total_s
    ]
    said = f"Without an answer: {listing(stuck[:6])}." if stuck else "No probe was stuck in one phase."
    return (
        f"Where the time of the median and of the worst probe of each service went. {said}",
        f"Stacked bars of probe phases per service. {said}",
    )


CHART = ChartKind(name="phases", title="Phases of a probe", section=Section.LATENCY_DETAILS, draw=draw, say=say)

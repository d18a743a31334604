"""Draw availability and p95 per service and day, over the recorded runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from resilience.core.marks import STATUSES
from resilience.core.records import ConnectivityStatus
from resilience.core.words import plural, seconds
from resilience.report.charts.axes import seconds_axis, unit
from resilience.report.charts.canvas import BLUE, INK, Frame, Sheet, bar, short
from resilience.report.charts.chart import ChartKind
from resilience.report.view import Day, Section, View
from resilience.report.view.formats import percent


def draw(view: View, frame: Frame) -> Figure | None:
    """Draw two small panels a service, availability and p95, over the last 30 days on which somebody looked."""
    days = sorted({day.day for day in view.days})[-30:]
    services = list(dict.fromkeys(day.service for day in view.days))[:12]
    if len(days) < 2 or not services:
        return None
    table: dict[tuple[str, str], Day] = {(day.service, day.day): day for day in view.days}
    left, right, top, row, gap = 1.2, 0.16, 0.36, 0.48, 0.14
    body = len(services) * (row + gap)
    sheet = Sheet(frame, top + body + 0.26)
    between = 0.62
    width = (frame.width - left - right - between) / 2
    low, high = _range(view)
    every = math.ceil(len(days) / (2 if frame.narrow else 7))
    places = list(range(0, len(days), every))
    for place, service in enumerate(services):
        own = [table.get((service, day)) for day in days]
        y = top + place * (row + gap)
        first = sheet.axes(left, y, width, row)
        second = sheet.axes(left + width + between, y, width, row)
        labels = [days[n][5:] if place == len(services) - 1 else "" for n in places]
        for axes in (first, second):
            axes.set_xlim(-0.6, len(days) - 0.4)
            axes.set_xticks(places, labels)
        draw_availability(first, {number: day for number, day in enumerate(own) if day is not None})
        _p95(second, own, low, high)
        sheet.text(
            0.08, y + row / 2, short(service, 13), fontsize=frame.font, fontweight="bold", color=INK, va="center"
        )
    sheet.text(left, 0.10, "answered, by day", fontweight="bold", color=INK)
    sheet.text(left + width + between, 0.10, "p95, by day (log)", fontweight="bold", color=INK)
    return sheet.figure


def _range(view: View) -> tuple[float, float]:
    """Return the powers of ten around all that was measured, at least one decade apart."""
    took = [day.p95_s for day in view.days if day.p95_s]
    if not took:
        return 0.001, 1.0
    low, high = 10.0 ** math.floor(math.log10(min(took))), 10.0 ** math.ceil(math.log10(max(took) * 1.02))
    return low, max(high, low * 10)


def draw_availability(axes: Any, own: Mapping[int, Day]) -> None:
    """Draw a bar a day, at its place, in the colour of a status; what few lost of many probes would else not be seen."""
    axes.set_ylim(0, 1.0)
    axes.set_yticks([0, 1], ["0", "100 %"])
    for number, day in own.items():
        told = f"{day.service} on {day.day}: {percent(day.availability)} of {plural(day.samples, 'probe')} answered"
        says = told + (f", p95 {seconds(day.p95_s)}" if day.p95_s is not None else "")
        bar(axes, (number - 0.4, 0), 0.8, max(day.availability, 0.02), STATUSES[_status(day)], says=says)


def _p95(axes: Any, own: Sequence[Day | None], low: float, high: float) -> None:
    seconds_axis(axes, low, high)
    axes.set_yticks([low, high], [unit(low), unit(high)])
    p95 = [day.p95_s if day and day.p95_s else math.nan for day in own]
    axes.plot(range(len(own)), p95, color=BLUE, linewidth=1.3, marker="o", markersize=2.4)


def _status(day: Day) -> ConnectivityStatus:
    """Return the status that the colour of a day stands for: three nines, then 95 %."""
    if day.availability >= 0.999:
        return ConnectivityStatus.AVAILABLE
    return ConnectivityStatus.DEGRADED if day.availability >= 0.95 else ConnectivityStatus.UNAVAILABLE


def say(view: View) -> tuple[str, str]:
    days = sorted({day.day for day in view.days})
    low = min(view.days, key=lambda day: day.availability, default=None)
    said = ""
    if low is not None:
        said = f" The lowest was {low.service} on {low.day}: {low.availability:.0%} of {plural(low.samples, 'probe')} answered."
        if low.availability == 1:
            said = " Every probe was answered."
    text = f"Share of probes answered and their p95, per service and day, over {plural(len(days), 'day')} of recorded runs.{said}"
    return text, f"Bars of availability and lines of p95 by day. {said.strip()}"


CHART = ChartKind(name="history", title="History of runs", section=Section.HISTORY, draw=draw, say=say)

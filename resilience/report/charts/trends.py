"""Draw what the history says over a period: services by day, outages by their times, tests that were not plainly passed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from resilience.core.errors import UsageError, did_you_mean
from resilience.core.marks import AMBER, GREEN, OUTCOMES, PURPLE, SKY, Mark, Tone
from resilience.core.period import Period
from resilience.core.records import Outcome
from resilience.core.trends import TIMES, IncidentTimes, TestCounts
from resilience.core.words import plural
from resilience.report.charts.axes import seconds_axis, unit
from resilience.report.charts.canvas import BLUE, GRID, INK, SOFT, Frame, Sheet, bar, hover, legend, short
from resilience.report.charts.files import RC, png
from resilience.report.charts.history import draw_availability
from resilience.report.view import Day
from resilience.report.view.formats import percent, span

SERVICES = 12
TESTS = 15
"""Drawn at most, the worst first; how many are left out is said."""
_FRAME = Frame(narrow=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A picture for a light page and a dark one, and what it shows, for those who cannot see it."""

    png: bytes
    says: str


def days(found: Sequence[Day], period: Period) -> tuple[Figure | None, str]:
    """Draw two panels a service: the share of probes answered, and p50 and p95, by day; the least available first."""
    services = _worst_first(found)
    if not services:
        return None, "No service was looked at in this period."
    first = min(date.fromisoformat(day.day) for day in found)
    last = max(date.fromisoformat(day.day) for day in found)
    width_days = (last - first).days + 1
    left, right, top, row, gap, between = 1.2, 0.16, 0.36, 0.48, 0.14, 0.62
    shown = services[:SERVICES]
    sheet = Sheet(_FRAME, top + len(shown) * (row + gap) + 0.26)
    width = (_FRAME.width - left - right - between) / 2
    low, high = _range([value for day in found for value in (day.p50_s, day.p95_s) if value])
    places = list(range(0, width_days, math.ceil(width_days / 7)))
    for place, service in enumerate(shown):
        own = {(date.fromisoformat(day.day) - first).days: day for day in found if day.service == service}
        y = top + place * (row + gap)
        panels = (sheet.axes(left, y, width, row), sheet.axes(left + width + between, y, width, row))
        labels = [f"{first + timedelta(days=n):%m-%d}" if place == len(shown) - 1 else "" for n in places]
        for axes in panels:
            axes.set_xlim(-0.6, width_days - 0.4)
            axes.set_xticks(places, labels)
        draw_availability(panels[0], own)
        _latency(panels[1], own, width_days, low, high)
        sheet.text(
            0.08, y + row / 2, short(service, 13), fontsize=_FRAME.font, fontweight="bold", color=INK, va="center"
        )
    sheet.text(left, 0.10, "answered, by day", fontweight="bold", color=INK)
    sheet.text(left + width + between, 0.10, "p95 (line) and p50 (dotted), by day (log)", fontweight="bold", color=INK)
    least = min(found, key=lambda day: (day.availability, day.day))
    said = (
        f"Share of probes answered and their p95 and p50, for {plural(len(services), 'service')} over {period}. The lowest was "
        f"{least.service} on {least.day}: {percent(least.availability)} of {plural(least.samples, 'probe')} answered."
    )
    left_out = len(services) - len(shown)
    return sheet.figure, said + (
        f" {plural(left_out, 'service')} that answered more often not drawn." if left_out else ""
    )


def _worst_first(found: Sequence[Day]) -> list[str]:
    sums: dict[str, tuple[float, int]] = {}
    for day in found:
        answered, samples = sums.get(day.service, (0.0, 0))
        sums[day.service] = (answered + day.availability * day.samples, samples + day.samples)
    return sorted(sums, key=lambda service: (sums[service][0] / sums[service][1], service))


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return the powers of ten around all values, at least one decade apart."""
    if not values:
        return 0.001, 1.0
    low, high = 10.0 ** math.floor(math.log10(min(values))), 10.0 ** math.ceil(math.log10(max(values) * 1.02))
    return low, max(high, low * 10)


def _latency(axes: Any, own: Mapping[int, Day], width_days: int, low: float, high: float) -> None:
    seconds_axis(axes, low, high)
    axes.set_yticks([low, high], [unit(low), unit(high)])
    marker = "o" if width_days <= 45 else ""
    for name, style in (("p50_s", {"color": SOFT, "linestyle": ":"}), ("p95_s", {"color": BLUE})):
        values = [getattr(own.get(number), name, None) or math.nan for number in range(width_days)]
        axes.plot(range(width_days), values, linewidth=1.3, marker=marker, markersize=2.4, **style)


_TIME_MARKS = {
    "detect": (SKY, "D"),
    "acknowledge": (PURPLE, "s"),
    "mitigate": (AMBER, "^"),
    "recover": (GREEN, "o"),
}
"""Time → colour and shape, so that they are told apart without colour."""


def incidents(found: Sequence[IncidentTimes], period: Period) -> tuple[Figure | None, str]:
    """Draw one column an outage, by time, with a mark for each of its times on a log scale of seconds."""
    known = [one for one in found if any(getattr(one, name) is not None for _, name in TIMES)]
    if not known:
        return None, f"No outage in this period, {period}." if not found else "No time of these outages is known."
    sheet = Sheet(_FRAME, 2.9)
    axes = sheet.axes(0.95, 0.42, _FRAME.width - 1.15, 2.1)
    values = [max(value, 1.0) for one in known for _, name in TIMES if (value := getattr(one, name)) is not None]
    low, high = _range([1.0, *values])
    seconds_axis(axes, low, high)
    ticks = [place for place in (1, 60, 3600, 86_400) if low <= place <= high]
    axes.set_yticks(ticks, [{1: "1 s", 60: "1 min", 3600: "1 h", 86_400: "1 day"}[place] for place in ticks])
    axes.set_xlim(-0.6, len(known) - 0.4)
    every = math.ceil(len(known) / 8)
    places = range(0, len(known), every)
    axes.set_xticks(list(places), [f"{known[n].opened_at:%m-%d %H:%M}" for n in places])
    for number, one in enumerate(known):
        told = [(verb, value) for verb, name in TIMES if (value := getattr(one, name)) is not None]
        axes.plot([number] * 2, [1.0, max(max(value for _, value in told), 1.0)], color=GRID, linewidth=2, zorder=1)
        for verb, value in told:
            colour, shape = _TIME_MARKS[verb]
            (drawn,) = axes.plot(
                [number], [max(value, 1.0)], color=colour, marker=shape, markersize=6, linestyle="", zorder=3
            )
            hover(drawn, f"{one.id}: time to {verb} {span(value)}")
    at = 0.95
    for verb, (colour, shape) in _TIME_MARKS.items():
        sheet.figure.add_artist(
            mpl.lines.Line2D(
                [(at + 0.05) / _FRAME.width], [1 - 0.2 / 2.9], color=colour, marker=shape, markersize=6, linestyle=""
            )
        )
        sheet.text(at + 0.16, 0.20, f"time to {verb}", color=INK, va="center")
        at += 1.6
    longest = max(known, key=lambda one: one.recover_s or 0.0)
    said = f"{plural(len(found), 'outage')} in {period}, each time counted from its first bad sample."
    if longest.recover_s:
        said += f" The longest began on {longest.opened_at:%Y-%m-%d %H:%M} UTC and took {span(longest.recover_s)}."
    return sheet.figure, said


_TEST_MARKS = (
    ("passed_later", Mark(word="passed on a later round", tone=Tone.PARTIAL, fill=SKY, hatch="|||")),
    ("failed", OUTCOMES[Outcome.FAILED]),
    ("held_back", Mark(word="held back", tone=Tone.PARTIAL, fill=AMBER, hatch="///")),
    ("undecided", OUTCOMES[Outcome.UNDECIDED]),
    ("stand_in_gap", OUTCOMES[Outcome.STAND_IN_GAP]),
)


def tests(found: Sequence[TestCounts], runs: int) -> tuple[Figure | None, str]:
    """Draw one bar a test, of the number of runs in which it was each thing; the flaky and the often held back first."""
    if not found:
        return None, "No test was flaky, held back or failed." if runs else "No test run in this period."
    shown = found[:TESTS]
    row, left, top = 0.29, 3.5, 0.42
    sheet = Sheet(_FRAME, top + len(shown) * row + 0.14)
    axes = sheet.axes(left, top, _FRAME.width - left - 0.7, len(shown) * row)
    most = max(sum(getattr(test, name) for name, _ in _TEST_MARKS) for test in shown)
    axes.set_xlim(0, most * 1.001)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_yticks(range(len(shown)), [_tail(test.test, 46) for test in shown], fontsize=_FRAME.small)
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    for place, test in enumerate(shown):
        at = 0
        for name, mark in _TEST_MARKS:
            if count := getattr(test, name):
                bar(axes, (at, place - 0.34), count, 0.68, mark, edge=0.6, says=f"{test.test}: {count:,} {mark.word}")
                at += count
        axes.text(at + most * 0.02, place, f"{at:,}", va="center", fontsize=_FRAME.small, color=INK, clip_on=False)
    legend(sheet, [mark for name, mark in _TEST_MARKS if any(getattr(test, name) for test in shown)], 0.1, 0.3)
    left_out = len(found) - len(shown)
    said = f"Of {plural(runs, 'test run')}, in how many a test was not plainly passed: {plural(len(found), 'test')}."
    return sheet.figure, said + (f" {plural(left_out, 'test')} with less not drawn." if left_out else "")


def _tail(name: str, limit: int) -> str:
    """Return the end of a test's id, which tells it apart from its neighbours."""
    return name if len(name) <= limit else f"…{name[1 - limit :]}"


PICTURES: Mapping[str, Callable[[Sequence[Any], Any], tuple[Figure | None, str]]] = {
    "days": days,
    "incidents": incidents,
    "tests": tests,
}


def picture(name: str, found: Sequence[Any], over: Period | int) -> Drawn:
    """Return the chart of this name as a picture, without bytes where there is nothing to draw.

    `over` is what the chart's sentence counts over: the period, of tests the number of runs. UsageError names the charts
    that there are.
    """
    if name not in PICTURES:
        raise UsageError(f"there is no chart {name!r}.", hint=did_you_mean(name, PICTURES))
    style: Any = RC
    with mpl.rc_context(style):
        figure, says = PICTURES[name](found, over)
        return Drawn(png=b"" if figure is None else png(figure, any_ground=True), says=says)

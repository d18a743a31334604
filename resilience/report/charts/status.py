"""Draw the status of each service over time, under a band of the mode in force."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from resilience.core.marks import DARK, GREY, MODE_FILLS, NO_FALLBACK, RED, STATUSES, Mark, Tone
from resilience.core.records import ConnectivityStatus
from resilience.core.words import listing
from resilience.report.charts.axes import dates, time_axis
from resilience.report.charts.canvas import PAPER, SOFT, Frame, Sheet, bar, hover, legend, short
from resilience.report.charts.chart import ChartKind
from resilience.report.charts.lines import bad_s, drawn_lines, left_out, since
from resilience.report.series import Line, intervals, micros, moment
from resilience.report.view import Section, View
from resilience.report.view.formats import span, when


def draw(view: View, frame: Frame) -> Figure | None:
    """Draw one bar a service, the unwell first, with how long it was bad at its end; a gap is where nobody looked."""
    lines = drawn_lines(view)
    if not lines:
        return None
    left = 0.08 + 0.077 * max(len(short(line.service, 16)) for line in lines) * (frame.font / 8.8)
    left = max(left, 0.55)
    right = 0.78 if frame.narrow else 1.0
    row, top, mode = 0.34, 0.42 if not frame.narrow else 0.60, 0.34 if view.modes else 0.0
    bottom = 0.52
    sheet = Sheet(frame, top + mode + row * len(lines) + bottom)
    width = frame.width - left - right
    length = max((view.ends_at - view.starts_at).total_seconds(), 0.001)
    unnamed = _mode_band(sheet, view, left, top, width, length) if view.modes else []
    axes = sheet.axes(left, top + mode, width, row * len(lines))
    time_axis(axes, view, 4 if frame.narrow else 9)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_yticks(range(len(lines)), [short(line.service, 16) for line in lines], fontsize=frame.font)
    axes.tick_params(axis="y", length=0)
    seen: set[ConnectivityStatus] = set()
    for place, line in enumerate(lines):
        seen |= _stretches(axes, view, line, place, length)
        down = bad_s(line)
        axes.text(
            length * 1.012,
            place,
            span(down) if down else "0",
            fontsize=frame.small,
            color=RED if down else SOFT,
            va="center",
            clip_on=False,
        )
    sheet.text(left + width + 0.05, top + mode - 0.02, "bad for", va="bottom")
    legend(sheet, [*(mark for status, mark in STATUSES.items() if status in seen), *unnamed], left, top)
    sheet.text(left + width, sheet.height - 0.20, f"UTC, {dates(view)}", ha="right")
    return sheet.figure


def _stretches(axes: Any, view: View, line: Line, place: int, length: float) -> set[ConnectivityStatus]:
    """Draw the stretches of one service and return the statuses drawn; none is too short to be seen."""
    stretches = intervals(line, until=micros(view.ends_at), resolution=int(length * 1e6 / 300))
    for one in stretches:
        start, end = since(view, one.start), since(view, one.end)
        mark = STATUSES[one.status]
        says = (
            f"{line.service}: {mark.word} {when(moment(one.start))} to {when(moment(one.end))} UTC, {span(end - start)}"
        )
        bar(axes, (start, place - 0.36), max(end - start, length / 300), 0.72, mark, says=says)
    return {one.status for one in stretches}


def _mode_band(sheet: Sheet, view: View, left: float, top: float, width: float, length: float) -> list[Mark]:
    """Draw the modes in force, each with its name; return those that had no room for it anywhere, for the legend."""
    unnamed: dict[str, Mark] = {}
    named: set[str] = set()
    axes = sheet.axes(left, top + 0.04, width, 0.22)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlim(0, length)
    axes.set_ylim(0, 1)
    axes.set_xticks([])
    axes.set_yticks([0.5], ["mode"], fontsize=sheet.frame.font)
    axes.tick_params(axis="y", length=0)
    for one in view.modes:
        start = (one.start - view.starts_at).total_seconds()
        wide = (one.end - one.start).total_seconds()
        colour, ink = MODE_FILLS.get(one.mode, (GREY, DARK))
        band = axes.add_patch(Rectangle((start, 0), wide, 1, facecolor=colour, edgecolor=PAPER, linewidth=1.2))
        said = one.mode if one.mode == NO_FALLBACK else f"mode {one.mode}"
        hover(band, f"{said}: {when(one.start)} to {when(one.end)} UTC, {span(one.end - one.start)}")
        name = one.mode
        if wide / length * width > 0.075 * len(name) + 0.04:
            named.add(name)
            axes.text(start + wide / 2, 0.47, name, ha="center", va="center", fontsize=sheet.frame.small, color=ink)
        else:
            unnamed[name] = Mark(word=name if name == NO_FALLBACK else f"mode {name}", tone=Tone.QUIET, fill=colour)
    return [mark for name, mark in unnamed.items() if name not in named]


def say(view: View) -> tuple[str, str]:
    worst = sorted(((bad_s(line), line.service) for line in drawn_lines(view)), reverse=True)
    bad = [f"{name} {span(total)}" for total, name in worst if total]
    said = f"Unavailable or degraded: {listing(bad[:8])}." if bad else "No service was unavailable or degraded."
    modes = [one.mode for one in view.modes if one.mode not in ("full", NO_FALLBACK)]
    how = f" Tests ran in mode {listing(list(dict.fromkeys(modes)))} where the upper band says so." if modes else ""
    told = f"{said}{how}{left_out(view)}"
    text = (
        f"Each service of {view.incident.environment} from first to last sample; a gap is where nobody looked. {told}"
    )
    return text, f"Status timeline, one bar per service. {told}"


CHART = ChartKind(name="status", title="Status by service", section=Section.STATUS, draw=draw, say=say)

"""Draw the latency of answered probes before, during and after the outage."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from matplotlib.figure import Figure

from resilience.core.marks import RED
from resilience.core.steadiness import percentile
from resilience.core.words import listing, seconds
from resilience.report.charts.axes import seconds_axis, seconds_range
from resilience.report.charts.canvas import BLUE, INK, PAPER, SOFT, Frame, Sheet, hover_area, short
from resilience.report.charts.chart import ChartKind
from resilience.report.charts.lines import drawn_lines, left_out
from resilience.report.series import Line, Window, answered, moment, stats
from resilience.report.view import Section, View
from resilience.report.view.formats import percent, when


def draw(view: View, frame: Frame) -> Figure | None:
    """Draw three rows a service, one each for before, during and after; without an outage there is nothing to compare."""
    lines = drawn_lines(view)
    if not lines or view.window is None:
        return None
    names = [name for name, _, _ in _windows(view.window)]
    left, right, top = (1.72 if frame.narrow else 1.9), 0.85, 0.10
    height, gap = 0.20, 0.14
    body = len(lines) * (len(names) * height + gap)
    sheet = Sheet(frame, top + body + (0.86 if frame.narrow else 0.54))
    axes = sheet.axes(left, top, frame.width - left - right, body)
    low, high = seconds_range(view, lines)
    seconds_axis(axes, low, high, which="x", every=2 if frame.narrow else 1)
    axes.set_ylim(body, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    at = gap / 2
    colours = {"before": SOFT, "during": RED, "after": BLUE}
    shift = -left / (frame.width - left - right)
    for line in lines:
        for number, (name, start, end) in enumerate(_windows(view.window)):
            middle = at + height / 2
            transform = axes.get_yaxis_transform()
            axes.text(
                -0.015, middle, name, transform=transform, ha="right", va="center", fontsize=frame.small, color=SOFT
            )
            if number == 0:
                style: dict[str, Any] = {"fontsize": frame.font, "fontweight": "bold", "color": INK}
                named = short(line.service, 14)
                axes.text(shift + 0.02, middle, named, transform=transform, ha="left", va="center", **style)
            _box(axes, line, name, start, end, middle, height, colours[name], frame)
            at += height
        at += gap
    notes = [
        "log scale; bar: middle half, tick: p50,",
        "line: p5 to p95, ring: maximum;",
        "at the right: share of probes lost",
    ]
    for number, note in enumerate(notes if frame.narrow else [" ".join(notes)]):
        sheet.text(0.12 if frame.narrow else left, top + body + 0.32 + 0.16 * number, note)
    return sheet.figure


def _windows(window: Window) -> list[tuple[str, int | None, int | None]]:
    rows: list[tuple[str, int | None, int | None]] = [
        ("before", None, window.start),
        ("during", window.start, window.end),
    ]
    if window.end is not None:
        rows.append(("after", window.end, None))
    return rows


def _box(
    axes: Any,
    line: Line,
    name: str,
    start: int | None,
    end: int | None,
    y: float,
    height: float,
    colour: str,
    frame: Frame,
) -> None:
    """Draw one stretch: middle half, median, p5 to p95 and the maximum of what was answered, and the share that was lost.

    Where nothing was answered words stand in place of the box, as an empty row could be read as fast.
    """
    first = 0 if start is None else bisect_left(line.at, start)
    last = len(line) if end is None else bisect_left(line.at, end)
    took = sorted(answered(line, first, last))
    share = stats(line, start, end)
    transform = axes.get_yaxis_transform()
    lost = share.loss
    if lost is not None:
        text = percent(lost)
        axes.text(1.015, y, text, transform=transform, va="center", fontsize=frame.small, color=RED if lost else SOFT)
    if not took:
        text = "no sample" if not share.samples else "no answer"
        axes.text(
            0.01, y, text, transform=transform, va="center", fontsize=frame.small, color=RED if share.lost else SOFT
        )
        return
    q = [percentile(took, part) or took[0] for part in (0.05, 0.25, 0.5, 0.75, 0.95)]
    low, high = axes.get_xlim()
    told = f"p50 {seconds(share.p50_s)}, p95 {seconds(share.p95_s)}, max {seconds(share.max_s)}; lost {percent(lost)}"
    hover_area(axes, (low, y - height / 2), high - low, height, f"{line.service}, {name}: {told}")
    axes.plot([q[0], q[4]], [y, y], color=colour, linewidth=1.1, zorder=2, solid_capstyle="butt")
    axes.plot([q[1], q[3]], [y, y], color=colour, linewidth=6, zorder=2, solid_capstyle="butt")
    axes.plot([q[2], q[2]], [y - height * 0.36, y + height * 0.36], color=INK, linewidth=1.6, zorder=3)
    axes.plot(
        [took[-1]],
        [y],
        marker="o",
        markersize=3.6,
        markerfacecolor=PAPER,
        markeredgecolor=colour,
        markeredgewidth=1,
        zorder=3,
    )


def say(view: View) -> tuple[str, str]:
    slower = []
    for row in view.latency:
        if row.before.p50_s and row.during.p50_s and row.during.p50_s > 1.5 * row.before.p50_s:
            slower.append(f"{row.service} {seconds(row.before.p50_s)} to {seconds(row.during.p50_s)}")
    said = (
        f"Median while it lasted: {listing(slower[:5])}."
        if slower
        else "What answered during the outage answered as fast as before."
    )
    end = when(moment(view.window.end)) if view.window and view.window.end is not None else "still lasting"
    start = when(moment(view.window.start)) if view.window else "–"
    return (
        f"Latency of answered probes before, during and after the outage ({start} to {end} UTC). {said}{left_out(view)}",
        f"Distributions of latency before, during and after, per service. {said}{left_out(view)}",
    )


CHART = ChartKind(
    name="distributions", title="Before, during, after", section=Section.LATENCY_DETAILS, draw=draw, say=say
)

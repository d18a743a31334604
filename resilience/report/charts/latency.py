"""Draw how long each service took to answer, one panel a service on one log scale, no spike hidden."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from resilience.core.marks import AMBER, RED
from resilience.core.records import ConnectivityStatus
from resilience.core.words import listing, plural, seconds
from resilience.report.charts.axes import ANSWERED, DOWN, dates, seconds_axis, seconds_range, time_axis
from resilience.report.charts.canvas import BLUE, INK, SOFT, Frame, Sheet, hover_area, short
from resilience.report.charts.chart import ChartKind
from resilience.report.charts.lines import drawn_lines, events_of, left_out, since, threshold
from resilience.report.series import Line, intervals, micros, stats
from resilience.report.view import Section, View
from resilience.report.view.formats import percent

BINS = 360
"""Bins a line is folded into where it has more samples; each keeps its p50, p95 and maximum, so that no spike is lost."""


def draw(view: View, frame: Frame) -> Figure | None:
    """Draw one panel a service, all on the same two axes, so that panels can be compared by eye."""
    lines = drawn_lines(view)
    if not lines:
        return None
    columns = 1 if frame.narrow else (len(lines) if len(lines) <= 3 else 2 if len(lines) == 4 else 3)
    rows = math.ceil(len(lines) / columns)
    events = events_of(view)
    key = [f"{number} {what}" for number, (_, what) in enumerate(events, 1)]
    key_lines = wrapped(key, 62 if frame.narrow else 150)
    left, right, gap_x, gap_y, top = 0.62, 0.30, 0.28, 0.36, 0.30
    panel = 0.92 if frame.narrow else 1.25
    bottom = 0.34 + 0.16 * (len(key_lines) + (3 if frame.narrow else 1)) + 0.12
    sheet = Sheet(frame, top + rows * panel + (rows - 1) * gap_y + bottom)
    width = (frame.width - left - right - (columns - 1) * gap_x) / columns
    low, high = seconds_range(view, lines)
    length = 0.0
    for place, line in enumerate(lines):
        row, column = divmod(place, columns)
        axes = sheet.axes(left + column * (width + gap_x), top + row * (panel + gap_y), width, panel)
        last = place + columns >= len(lines)
        length = time_axis(axes, view, 4 if frame.narrow or columns == 3 else 7, labels=last)
        seconds_axis(axes, low, high, labels=column == 0)
        _panel(axes, view, line, length, frame)
        _event_lines(axes, events, length, width, frame)
    under = sheet.height - bottom + 0.34
    notes = _notes(view, lines)
    for number, text in enumerate([*(notes if frame.narrow else [" ".join(notes)]), *key_lines]):
        sheet.text(left, under + 0.16 * number, text)
    return sheet.figure


def _panel(axes: Any, view: View, line: Line, length: float, frame: Frame) -> None:
    _bands(axes, view, line, length)
    _trace(axes, view, line, length)
    limit = threshold(view, line.service)
    low, high = axes.get_ylim()
    if limit and low <= limit <= high:
        axes.axhline(limit, color=AMBER, linewidth=1.1, linestyle=(0, (5, 2)), zorder=2)
    axes.set_title(short(line.service), loc="left", fontsize=frame.font, color=INK, pad=4, fontweight="bold")
    whole = stats(line)
    told = f"p50 {seconds(whole.p50_s)}, p95 {seconds(whole.p95_s)}" if whole.p50_s is not None else "no answer"
    axes.set_title(told, loc="right", fontsize=frame.small, color=SOFT, pad=4)
    most = f", max {seconds(whole.max_s)}" if whole.max_s is not None else ""
    hover_area(axes, (0, low), length, high - low, f"{line.service}: {told}{most}; lost {percent(whole.loss)}")


def _notes(view: View, lines: Sequence[Line]) -> list[str]:
    dense = any(len(line) > 2 * BINS for line in lines)
    dashed = "; dashed: threshold" if any(threshold(view, line.service) for line in lines) else ""
    return [
        f"UTC, {dates(view)}. Log scale.",
        "Line p50, band to p95, whisker to the maximum." if dense else "Line: answered probes; × failed ones.",
        f"Hatched: no answer; amber: degraded{dashed}.",
    ]


def wrapped(words: Sequence[str], limit: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) + 3 <= limit:
            lines[-1] += f" · {word}"
        else:
            lines.append(word)
    return lines


def _bands(axes: Any, view: View, line: Line, length: float) -> None:
    resolution = int(length * 1e6 / 240)
    for one in intervals(line, until=micros(view.ends_at), resolution=resolution):
        if one.status not in (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED):
            continue
        start, end = since(view, one.start), since(view, one.end)
        end = max(end, start + length / 240)
        if one.status is ConnectivityStatus.UNAVAILABLE:
            axes.axvspan(start, end, facecolor=RED, alpha=0.20, linewidth=0, zorder=0)
            axes.axvspan(start, end, facecolor="none", edgecolor=RED, alpha=0.22, hatch="////", linewidth=0, zorder=0)
        else:
            axes.axvspan(start, end, facecolor=AMBER, alpha=0.30, linewidth=0, zorder=0)


def _trace(axes: Any, view: View, line: Line, length: float) -> None:
    at = (np.frombuffer(line.at, dtype=np.int64) - micros(view.starts_at)) / 1e6
    took = np.frombuffer(line.seconds, dtype=float)
    status = np.frombuffer(line.status, dtype=np.uint8)
    good = np.isin(status, ANSWERED) & np.isfinite(took)
    if len(line) > 2 * BINS:
        _dense(axes, at[good], took[good], length)
        return
    _sparse(axes, at, took, good)
    _failed(axes, at, took, (status == DOWN) & np.isfinite(took) & (took > 0), length)


def _sparse(axes: Any, at: Any, took: Any, good: Any) -> None:
    """Draw each answered probe, the line broken where one failed and where nobody looked; one alone is a point."""
    few = len(at) <= 60
    shown = np.where(good, took, np.nan)
    gaps: Any = np.flatnonzero(np.diff(at) > max(10 * float(np.median(np.diff(at))), 30.0)) + 1 if len(at) > 2 else []
    axes.plot(
        np.insert(at, gaps, np.nan),
        np.insert(shown, gaps, np.nan),
        color=BLUE,
        linewidth=1.4,
        marker="o" if few else None,
        markersize=2.4,
        zorder=3,
    )
    lonely = good & ~np.roll(good, 1) & ~np.roll(good, -1)
    axes.plot(at[lonely], took[lonely], color=BLUE, linestyle="none", marker="o", markersize=2.6, zorder=3)


def _failed(axes: Any, at: Any, took: Any, bad: Any, length: float) -> None:
    """Mark how long failed probes took, as crosses where there are few."""
    if 0 < bad.sum() <= 60:
        axes.plot(at[bad], took[bad], color=RED, linestyle="none", marker="x", markersize=3.2, markeredgewidth=0.9)
    elif bad.any():
        # One path of short strokes: a marker each would be most of the page's bytes.
        half = length / 900
        strokes = np.column_stack([at[bad] - half, at[bad] + half, np.full(bad.sum(), np.nan)]).ravel()
        axes.plot(strokes, np.repeat(took[bad], 3), color=RED, linewidth=1.6, zorder=3)


def _dense(axes: Any, at: Any, took: Any, length: float) -> None:
    """Draw the median, the band up to p95 and each maximum above it of more probes than a line can show."""
    place, p50, p95, high = folded(at, took, length)
    broken = np.full(BINS, np.nan)
    middle, upper = broken.copy(), broken.copy()
    middle[place], upper[place] = p50, p95
    centres = (np.arange(BINS) + 0.5) * length / BINS
    axes.fill_between(centres, middle, upper, color=BLUE, alpha=0.30, linewidth=0, zorder=2)
    axes.plot(centres, middle, color=BLUE, linewidth=1.4, zorder=3)
    spikes = high > p95 * 1.02
    axes.vlines(centres[place][spikes], p95[spikes], high[spikes], color=BLUE, linewidth=0.7, alpha=0.8, zorder=2)
    tall = high > 3 * p95
    axes.plot(centres[place][tall], high[tall], color=BLUE, linestyle="none", marker="o", markersize=2, zorder=3)


def folded(at: Any, took: Any, length: float) -> tuple[Any, Any, Any, Any]:
    """Return, for each of BINS bins that is not empty, its number and the p50, p95 and maximum in it."""
    bins = np.clip((at * BINS / length).astype(int), 0, BINS - 1)
    order = np.lexsort((took, bins))
    bins, took = bins[order], took[order]
    place, first, count = np.unique(bins, return_index=True, return_counts=True)
    p50 = took[first + np.maximum(np.ceil(count * 0.50).astype(int) - 1, 0)]
    p95 = took[first + np.maximum(np.ceil(count * 0.95).astype(int) - 1, 0)]
    return place, p50, p95, took[first + count - 1]


def _event_lines(axes: Any, events: Sequence[tuple[float, str]], length: float, width: float, frame: Frame) -> None:
    """Draw a line an event with its number; numbers that would overlap become a range such as 2–4."""
    edge = length * (1 - 0.30 / width)
    labels: list[tuple[float, str]] = []
    for number, (at, _) in enumerate(events, 1):
        axes.axvline(at, color=INK, linewidth=0.9, linestyle=(0, (1, 1.6)), zorder=2)
        near = labels and at - labels[-1][0] < length * (0.075 * len(labels[-1][1]) + 0.03) / width
        if near or (labels and at > edge and labels[-1][0] > edge - length * 0.25 / width):
            labels[-1] = (labels[-1][0], f"{labels[-1][1].partition('–')[0]}–{number}")
        else:
            labels.append((at, str(number)))
    for at, text in labels:
        left = at < edge
        axes.text(
            at + length * (0.008 if left else -0.008),
            0.965,
            text,
            transform=axes.get_xaxis_transform(),
            fontsize=frame.small - 0.8,
            color=INK,
            va="top",
            ha="left" if left else "right",
            zorder=4,
        )


def say(view: View) -> tuple[str, str]:
    parts = []
    for row in view.latency:
        if row.during.samples and row.during.loss:
            parts.append(f"{row.service} lost {row.during.loss:.0%} of {plural(row.during.samples, 'probe')}")
    worst = f"During the outage {listing(parts[:6])}." if parts else "No probe was lost."
    calm = [row for row in view.latency if not row.during.lost and row.before.p50_s is not None]
    steady = f" {listing([row.service for row in calm[:5]])} answered throughout." if view.window and calm else ""
    rest = left_out(view)
    text = f"How long each service took to answer, by the time of the probe. {worst}{steady}{rest}"
    return text, f"Line charts of latency on a log scale, one panel per service. {worst}{steady}{rest}"


CHART = ChartKind(name="latency", title="Latency by service", section=Section.LATENCY, draw=draw, say=say)

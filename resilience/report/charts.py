"""Turn a view into charts: small multiples on log scales, hatched as well as coloured, each with a sentence and alt text.

Every chart is drawn wide, for desks, print and PNG, and narrow, for phones. Colours are Okabe and Ito's; ink, grid and paper are
colours that stand for CSS variables where the SVG goes into a page. Figures are made without pyplot, ticks are fixed and the
layout is by hand: log minor ticks under a constrained layout cost 2.4 s, these 0.1 s.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from resilience.core.records import ConnectivityStatus, Outcome, StageStatus
from resilience.core.words import listing, plural, seconds
from resilience.report.series import STATUSES, Line, Window, answered, intervals, micros, moment, percentile, stats
from resilience.report.view import Chart, Day, View, event_marks
from resilience.report.view.formats import percent, span, when
from resilience.report.view.latency import PhaseRow
from resilience.report.view.modes import NO_FALLBACK
from resilience.report.view.suites import outcome_name

INK, SOFT, GRID, PAPER, BLUE = "#1b1f24", "#57606a", "#d9dee3", "#ffffff", "#0072b2"
_VARIABLES = {
    INK: "var(--chart-ink)",
    SOFT: "var(--chart-soft)",
    GRID: "var(--chart-grid)",
    PAPER: "var(--chart-bg)",
    BLUE: "var(--chart-line)",
}
GREEN, AMBER, RED, GREY, SKY, PURPLE, YELLOW = (
    "#009e73",
    "#e69f00",
    "#d55e00",
    "#b3b3b3",
    "#56b4e9",
    "#cc79a7",
    "#f0e442",
)
_ANSWERED = [STATUSES.index(one) for one in (ConnectivityStatus.AVAILABLE, ConnectivityStatus.DEGRADED)]
_DOWN = STATUSES.index(ConnectivityStatus.UNAVAILABLE)
_LIGHT, _DARK = "#fefefe", "#16191d"
"""Labels on coloured bars, the same in light and dark."""
STATUS = {
    ConnectivityStatus.AVAILABLE: (GREEN, ""),
    ConnectivityStatus.DEGRADED: (AMBER, "///"),
    ConnectivityStatus.UNAVAILABLE: (RED, "xxx"),
    ConnectivityStatus.UNKNOWN: (GREY, "---"),
}
MODES = {
    "full": ("#0072b3", _LIGHT),
    NO_FALLBACK: ("#d0d7de", _DARK),
    "degraded": (AMBER, _DARK),
    "offline": ("#555555", _LIGHT),
    "critical_only": (PURPLE, _DARK),
}
OUTCOMES = {
    Outcome.PASSED: (GREEN, ""),
    Outcome.FAILED: (RED, "xxx"),
    Outcome.ERROR: ("#a34700", "+++"),
    Outcome.TIMEOUT: (PURPLE, "---"),
    Outcome.INFRASTRUCTURE_UNAVAILABLE: (AMBER, "///"),
    Outcome.STAND_IN_GAP: (YELLOW, "\\\\\\"),
    Outcome.NOT_RUN: ("#8c8c8c", "---"),
    Outcome.SKIPPED: (GREY, ""),
    Outcome.XFAILED: (GREY, "|||"),
    Outcome.XPASSED: (SKY, "|||"),
    Outcome.DESELECTED: ("#dddddd", ""),
}
PHASE = {"dns": PURPLE, "tcp": SKY, "tls": YELLOW, "first byte": "#0072b3", "query": GREEN}
SHOWN = 24
"""Services drawn at most, the unwell ones first."""
BINS = 360
"""Bins a line is folded into where it has more samples; each keeps its p50, p95 and maximum, so that no spike is lost."""
_RC: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: a third of the size, can be searched and read aloud
    "text.parse_math": False,  # a $ in a name is a $
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # the widest of the usual ones: what fits in it fits in the reader's
    "hatch.linewidth": 0.9,
    "axes.formatter.use_mathtext": False,
    "path.simplify": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A chart with the files that stand beside the page."""

    chart: Chart
    svg_file: str
    png: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """The sizes of one drawing. Lengths in inches, fonts in points."""

    narrow: bool

    @property
    def width(self) -> float:
        return 4.1 if self.narrow else 9.6

    @property
    def font(self) -> float:
        return 8.6 if self.narrow else 8.8

    @property
    def small(self) -> float:
        return self.font - 1.0


Painter = Callable[[View, Frame], "Figure | None"]


def draw(name: str, view: View) -> Drawn | None:
    """Return the chart of this name, or None where there is nothing to draw."""
    painter, title, say = _PAINTERS[name]
    style: Any = {**_RC, "svg.hashsalt": name}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks is drawn as a box, which is no reason to fail
        wide = painter(view, Frame(narrow=False))
        if wide is None:
            return None
        svg = _svg(wide)
        png = _png(wide)
        narrow = painter(view, Frame(narrow=True))
        small = _svg(narrow) if narrow is not None else ""
    sentence, alt = say(view)
    chart = Chart(
        name=name,
        title=title,
        sentence=sentence,
        alt=alt,
        svg=_inline(svg, name),
        svg_narrow=_inline(small, f"{name}-n") if small else "",
    )
    return Drawn(chart=chart, svg_file=svg, png=png)


def _svg(figure: Figure) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    FigureCanvasSVG(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", out.getvalue(), flags=re.DOTALL)
    # A hundredth of a point is finer than any screen; six digits make the page three times as large.
    return re.sub(r"(\d\.\d\d)\d+", r"\1", svg)


def _png(figure: Figure) -> bytes:
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    figure.set_dpi(160)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    out = io.BytesIO()
    image.quantize(colors=96, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        out, "PNG", optimize=True, dpi=(160, 160)
    )
    return out.getvalue()


def _inline(svg: str, prefix: str) -> str:
    """Return the drawing for a page: its ids its own, its ink and paper the page's."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-").replace('href="#', f'href="#{prefix}-')
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return re.sub(r"\n\s*", "\n", svg)


def _figure(frame: Frame, height: float) -> Figure:
    return Figure(figsize=(frame.width, height), dpi=100, facecolor=PAPER)


class Sheet:
    """A figure laid out in inches from the top left, as one reads."""

    def __init__(self, frame: Frame, height: float) -> None:
        self.frame, self.height = frame, height
        self.figure = _figure(frame, height)

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        axes = self.figure.add_axes(
            (left / self.frame.width, 1 - (top + height) / self.height, width / self.frame.width, height / self.height)
        )
        axes.set_facecolor("none")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(INK)
            axes.spines[side].set_linewidth(0.8)
        axes.tick_params(colors=INK, labelsize=self.frame.small, width=0.8, length=3, which="major")
        axes.tick_params(which="minor", length=0)
        return axes

    def text(self, left: float, top: float, text: str, **style: Any) -> None:
        style = {"fontsize": self.frame.small, "color": SOFT, "va": "top", "ha": "left", **style}
        self.figure.text(left / self.frame.width, 1 - top / self.height, text, **style)


_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


def _ticks(start: datetime, end: datetime, most: int) -> tuple[list[float], list[str]]:
    """Return round moments between the two as seconds since start, with their UTC labels; at most `most`."""
    length = max((end - start).total_seconds(), 0.001)
    step = next((one for one in _STEPS if length / one <= most), 86_400 * math.ceil(length / 86_400 / most))
    begin = start.timestamp()
    first = math.ceil(begin / step - 1e-9) * step
    moments = [first + number * step for number in range(most + 2) if first + number * step <= begin + length + 1e-6]
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86_400 else "%d %b"
    labels = [datetime.fromtimestamp(round(at, 3), UTC).strftime(form) for at in moments]
    if step < 1:
        labels = [
            f"{datetime.fromtimestamp(round(at, 3), UTC):%H:%M:%S}.{int(round(at % 1, 3) * 10)}" for at in moments
        ]
    elif length > 86_400 and step < 86_400:
        labels = [datetime.fromtimestamp(at, UTC).strftime("%d %b %H:%M" if most < 5 else "%d %H:%M") for at in moments]
    return [at - begin for at in moments], labels


def _time_axis(axes: Any, view: View, most: int, *, labels: bool = True) -> float:
    length = max((view.ends_at - view.starts_at).total_seconds(), 0.001)
    places, texts = _ticks(view.starts_at, view.ends_at, most)
    axes.set_xlim(0, length)
    axes.set_xticks(places, texts if labels else [""] * len(places))
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    return length


def _seconds_axis(axes: Any, low: float, high: float, *, which: str = "y", labels: bool = True, every: int = 1) -> None:
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    places = [10.0**n for n in range(first, last + 1)]
    texts = [_unit(place) if number % every == 0 else "" for number, place in enumerate(places)]
    if which == "y":
        axes.set_yscale("log")
        axes.set_ylim(places[0], places[-1])
        axes.set_yticks(places, texts if labels else [""] * len(places))
        axes.minorticks_off()
    else:
        axes.set_xscale("log")
        axes.set_xlim(places[0], places[-1])
        axes.set_xticks(places, texts if labels else [""] * len(places))
        axes.minorticks_off()
    axes.grid(axis=which, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)


def _unit(value: float) -> str:
    if value >= 1:
        return f"{value:g} s"
    return f"{value * 1e3:g} ms" if value >= 1e-3 else f"{value * 1e6:g} µs"


def _lines(view: View) -> list[Line]:
    lines = [line for line in view.columns.staging() if len(line)]
    if len(lines) > SHOWN:
        lines.sort(key=lambda line: -line.status.count(_DOWN))
        lines = lines[:SHOWN]
    order = {row.first.name: place for place, row in enumerate(view.services)}
    return sorted(lines, key=lambda line: order.get(line.service, 99))


def _since(view: View, at: int) -> float:
    return (at - micros(view.starts_at)) / 1e6


def _short(name: str, limit: int = 22) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


def _events(view: View) -> list[tuple[float, str]]:
    """Return the events that get a line: seconds since start, and what happened."""
    return [((one.at - view.starts_at).total_seconds(), one.what) for one in event_marks(view)]


def _threshold(view: View, service: str) -> float | None:
    result = view.incident.health.result(service) if view.incident.health else None
    return getattr(result, "degraded_above_s", None) if result is not None else None


def _latency(view: View, frame: Frame) -> Figure | None:
    lines = _lines(view)
    if not lines:
        return None
    columns = 1 if frame.narrow else (len(lines) if len(lines) <= 3 else 2 if len(lines) == 4 else 3)
    rows = math.ceil(len(lines) / columns)
    events = _events(view)
    key = [f"{number} {what}" for number, (_, what) in enumerate(events, 1)]
    key_lines = _wrapped(key, 62 if frame.narrow else 150)
    left, right, gap_x, gap_y, top = 0.62, 0.30, 0.28, 0.36, 0.30
    panel = 0.92 if frame.narrow else 1.25
    bottom = 0.34 + 0.16 * (len(key_lines) + (3 if frame.narrow else 1)) + 0.12
    sheet = Sheet(frame, top + rows * panel + (rows - 1) * gap_y + bottom)
    width = (frame.width - left - right - (columns - 1) * gap_x) / columns
    low, high = _bounds(view, lines)
    length = 0.0
    for place, line in enumerate(lines):
        row, column = divmod(place, columns)
        axes = sheet.axes(left + column * (width + gap_x), top + row * (panel + gap_y), width, panel)
        last = place + columns >= len(lines)
        length = _time_axis(axes, view, 4 if frame.narrow or columns == 3 else 7, labels=last)
        _seconds_axis(axes, low, high, labels=column == 0)
        _bands(axes, view, line, length, frame)
        _trace(axes, view, line, length)
        limit = _threshold(view, line.service)
        if limit and low <= limit <= high:
            axes.axhline(limit, color=AMBER, linewidth=1.1, linestyle=(0, (5, 2)), zorder=2)
        _event_lines(axes, events, length, width, frame)
        axes.set_title(_short(line.service), loc="left", fontsize=frame.font, color=INK, pad=4, fontweight="bold")
        whole = stats(line)
        told = f"p50 {seconds(whole.p50_s)}, p95 {seconds(whole.p95_s)}" if whole.p50_s is not None else "no answer"
        axes.set_title(told, loc="right", fontsize=frame.small, color=SOFT, pad=4)
    under = sheet.height - bottom + 0.34
    notes = [f"UTC, {_dates(view)}. Log scale."]
    dense = any(len(line) > 2 * BINS for line in lines)
    notes.append("Line p50, band to p95, whisker to the maximum." if dense else "Line: answered probes; × failed ones.")
    notes.append(
        "Hatched: no answer; amber: degraded; dashed: threshold."
        if _any_threshold(view)
        else "Hatched: no answer; amber: degraded."
    )
    for number, text in enumerate([*(notes if frame.narrow else [" ".join(notes)]), *key_lines]):
        sheet.text(left, under + 0.16 * number, text)
    return sheet.figure


def _any_threshold(view: View) -> bool:
    return any(_threshold(view, line.service) for line in _lines(view))


def _dates(view: View) -> str:
    first, last = view.starts_at.astimezone(UTC), view.ends_at.astimezone(UTC)
    return f"{first:%Y-%m-%d}" if first.date() == last.date() else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _wrapped(words: Sequence[str], limit: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) + 3 <= limit:
            lines[-1] += f" · {word}"
        else:
            lines.append(word)
    return lines


def _bounds(view: View, lines: Sequence[Line]) -> tuple[float, float]:
    values = [limit for line in lines if (limit := _threshold(view, line.service))]
    for line in lines:
        took = np.frombuffer(line.seconds, dtype=float)
        known = np.isin(np.frombuffer(line.status, dtype=np.uint8), [*_ANSWERED, _DOWN])
        took = took[known & np.isfinite(took) & (took > 0)]
        if took.size:
            values += [float(took.min()), float(took.max())]
    low, high = min(values, default=0.001), max(values, default=1.0)
    low, high = 10.0 ** math.floor(math.log10(low * 0.9)), 10.0 ** math.ceil(math.log10(high * 1.05))
    return max(low, 1e-6), max(high, low * 100)


def _bands(axes: Any, view: View, line: Line, length: float, frame: Frame) -> None:
    resolution = int(length * 1e6 / 240)
    for one in intervals(line, until=micros(view.ends_at), resolution=resolution):
        if one.status not in (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED):
            continue
        start, end = _since(view, one.start), _since(view, one.end)
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
    good = np.isin(status, _ANSWERED) & np.isfinite(took)
    if len(line) <= 2 * BINS:
        shown = np.where(good, took, np.nan)
        few = len(line) <= 60
        gaps: Any = (
            np.flatnonzero(np.diff(at) > max(10 * float(np.median(np.diff(at))), 30.0)) + 1 if len(line) > 2 else []
        )
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
        bad = (status == _DOWN) & np.isfinite(took) & (took > 0)
        if 0 < bad.sum() <= 60:
            axes.plot(at[bad], took[bad], color=RED, linestyle="none", marker="x", markersize=3.2, markeredgewidth=0.9)
        elif bad.any():
            # One path of short strokes: a marker each would be most of the page's bytes.
            half = length / 900
            strokes = np.column_stack([at[bad] - half, at[bad] + half, np.full(bad.sum(), np.nan)]).ravel()
            axes.plot(strokes, np.repeat(took[bad], 3), color=RED, linewidth=1.6, zorder=3)
        return
    place, p50, p95, high = folded(at[good], took[good], length)
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
    """Give, for each of BINS bins that is not empty, its number and the p50, p95 and maximum in it."""
    bins = np.clip((at * BINS / length).astype(int), 0, BINS - 1)
    order = np.lexsort((took, bins))
    bins, took = bins[order], took[order]
    place, first, count = np.unique(bins, return_index=True, return_counts=True)
    p50 = took[first + np.maximum(np.ceil(count * 0.50).astype(int) - 1, 0)]
    p95 = took[first + np.maximum(np.ceil(count * 0.95).astype(int) - 1, 0)]
    return place, p50, p95, took[first + count - 1]


def _event_lines(axes: Any, events: Sequence[tuple[float, str]], length: float, width: float, frame: Frame) -> None:
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


def _say_latency(view: View) -> tuple[str, str]:
    parts = []
    for row in view.latency:
        if row.during.samples and row.during.loss:
            parts.append(f"{row.service} lost {row.during.loss:.0%} of {plural(row.during.samples, 'probe')}")
    worst = f"During the outage {listing(parts[:6])}." if parts else "No probe was lost."
    calm = [row for row in view.latency if not row.during.lost and row.before.p50_s is not None]
    steady = f" {listing([row.service for row in calm[:5]])} answered throughout." if view.window and calm else ""
    text = f"How long each service took to answer, by the time of the probe. {worst}{steady}"
    return text, f"Line charts of latency on a log scale, one panel per service. {worst}{steady}"


def _status(view: View, frame: Frame) -> Figure | None:
    lines = _lines(view)
    if not lines:
        return None
    left = 0.08 + 0.077 * max(len(_short(line.service, 16)) for line in lines) * (frame.font / 8.8)
    left = max(left, 0.55)
    right = 0.78 if frame.narrow else 1.0
    row, top, mode = 0.34, 0.42 if not frame.narrow else 0.60, 0.34 if view.modes else 0.0
    bottom = 0.52
    sheet = Sheet(frame, top + mode + row * len(lines) + bottom)
    width = frame.width - left - right
    length = max((view.ends_at - view.starts_at).total_seconds(), 0.001)
    if view.modes:
        _mode_band(sheet, view, left, top, width, length)
    axes = sheet.axes(left, top + mode, width, row * len(lines))
    _time_axis(axes, view, 4 if frame.narrow else 9)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_yticks(range(len(lines)), [_short(line.service, 16) for line in lines], fontsize=frame.font)
    axes.tick_params(axis="y", length=0)
    seen = []
    for place, line in enumerate(lines):
        stretches = intervals(line, until=micros(view.ends_at), resolution=int(length * 1e6 / 300))
        for one in stretches:
            colour, hatch = STATUS.get(one.status, (GREY, ""))
            seen.append(one.status)
            start, end = _since(view, one.start), _since(view, one.end)
            wide = max(end - start, length / 300)
            axes.add_patch(
                Rectangle(
                    (start, place - 0.36), wide, 0.72, facecolor=colour, hatch=hatch, edgecolor=PAPER, linewidth=0
                )
            )
        down = _down_s(line)
        axes.text(
            length * 1.012,
            place,
            f"{_brief(down)} bad" if down else "0",
            fontsize=frame.small,
            color=RED if down else SOFT,
            va="center",
            clip_on=False,
        )
    _legend(sheet, [status for status in STATUS if status in seen], left, top)
    sheet.text(left + width, sheet.height - 0.20, f"UTC, {_dates(view)}", ha="right")
    return sheet.figure


def _down_s(line: Line) -> float:
    bad = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED)
    return sum(one.end - one.start for one in intervals(line) if one.status in bad) / 1e6


def _brief(total: float) -> str:
    return f"{total:.0f} s" if total < 120 else f"{total / 60:.0f} min" if total < 7200 else f"{total / 3600:.1f} h"


def _mode_band(sheet: Sheet, view: View, left: float, top: float, width: float, length: float) -> None:
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
        colour, ink = MODES.get(one.mode, (GREY, _DARK))
        axes.add_patch(Rectangle((start, 0), wide, 1, facecolor=colour, edgecolor=PAPER, linewidth=1.2))
        name = one.mode.replace("_", " ")
        if wide / length * width > 0.075 * len(name) + 0.04:
            axes.text(start + wide / 2, 0.47, name, ha="center", va="center", fontsize=sheet.frame.small, color=ink)


def _legend(sheet: Sheet, statuses: Sequence[ConnectivityStatus], left: float, top: float) -> None:
    axes = sheet.axes(0, 0, sheet.frame.width, top)
    axes.set_axis_off()
    axes.set_xlim(0, sheet.frame.width)
    axes.set_ylim(top, 0)
    at, line = left, 0.13
    for status in statuses:
        colour, hatch = STATUS[status]
        name = status.value
        size = 0.30 + 0.066 * len(name) + 0.16
        if at + size > sheet.frame.width and at > left:
            at, line = left, line + 0.2
        axes.add_patch(
            Rectangle((at, line - 0.055), 0.24, 0.12, facecolor=colour, hatch=hatch, edgecolor=PAPER, linewidth=0)
        )
        axes.text(at + 0.30, line, name, fontsize=sheet.frame.small, color=INK, va="center")
        at += size


def _say_status(view: View) -> tuple[str, str]:
    worst = sorted(((_down_s(line), line.service) for line in _lines(view)), reverse=True)
    bad = [f"{name} {span(total)}" for total, name in worst if total]
    said = f"Unavailable or degraded: {listing(bad[:8])}." if bad else "No service was unavailable or degraded."
    modes = [one.mode for one in view.modes if one.mode not in ("full", NO_FALLBACK)]
    how = f" Tests ran in mode {listing(list(dict.fromkeys(modes)))} where the upper band says so." if modes else ""
    text = f"Each service of {view.incident.environment} from first to last sample; a gap is where nobody looked. {said}{how}"
    return text, f"Status timeline, one bar per service. {said}{how}"


def _tests(view: View, frame: Frame) -> Figure | None:
    suite = next(iter(view.suites), None)
    if suite is None or not suite.totals:
        return None
    totals = [(Outcome(name), count) for name, count in suite.totals]
    by_service = _by_service(view)
    row = 0.29
    left = 1.86
    top = 0.34
    first = row * len(totals)
    second = row * len(by_service)
    if frame.narrow:
        height = top + first + 0.12 + (0.5 + second + 0.3 if by_service else 0)
        spots = [
            (left, top, frame.width - left - 0.55, first),
            (left, top + first + 0.68, frame.width - left - 0.55, second),
        ]
    else:
        height = top + max(first, second) + 0.12
        wide = (frame.width - left - 0.6) if not by_service else 2.75
        spots = [
            (left, top, wide, first),
            (left + 2.75 + 0.6 + 1.25, top, frame.width - left - 2.75 - 0.6 - 1.25 - 0.55, second),
        ]
    sheet = Sheet(frame, height)
    axes = sheet.axes(*spots[0])
    most = max(count for _, count in totals)
    _bars(
        axes,
        [outcome_name(name.value) for name, _ in totals],
        [[(name, count)] for name, count in totals],
        most,
        frame,
    )
    axes.set_title("tests by outcome", loc="left", fontsize=frame.font, fontweight="bold", color=INK, pad=5)
    if by_service:
        axes = sheet.axes(*spots[1])
        most = max(sum(count for _, count in parts) for _, parts in by_service)
        _bars(axes, [_short(name, 16) for name, _ in by_service], [parts for _, parts in by_service], most, frame)
        axes.set_title(
            "not plainly passed, by service", loc="left", fontsize=frame.font, fontweight="bold", color=INK, pad=5
        )
    return sheet.figure


def _by_service(view: View) -> list[tuple[str, list[tuple[Outcome, int]]]]:
    """Give, per service, the tests that it took or that failed beside it; the product's without a service come last."""
    table: dict[str, dict[Outcome, int]] = {}
    plain = (Outcome.SKIPPED, Outcome.XFAILED, Outcome.DESELECTED)
    for test in view.suites[0].result.tests:
        if test.outcome in plain or (test.outcome is Outcome.PASSED and not (test.service and test.rounds > 1)):
            continue
        row = table.setdefault(test.service or "no service", {})
        row[test.outcome] = row.get(test.outcome, 0) + 1
    if set(table) == {"no service"}:
        return []
    rows = sorted(table.items(), key=lambda item: (item[0] == "no service", -sum(item[1].values())))[:10]
    return [(name, [(one, row[one]) for one in OUTCOMES if one in row]) for name, row in rows]


def _bars(
    axes: Any, names: Sequence[str], rows: Sequence[Sequence[tuple[Outcome, int]]], most: int, frame: Frame
) -> None:
    axes.set_xlim(0, most * 1.001)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), names, fontsize=frame.font)
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    for place, parts in enumerate(rows):
        at = 0.0
        for outcome, count in parts:
            colour, hatch = OUTCOMES[outcome]
            wide = max(count, most * 0.006)
            axes.add_patch(
                Rectangle((at, place - 0.34), wide, 0.68, facecolor=colour, hatch=hatch, edgecolor=PAPER, linewidth=0.6)
            )
            at += wide
        total = sum(count for _, count in parts)
        axes.text(at + most * 0.02, place, f"{total:,}", va="center", fontsize=frame.small, color=INK, clip_on=False)


def _say_tests(view: View) -> tuple[str, str]:
    suite = view.suites[0]
    counts = listing([f"{count:,} {outcome_name(name)}" for name, count in suite.totals])
    product = suite.result.totals.failed + suite.result.totals.error
    lost = suite.result.totals.infrastructure_unavailable
    lost_text = f"nothing is known about {plural(lost, 'test')} that infrastructure took"
    text = f"{counts}. {plural(product, 'failure')} of the product; {lost_text}."
    if _by_service(view):
        text += " The right side (on phones the lower one) uses the same colours and hatches."
    return text, f"Bar charts of tests by outcome and by service: {counts}."


def _phases(view: View, frame: Frame) -> Figure | None:
    rows = [row for row in view.phases if row.total_s > 0][: 2 * SHOWN]
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
    for service in services:
        own = sorted((row for row in rows if row.service == service), key=lambda row: row.which != "median")
        for number, row in enumerate(own):
            middle = at + height / 2
            axes.text(
                -0.015,
                middle,
                row.which,
                ha="right",
                va="center",
                fontsize=frame.small,
                color=RED if row.which == "failed" else SOFT,
                clip_on=False,
            )
            if number == 0:
                axes.text(
                    -left / (frame.width - left - right) + 0.02,
                    middle,
                    _short(service, 13),
                    ha="left",
                    va="center",
                    fontsize=frame.font,
                    color=INK,
                    fontweight="bold",
                    clip_on=False,
                )
            used += _phase_bar(axes, row, at, height, frame, frame.width - left - right)
            axes.text(1.015, middle, seconds(row.total_s), va="center", fontsize=frame.small, color=INK, clip_on=False)
            at += height
        at += gap
    _phase_legend(sheet, list(dict.fromkeys(used)), left, frame)
    sheet.text(
        0.12 if frame.narrow else left, sheet.height - 0.19, "share of the probe's time; at the right its length"
    )
    return sheet.figure


def _phase_bar(axes: Any, row: PhaseRow, at: float, height: float, frame: Frame, width: float) -> list[str]:
    parts = list(row.parts)
    bad = row.status is ConnectivityStatus.UNAVAILABLE
    if row.rest_s > row.total_s * 0.001:
        parts.append(("no answer" if bad else "other", row.rest_s))
    total = sum(value for _, value in parts) or 1.0
    start = 0.0
    for name, value in parts:
        wide = value / total
        colour, hatch = (RED, "xxx") if name == "no answer" else (PHASE.get(name, GREY), "")
        axes.add_patch(
            Rectangle(
                (start, at + 0.025), wide, height - 0.05, facecolor=colour, hatch=hatch, edgecolor=PAPER, linewidth=0.6
            )
        )
        text = f"{name} {seconds(value)}"
        if not hatch and wide * width > 0.066 * len(text) + 0.05:
            ink = _LIGHT if name in ("first byte", "query") else _DARK
            axes.text(
                start + wide / 2, at + height / 2, text, ha="center", va="center", fontsize=frame.small - 1, color=ink
            )
        start += wide
    return [name for name, _ in parts]


def _phase_legend(sheet: Sheet, names: Sequence[str], left: float, frame: Frame) -> None:
    axes = sheet.axes(0, 0, frame.width, 0.60 if frame.narrow else 0.38)
    axes.set_axis_off()
    axes.set_xlim(0, frame.width)
    axes.set_ylim(0.60 if frame.narrow else 0.38, 0)
    begin = 0.12 if frame.narrow else left
    at, line = begin, 0.13
    for name in [*PHASE, "other", "no answer"]:
        if name not in names:
            continue
        colour, hatch = (RED, "xxx") if name == "no answer" else (PHASE.get(name, GREY), "")
        size = 0.30 + 0.066 * len(name) + 0.16
        if at + size > frame.width:
            at, line = begin, line + 0.2
        axes.add_patch(
            Rectangle((at, line - 0.055), 0.24, 0.12, facecolor=colour, hatch=hatch, edgecolor=PAPER, linewidth=0)
        )
        axes.text(at + 0.30, line, name, fontsize=frame.small, color=INK, va="center")
        at += size


def _say_phases(view: View) -> tuple[str, str]:
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


def _distributions(view: View, frame: Frame) -> Figure | None:
    lines = _lines(view)
    if not lines or view.window is None:
        return None
    names = [name for name, _, _ in _windows(view.window)]
    left, right, top = (1.72 if frame.narrow else 1.9), 0.85, 0.10
    height, gap = 0.20, 0.14
    body = len(lines) * (len(names) * height + gap)
    sheet = Sheet(frame, top + body + (0.86 if frame.narrow else 0.54))
    axes = sheet.axes(left, top, frame.width - left - right, body)
    low, high = _bounds(view, lines)
    _seconds_axis(axes, low, high, which="x", every=2 if frame.narrow else 1)
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
                axes.text(
                    shift + 0.02,
                    middle,
                    _short(line.service, 14),
                    transform=transform,
                    ha="left",
                    va="center",
                    fontsize=frame.font,
                    fontweight="bold",
                    color=INK,
                )
            _box(axes, line, start, end, middle, height, colours[name], frame)
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
    axes: Any, line: Line, start: int | None, end: int | None, y: float, height: float, colour: str, frame: Frame
) -> None:
    from bisect import bisect_left

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


def _say_distributions(view: View) -> tuple[str, str]:
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
        f"Latency of answered probes before, during and after the outage ({start} to {end} UTC). {said}",
        f"Distributions of latency before, during and after, per service. {said}",
    )


_STAGE = {
    StageStatus.FINISHED: (GREEN, ""),
    StageStatus.DONE_BY_HAND: (SKY, ""),
    StageStatus.STARTED: (SKY, "---"),
    StageStatus.SKIPPED: (GREY, ""),
}


def _stages(view: View, frame: Frame) -> Figure | None:
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
    step = next(
        (
            s
            for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
            if length / s <= (4 if frame.narrow else 8)
        ),
        length / 4,
    )
    places = [n * step for n in range(int(length / step) + 1)]
    unit, label = (
        (60, "minutes since the first stage began") if step >= 60 else (1, "seconds since the first stage began")
    )
    axes.set_xticks(places, [f"{place / unit:g}" for place in places])
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_yticks(range(len(stages)), [stage.name.value.replace("_", " ") for stage in stages], fontsize=frame.font)
    axes.tick_params(axis="y", length=0)
    for place, stage in enumerate(stages):
        begin = (stage.started_at - start).total_seconds()
        wide = ((stage.finished_at or stage.started_at) - stage.started_at).total_seconds()
        colour, hatch = _STAGE.get(stage.status, (RED, "xxx"))
        axes.add_patch(
            Rectangle(
                (begin, place - 0.33),
                max(wide, length / 400),
                0.66,
                facecolor=colour,
                hatch=hatch,
                edgecolor=PAPER,
                linewidth=0,
            )
        )
        text = span(wide) + (
            "" if stage.status is StageStatus.FINISHED else f", {stage.status.value.replace('_', ' ')}"
        )
        axes.text(
            begin + max(wide, length / 400) + length * 0.012,
            place,
            text,
            va="center",
            fontsize=frame.small,
            color=INK,
            clip_on=False,
        )
    sheet.text(left, sheet.height - 0.20, label)
    return sheet.figure


def _say_stages(view: View) -> tuple[str, str]:
    done = [(stage, (stage.finished_at - stage.started_at)) for stage in view.incident.stages if stage.finished_at]
    longest = max(done, key=lambda item: item[1], default=None)
    whole = sum((took for _, took in done), timedelta(0))
    if longest is None:
        return "No stage has ended yet.", "No stage has ended yet."
    name = longest[0].name.value.replace("_", " ")
    text = f"The stages of this run took {span(whole)}; the longest was {name} with {span(longest[1])}."
    return text, f"Waterfall of the runbook's stages. {text}"


def _history(view: View, frame: Frame) -> Figure | None:
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
    took = [day.p95_s for day in view.days if day.p95_s]
    low, high = (
        (10.0 ** math.floor(math.log10(min(took))), 10.0 ** math.ceil(math.log10(max(took) * 1.02)))
        if took
        else (0.001, 1.0)
    )
    every = math.ceil(len(days) / (2 if frame.narrow else 7))
    for place, service in enumerate(services):
        own = [table.get((service, day)) for day in days]
        y = top + place * (row + gap)
        last = place == len(services) - 1
        first = sheet.axes(left, y, width, row)
        second = sheet.axes(left + width + between, y, width, row)
        for axes in (first, second):
            axes.set_xlim(-0.6, len(days) - 0.4)
            places = list(range(0, len(days), every))
            axes.set_xticks(places, [days[n][5:] for n in places] if last else [""] * len(places))
        first.set_ylim(0, 1.0)
        first.set_yticks([0, 1], ["0", "100 %"])
        for number, day in enumerate(own):
            if day is not None:
                colour, hatch = (
                    (GREEN, "")
                    if day.availability >= 0.999
                    else (AMBER, "///")
                    if day.availability >= 0.95
                    else (RED, "xxx")
                )
                first.add_patch(
                    Rectangle(
                        (number - 0.4, 0),
                        0.8,
                        max(day.availability, 0.02),
                        facecolor=colour,
                        hatch=hatch,
                        edgecolor=PAPER,
                        linewidth=0,
                    )
                )
        p95 = [day.p95_s if day and day.p95_s else math.nan for day in own]
        _seconds_axis(second, low, max(high, low * 10))
        ticks = [low, max(high, low * 10)]
        second.set_yticks(ticks, [_unit(tick) for tick in ticks])
        second.plot(range(len(days)), p95, color=BLUE, linewidth=1.3, marker="o", markersize=2.4)
        sheet.text(
            0.08, y + row / 2, _short(service, 13), fontsize=frame.font, fontweight="bold", color=INK, va="center"
        )
    sheet.text(left, 0.10, "answered, by day", fontweight="bold", color=INK)
    sheet.text(left + width + between, 0.10, "p95, by day (log)", fontweight="bold", color=INK)
    return sheet.figure


def _say_history(view: View) -> tuple[str, str]:
    days = sorted({day.day for day in view.days})
    low = min(view.days, key=lambda day: day.availability, default=None)
    said = ""
    if low is not None:
        said = f" The lowest was {low.service} on {low.day}: {low.availability:.0%} of {plural(low.samples, 'probe')} answered."
        if low.availability == 1:
            said = " Every probe was answered."
    text = f"Share of probes answered and their p95, per service and day, over {plural(len(days), 'day')} of recorded runs.{said}"
    return text, f"Bars of availability and lines of p95 by day. {said.strip()}"


_PAINTERS: dict[str, tuple[Painter, str, Callable[[View], tuple[str, str]]]] = {
    "status": (_status, "Status by service", _say_status),
    "latency": (_latency, "Latency by service", _say_latency),
    "tests": (_tests, "Tests by outcome", _say_tests),
    "stages": (_stages, "Stages of the runbook", _say_stages),
    "distributions": (_distributions, "Before, during, after", _say_distributions),
    "phases": (_phases, "Phases of a probe", _say_phases),
    "history": (_history, "History of runs", _say_history),
}
CHARTS = tuple(_PAINTERS)

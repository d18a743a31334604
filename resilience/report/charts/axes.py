"""Give a chart its axes: a few round moments of time, and seconds on a log scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from resilience.core.records import ConnectivityStatus
from resilience.report.charts.canvas import GRID
from resilience.report.charts.lines import threshold
from resilience.report.series import STATUSES, Line
from resilience.report.view import View

STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


def ticks(start: datetime, end: datetime, most: int) -> tuple[list[float], list[str]]:
    """Return round moments between the two as seconds since start, with their UTC labels; at most `most`."""
    length = max((end - start).total_seconds(), 0.001)
    step = next((one for one in STEPS if length / one <= most), 86_400 * math.ceil(length / 86_400 / most))
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


def time_axis(axes: Any, view: View, most: int, *, labels: bool = True) -> float:
    """Put round moments on the horizontal axis, at most `most`; return how many seconds it is long."""
    length = max((view.ends_at - view.starts_at).total_seconds(), 0.001)
    places, texts = ticks(view.starts_at, view.ends_at, most)
    axes.set_xlim(0, length)
    axes.set_xticks(places, texts if labels else [""] * len(places))
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    return length


def seconds_axis(axes: Any, low: float, high: float, *, which: str = "y", labels: bool = True, every: int = 1) -> None:
    """Make an axis logarithmic in seconds, from power of ten to power of ten, with every `every`-th of them labelled.

    Ticks are fixed by hand: matplotlib's own minor ticks of a log axis cost 2.4 s under a constrained layout
    (measured).
    """
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    places = [10.0**n for n in range(first, last + 1)]
    texts = [unit(place) if number % every == 0 else "" for number, place in enumerate(places)]
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


def unit(value: float) -> str:
    if value >= 1:
        return f"{value:g} s"
    return f"{value * 1e3:g} ms" if value >= 1e-3 else f"{value * 1e6:g} µs"


ANSWERED = [STATUSES.index(one) for one in (ConnectivityStatus.AVAILABLE, ConnectivityStatus.DEGRADED)]
DOWN = STATUSES.index(ConnectivityStatus.UNAVAILABLE)


def seconds_range(view: View, lines: Sequence[Line]) -> tuple[float, float]:
    """Return the powers of ten around all that is drawn, thresholds included, at least two decades apart."""
    values = [limit for line in lines if (limit := threshold(view, line.service))]
    for line in lines:
        took = np.frombuffer(line.seconds, dtype=float)
        known = np.isin(np.frombuffer(line.status, dtype=np.uint8), [*ANSWERED, DOWN])
        took = took[known & np.isfinite(took) & (took > 0)]
        if took.size:
            values += [float(took.min()), float(took.max())]
    low, high = min(values, default=0.001), max(values, default=1.0)
    low, high = 10.0 ** math.floor(math.log10(low * 0.9)), 10.0 ** math.ceil(math.log10(high * 1.05))
    return max(low, 1e-6), max(high, low * 100)


def dates(view: View) -> str:
    first, last = view.starts_at.astimezone(UTC), view.ends_at.astimezone(UTC)
    return f"{first:%Y-%m-%d}" if first.date() == last.date() else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"

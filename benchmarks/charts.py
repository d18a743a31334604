"""What the charts of a report cost beside bare matplotlib figures of the same data: `python benchmarks/charts.py [ROUNDS]`.

Ours are the charts of a report as it makes them. The bare ones are what a person would write by hand: for each chart a figure with
the same bars, lines and names, saved as often and in the same formats (wide and narrow as SVG, wide as PNG), without legends,
notes, values on hover and sentences. The ratio is of CPU time, both in one process in turn.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from resilience.core.marks import OUTCOMES, STATUSES
from resilience.core.records import Outcome
from resilience.report import charts
from resilience.report.charts.files import RC
from resilience.report.charts.lines import drawn_lines
from resilience.report.charts.tests import _by_service
from resilience.report.series import Columns, answered, intervals, micros
from resilience.report.view import Day, View, build
from tests.kits import incident_factory as factory
from tests.kits.big_incident import big

LIMIT = 1.5


def status(view: View, figure: Figure) -> None:
    axes = figure.add_subplot()
    lines = drawn_lines(view)
    for place, line in enumerate(lines):
        for one in intervals(line, until=micros(view.ends_at)):
            mark = STATUSES[one.status]
            axes.barh(place, one.end - one.start, left=one.start, color=mark.fill, hatch=mark.hatch)
    axes.set_yticks(range(len(lines)), [line.service for line in lines])


def outcomes(view: View, figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    for place, (name, count) in enumerate(view.suites[0].totals):
        mark = OUTCOMES[Outcome(name)]
        left.barh(place, count, color=mark.fill, hatch=mark.hatch)
        left.text(count, place, str(count))
    left.set_yticks(range(len(view.suites[0].totals)), [name for name, _ in view.suites[0].totals])
    rows = _by_service(view)
    for place, (_, parts) in enumerate(rows):
        at = 0
        for outcome, count in parts:
            right.barh(place, count, left=at, color=OUTCOMES[outcome].fill, hatch=OUTCOMES[outcome].hatch)
            at += count
    right.set_yticks(range(len(rows)), [name for name, _ in rows])


def stages(view: View, figure: Figure) -> None:
    axes = figure.add_subplot()
    found = [stage for stage in view.incident.stages if stage.finished_at]
    for place, stage in enumerate(found):
        took = (stage.finished_at or stage.started_at) - stage.started_at
        axes.barh(place, took.total_seconds(), left=stage.started_at.timestamp())
        axes.text(stage.started_at.timestamp(), place, f"{took.total_seconds():.1f} s")
    axes.set_yticks(range(len(found)), [stage.name.value for stage in found])


def latency(view: View, figure: Figure) -> None:
    lines = drawn_lines(view)
    for axes, line in zip(np.atleast_1d(figure.subplots(-(-len(lines) // 3), 3)).ravel(), lines, strict=False):
        axes.plot(np.frombuffer(line.at, dtype=np.int64) / 1e6, np.frombuffer(line.seconds, dtype=float))
        axes.set_yscale("log")
        axes.set_title(line.service)


def distributions(view: View, figure: Figure) -> None:
    axes = figure.add_subplot()
    window = view.window
    assert window is not None
    names, values = [], []
    for line in drawn_lines(view):
        at = np.frombuffer(line.at, dtype=np.int64)
        first = int(np.searchsorted(at, window.start))
        last = len(at) if window.end is None else int(np.searchsorted(at, window.end))
        for name, (start, end) in {"before": (0, first), "during": (first, last), "after": (last, len(at))}.items():
            names.append(f"{line.service} {name}")
            values.append(answered(line, start, end))
    axes.boxplot(values, orientation="horizontal", whis=(5, 95))
    axes.set_yticks(range(1, len(names) + 1), names)
    axes.set_xscale("log")


def phases(view: View, figure: Figure) -> None:
    axes = figure.add_subplot()
    rows = [row for row in view.phases if row.total_s > 0 and row.service in {one.service for one in drawn_lines(view)}]
    for place, row in enumerate(rows):
        at = 0.0
        for _, value in row.parts:
            axes.barh(place, value / row.total_s, left=at)
            at += value / row.total_s
    axes.set_yticks(range(len(rows)), [f"{row.service} {row.which}" for row in rows])


def history(view: View, figure: Figure) -> None:
    services, days = sorted({day.service for day in view.days}), sorted({day.day for day in view.days})
    for row, service in zip(np.atleast_2d(figure.subplots(len(services), 2)), services, strict=True):
        own = [day for day in view.days if day.service == service]
        at = [days.index(day.day) for day in own]
        row[0].bar(at, [day.availability for day in own])
        row[1].plot(at, [day.p95_s or np.nan for day in own], marker="o")
        row[1].set_yscale("log")
        row[0].set_ylabel(service)
    for axes in row:
        axes.set_xticks(range(0, len(days), 4), days[::4])


BARE: dict[str, Callable[[View, Figure], None]] = {
    "status": status, "tests": outcomes, "stages": stages, "latency": latency, "distributions": distributions,
    "phases": phases, "history": history,
}  # fmt: skip


def bare(view: View, names: Sequence[str]) -> None:
    for name in names:
        style: Any = {**RC, "svg.hashsalt": name}
        with mpl.rc_context(style):
            for size, formats in (((9.6, 4.0), ("svg", "png")), ((4.1, 5.0), ("svg",))):
                figure = Figure(figsize=size, dpi=160 if "png" in formats else 100)
                BARE[name](view, figure)
                for form in formats:
                    (FigureCanvasSVG if form == "svg" else FigureCanvasAgg)(figure)
                    figure.savefig(io.BytesIO(), format=form)


def ours(view: View, names: Sequence[str]) -> None:
    for name in names:
        assert charts.draw(name, view) is not None, name


def took(act: Callable[[View, Sequence[str]], None], view: View, names: Sequence[str]) -> float:
    began = time.process_time()
    act(view, names)
    return time.process_time() - began


def views() -> dict[str, View]:
    days = tuple(
        Day(day=f"2026-11-{day:02d}", service=f"s{n}", availability=0.9 + n / 100, p95_s=0.02, samples=900)
        for day in range(1, 23)
        for n in range(6)
    )
    drill, many = factory.drill(), big(200, 2_000, hours=1.5, every_s=30)
    return {
        "a drill": build(drill.incident, Columns.of(drill.samples), days=days),
        "200 services": build(many.incident, Columns.of(many.samples), days=days),
    }


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    failed = False
    for title, view in views().items():
        names = [name for name in charts.CHARTS if charts.draw(name, view) is not None]
        bare(view, names)  # both warm: fonts and modules are loaded
        print(f"{title}: seconds of CPU, median of {rounds} rounds in turn")
        sums = [0.0, 0.0]
        for name in names:
            pairs = [(took(ours, view, [name]), took(bare, view, [name])) for _ in range(rounds)]
            mine, plain = (statistics.median(side) for side in zip(*pairs, strict=True))
            sums = [sums[0] + mine, sums[1] + plain]
            print(f"  {name:16} {mine:6.3f}  bare {plain:6.3f}  ratio {mine / plain:5.2f}")
        ratio = sums[0] / sums[1]
        failed = failed or ratio > LIMIT
        print(f"  {'all':16} {sums[0]:6.3f}  bare {sums[1]:6.3f}  ratio {ratio:5.2f} (at most {LIMIT:.2f})")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

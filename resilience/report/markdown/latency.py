"""Write how long services took to answer, and where the time of their probes went."""

from __future__ import annotations

from resilience.core.records import ConnectivityStatus
from resilience.core.words import seconds
from resilience.report.markdown.blocks import folded, table
from resilience.report.markdown.cut import Cut
from resilience.report.series import Stats
from resilience.report.texts import code, prose
from resilience.report.view import View
from resilience.report.view.formats import percent, when
from resilience.report.view.latency import LatencyRow, PhaseRow


def _stats(stats: Stats) -> tuple[str, str]:
    if not stats.samples:
        return "–", "–"
    figures = " / ".join(seconds(value) for value in (stats.p50_s, stats.p95_s, stats.max_s))
    return ("no answer" if stats.p50_s is None else figures), percent(stats.loss)


def _stretches(row: LatencyRow, *, whole: bool) -> list[tuple[str, tuple[str, ...]]]:
    """Return a line a stretch that has samples, under the service's name: three columns, which a phone shows whole."""
    if whole:
        return [(row.service, (prose(row.service), *_stats(row.before)))]
    named = (("before", row.before), ("during", row.during), ("after", row.after))
    return [(row.service, (f"{prose(row.service)}, {name}", *_stats(stats))) for name, stats in named if stats.samples]


def latency(view: View, cut: Cut) -> list[str]:
    """Return the section on latency; without an outage there is one stretch, else before, during and after."""
    if not view.latency:
        return []
    rows = [row for one in view.latency for row in _stretches(one, whole=view.window is None)]
    bad = {row.first.name for row in view.services if not row.well}
    first = [row for name, row in rows if name in bad]
    rest = [row for name, row in rows if name not in bad]
    head = ("service", "p50 / p95 / max", "loss")
    listed = "\n\n".join(
        part
        for part in (
            table(head, first) if first else "",
            (folded("Services that were never unwell", table(head, rest)) if first else table(head, rest))
            if rest
            else "",
        )
        if part
    )
    parts = [
        "## Latency",
        "Of answered probes of staging, from this vantage; loss is the share that got no good answer.\n\n" + listed,
    ]
    if view.phases and cut.phases:
        phases = table(("service", "probe", "UTC", "took", "phases", "fault"), map(_phases, view.phases))
        parts.append(folded("Phases of the worst and the median probe", phases))
    return parts


def _phases(row: PhaseRow) -> tuple[str, ...]:
    spent = ", ".join(f"{name} {seconds(value)}" for name, value in row.parts) or "–"
    if row.status is ConnectivityStatus.UNAVAILABLE and row.rest_s > 0.001:
        spent += f", then {seconds(row.rest_s)} without an answer"
    fault = code(row.fault) if row.fault else "–"
    return prose(row.service), row.which, when(row.at), seconds(row.total_s), spent, fault

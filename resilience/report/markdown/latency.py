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


def _stats(stats: Stats) -> tuple[str, str]:
    if not stats.samples:
        return "–", "–"
    figures = " / ".join(seconds(value) for value in (stats.p50_s, stats.p95_s, stats.max_s))
    return ("no answer" if stats.p50_s is None else figures), percent(stats.loss)


def latency(view: View, cut: Cut) -> list[str]:
    if not view.latency:
        return []
    if view.window is None:
        plain = [(prose(row.service), *_stats(row.before), f"{row.before.samples:,}") for row in view.latency]
        listed = table(("service", "p50 / p95 / max", "loss", "samples"), plain)
    else:
        head = ("service", "before: p50 / p95 / max", "loss", "during", "loss", "after", "loss")
        listed = table(
            head,
            (
                (prose(row.service), *_stats(row.before), *_stats(row.during), *_stats(row.after))
                for row in view.latency
            ),
        )
    parts = [
        "## Latency",
        "Of answered probes of staging, from this vantage; loss is the share that got no good answer.\n\n" + listed,
    ]
    if view.phases and cut.phases:
        rows = []
        for phase in view.phases:
            spent = ", ".join(f"{name} {seconds(value)}" for name, value in phase.parts) or "–"
            if phase.status is ConnectivityStatus.UNAVAILABLE and phase.rest_s > 0.001:
                spent += f", then {seconds(phase.rest_s)} without an answer"
            rows.append(
                (
                    prose(phase.service),
                    phase.which,
                    when(phase.at),
                    seconds(phase.total_s),
                    spent,
                    code(phase.fault) if phase.fault else "–",
                )
            )
        parts.append(
            folded(
                "Phases of the worst and the median probe",
                table(("service", "probe", "UTC", "took", "phases", "fault"), rows),
            )
        )
    return parts

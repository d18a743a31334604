"""Show how staging is: a table of services with their trend, and the causes below it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from resilience.core.marks import STATUSES
from resilience.core.records import ConnectivityResult, ConnectivityStatus, InfrastructureHealth, Sample
from resilience.core.words import also_possible, cause_title, fault_phrase, seconds, staging_line
from resilience.show.notebook.blocks import WARN, folded, head, marked, table
from resilience.show.notebook.phases import phases_view
from resilience.show.notebook.spark import spark


def pill(status: ConnectivityStatus) -> str:
    return marked(STATUSES[status])


def health_view(health: InfrastructureHealth, samples: Sequence[Sample] = ()) -> str:
    """Return the status table, with a trend per service where there are samples, and the causes below it."""
    by_service: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.target == "staging":
            by_service.setdefault(sample.service, []).append(sample)
    trend = any(len(found) > 1 for found in by_service.values())
    rows = [
        [*_row(result), *([("line", spark(by_service.get(result.name, [])[-40:]))] if trend else [])]
        for result in health.services
    ]
    columns = ["Service", "Status", "Answered in", "What was found", "Endpoint", *(["Trend"] if trend else [])]
    where = (
        f'<div class="dim">seen from {escape(health.vantage.host)} at {health.started_at:%H:%M:%S} UTC, '
        f"in {escape(seconds(health.duration_s))}</div>"
    )
    phases = folded("Where the time went, phase by phase", phases_view(health))
    return head(staging_line(health)) + table(columns, rows) + causes_view(health) + phases + where


def _row(result: ConnectivityResult) -> list[tuple[str, str]]:
    """Return the cells of one service; what was not configured has no time and no finding, but says what is not set."""
    configured = result.status is not ConnectivityStatus.NOT_CONFIGURED
    found = result.detail
    if configured:
        found = "" if result.status is ConnectivityStatus.AVAILABLE else fault_phrase(result)
        if found and result.never_reached:
            found += "; never yet reached from this host"
    name = escape(result.name) + (' <span class="dim">critical</span>' if result.critical else "")
    return [
        ("line", name),
        ("line", pill(result.status)),
        ("num", escape(seconds(result.response_time_s)) if configured else ""),
        ("", escape(found)),
        ("place", f"<code>{escape(result.endpoint)}</code>" if result.endpoint else ""),
    ]


def causes_view(health: InfrastructureHealth) -> str:
    """Return the cause with its evidence and the next thing to do, and in one line what else is possible."""
    parts = []
    for cause in health.causes[:1]:
        against = [f"against it: {line}" for line in cause.against]
        evidence = "".join(f"<li>{escape(line)}</li>" for line in (*cause.evidence, *against))
        name = cause_title(cause.cause)
        issue = f" ({escape(cause.issue)})" if cause.issue else ""
        parts.append(
            f"<b>Likely cause: {escape(name)}{issue}</b> — {escape(', '.join(cause.services))}<ul>{evidence}</ul>"
            + (f'<div><span class="dim">Next: </span>{escape(cause.next)}</div>' if cause.next else "")
        )
    if others := also_possible(health.causes):
        parts.append(f"<b>Also possible:</b> {escape(others)}")
    return "".join(f'<div class="box" style="border-color:{WARN}">{part}</div>' for part in parts)

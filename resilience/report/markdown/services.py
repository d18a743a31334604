"""Write what was down: each service, the likely causes, the evidence, and why the mode was chosen."""

from __future__ import annotations

from resilience.core.marks import STATUSES
from resilience.core.records import ConnectivityStatus
from resilience.core.words import cause_title, seconds
from resilience.report.markdown.blocks import folded, table
from resilience.report.texts import code, hint, prose, shorten
from resilience.report.view import View
from resilience.report.view.formats import span, when


def down(view: View) -> list[str]:
    health = view.incident.health
    if health is None:
        return ["## What was down", "Nothing is known: the services were not assessed."]
    rows = []
    for row in view.services:
        rows.append(
            (
                f"**{prose(row.first.name)}**" + (" (critical)" if row.first.critical else ""),
                STATUSES[row.first.status].signed,
                prose(row.why)
                if row.first.status is not ConnectivityStatus.AVAILABLE
                else seconds(row.first.response_time_s),
                when(row.since),
                span(row.down_s) if row.down_s is not None else "–",
                STATUSES[row.now].signed,
                prose(row.stand_in) if row.stand_in else "–",
            )
        )
    parts = ["## What was down"]
    head = ("service", "at first look", "why", "since (UTC)", "for", "now", "stand-in")
    parts.append(table(head, rows))
    for cause in health.causes:
        evidence = "\n".join(f"- {code(one)}" for one in cause.evidence)
        names = ", ".join(prose(name) for name in cause.services)
        issue = f" (see {code(cause.issue)})" if cause.issue else ""
        parts.append(
            f"**Likely cause: {prose(cause_title(cause.cause))}** for {names}{issue}\n\n{evidence}\n\n"
            f"Next: {hint(cause.next)}"
        )
    told = []
    for row in view.services:
        result = row.first
        if result.status in (ConnectivityStatus.AVAILABLE, ConnectivityStatus.NOT_CONFIGURED):
            continue
        text = f"**{prose(result.name)}** at {code(result.endpoint)}"
        if result.fault:
            text += f": {code(result.fault.value)}" + (f" in phase {code(result.phase.value)}" if result.phase else "")
        lines = [text]
        if result.expected or result.found:
            lines.append(f"- expected {code(result.expected)}, found {code(result.found)}")
        if result.detail:
            lines.append(f"- {code(shorten(result.detail, 300))}")
        if result.hint:
            lines.append(f"- {hint(result.hint)}")
        if result.never_reached:
            lines.append("- never yet reached from this host, so it may never have worked from here")
        told.append("\n".join(lines))
    if told:
        parts.append(folded("Evidence by service", "\n\n".join(told)))
    if view.incident.decision is not None and view.incident.decision.reasons:
        reasons = "\n".join(f"- {prose(one)}" for one in view.incident.decision.reasons)
        parts.append(f"**Why mode {prose(view.incident.decision.mode.value)}:**\n\n{reasons}")
    return parts

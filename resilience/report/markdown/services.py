"""Write what was down: each service, the likely cause, the evidence, and why the mode was chosen."""

from __future__ import annotations

from resilience.core.marks import STATUSES
from resilience.core.records import Cause, ConnectivityResult, ConnectivityStatus
from resilience.core.words import also_possible, cause_title, seconds
from resilience.report.markdown.blocks import folded, table
from resilience.report.texts import code, hint, prose, shorten
from resilience.report.view import View
from resilience.report.view.formats import span, when


def down(view: View) -> list[str]:
    """Return the section on staging: what each service was and is, the likely cause, the evidence, and why this mode."""
    health, decision = view.incident.health, view.incident.decision
    if health is None:
        return ["## What was down", "Nothing is known: the services were not assessed."]
    parts = ["## What was down", _services(view), *(_cause(cause) for cause in health.causes[:1])]
    if others := also_possible(health.causes):
        parts.append(f"**Also possible:** {prose(others)}")
    told = [_evidence(row.first) for row in view.services if row.first.status not in _WELL]
    if told:
        parts.append(folded("Evidence by service", "\n\n".join(told)))
    if decision is not None and decision.reasons:
        reasons = "\n".join(f"- {prose(one)}" for one in decision.reasons)
        parts.append(f"**Why mode {prose(decision.mode.value)}:**\n\n{reasons}")
    return parts


_WELL = (ConnectivityStatus.AVAILABLE, ConnectivityStatus.NOT_CONFIGURED)


def _services(view: View) -> str:
    """Return the table of services; in place of a reason the well ones show how long they took."""
    rows = []
    for row in view.services:
        well = row.first.status is ConnectivityStatus.AVAILABLE
        rows.append(
            (
                f"**{prose(row.first.name)}**" + (" (critical)" if row.first.critical else ""),
                STATUSES[row.first.status].signed,
                seconds(row.first.response_time_s) if well else prose(row.why),
                when(row.since),
                span(row.down_s),
                STATUSES[row.now].signed,
                prose(row.stand_in) if row.stand_in else "–",
            )
        )
    return table(("service", "at first look", "why", "since (UTC)", "for", "now", "stand-in"), rows)


def _cause(cause: Cause) -> str:
    against = [f"- against it: {code(one)}" for one in cause.against]
    evidence = "\n".join((*(f"- {code(one)}" for one in cause.evidence), *against))
    names = ", ".join(prose(name) for name in cause.services)
    issue = f" (see {code(cause.issue)})" if cause.issue else ""
    title = f"**Likely cause: {prose(cause_title(cause.cause))}** for {names}{issue}"
    return f"{title}\n\n{evidence}\n\nNext: {hint(cause.next)}"


def _evidence(result: ConnectivityResult) -> str:
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
    return "\n".join(lines)

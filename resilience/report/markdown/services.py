"""Write what was down: each service, the likely cause, the evidence, and why the mode was chosen."""

from __future__ import annotations

from resilience.core.marks import STATUSES
from resilience.core.records import Cause, ConnectivityResult, ConnectivityStatus
from resilience.core.words import also_possible, cause_title, seconds
from resilience.report.markdown.blocks import folded, table
from resilience.report.texts import code, hint, prose, shorten
from resilience.report.view import View
from resilience.report.view.formats import span, when
from resilience.report.view.services import ServiceRow, well_line


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
    """Return the unwell services as a table that a phone shows whole, and the well ones folded into one line with their number."""
    bad, well = [row for row in view.services if not row.well], [row for row in view.services if row.well]
    parts = [table(("service", "at first look, and now", "bad since (UTC), for"), map(_row, bad))] if bad else []
    used = [f"- {prose(row.first.name)}: {prose(row.stand_in)}" for row in bad if row.stand_in]
    if used:
        parts.append("Stand-ins:\n\n" + "\n".join(used))
    if well:
        parts.append(folded(well_line(well), "\n".join(map(_well, well))))
    return "\n\n".join(parts)


def _well(row: ServiceRow) -> str:
    took = f", {seconds(row.first.response_time_s)}" if row.first.response_time_s is not None else ""
    return f"- {prose(row.first.name)}: {STATUSES[row.first.status].signed}{took}"


def _row(row: ServiceRow) -> tuple[str, ...]:
    """Return one unwell service: why it was so stands with its status, and for how long with since when."""
    return (
        f"**{prose(row.first.name)}**" + (" (critical)" if row.first.critical else ""),
        f"{STATUSES[row.first.status].signed}, {prose(row.why)}; now {STATUSES[row.now].signed}",
        f"{when(row.since)}, {span(row.down_s)}" if row.down_s else when(row.since),
    )


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

"""Turn an incident into the texts that stand on its issue: the comment that is edited, and the news worth a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from resilience.core.escalation import joint_text
from resilience.core.markup import code, prose
from resilience.core.records import Incident, InfrastructureHealth, Recovery, Verdict
from resilience.core.words import recovery_line, staging_line
from resilience.publish.github import LONGEST_BODY
from resilience.publish.markers import Kind, Mark

ROOM = 4_000
"""Characters kept for what stands below the summary: link, origin and mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One comment to be there: for what, and its text without the mark. `edits`: it is kept up to date once it is there."""

    mark: Mark
    text: str
    edits: bool

    def body(self, mark: Mark) -> str:
        """Return the whole body under the name that the outage has on the issue."""
        return f"{self.text.rstrip()}\n\n{mark.text()}\n"


def drafts(
    incident: Incident,
    *,
    summary: str,
    diagram: str = "",
    report_url: str = "",
    began_at: datetime | None = None,
    ended_at: datetime | None = None,
) -> tuple[Draft, ...]:
    """Return what is to stand on the issue: the sticky comment first, then opened, escalated and recovered as they came to pass.

    A run that found staging well, and belongs to no outage, has nothing to tell. Only the escalation mentions anybody, as
    far as that is configured; notices that are quiet are left out of it. `began_at` and `ended_at` are those of the outage
    in the history: it may have ended outside of every run, and a run that found staging well is then who tells it.
    """
    opened = incident.outage_started_at or began_at or incident.started_at
    closed = _closed(incident) or ended_at
    environment = incident.environment + (f" drill {incident.drill}" if incident.drill else "")

    def mark(kind: Kind) -> Mark:
        name = incident.incident_id or incident.run
        return Mark(kind=kind, environment=environment, incident=name, opened=opened, closed=closed)

    found = [Draft(mark=mark(Kind.STICKY), text=sticky(incident, summary, diagram, report_url), edits=True)]
    if incident.outage_started_at is None and began_at is None:
        return tuple(found)
    about = _about(incident)
    if incident.outage_started_at is not None:
        text = f"**Outage opened** at {_when(opened)}{about}.\n\n{prose(_staging(incident, incident.health))}\n"
        found.append(Draft(mark=mark(Kind.OPENED), text=text, edits=False))
    if escalation := joint_text(incident.notices):
        found.append(Draft(mark=mark(Kind.ESCALATED), text=escalation, edits=True))
    if closed is not None:
        recovery = incident.recovery
        line = (
            recovery_line(recovery) if recovery is not None else _staging(incident, incident.latest or incident.health)
        )
        text = f"**Recovered** at {_when(closed)}{about}.\n\n{prose(line)}\n"
        found.append(Draft(mark=mark(Kind.RECOVERED), text=text, edits=False))
    return tuple(found)


def sticky(incident: Incident, summary: str, diagram: str, report_url: str) -> str:
    """Return the text that is edited: the summary, the diagram while there is room, the report's place and its origin."""
    where = f"[Full report]({report_url})" if report_url else "Full report: `report.html` in the run's folder"
    origin = (
        f"{where} · run {code(incident.run)} on {code(incident.vantage.host)} · "
        f"last written {_when(incident.finished_at or incident.started_at)}"
    )
    room = LONGEST_BODY - ROOM - len(origin)
    body = summary.rstrip()
    if len(body) > room:
        body = body[:room].rpartition("\n")[0] + "\n\n_Cut: the rest stands in the full report._"
    drawn = f"\n\n<details><summary>Timeline</summary>\n\n```mermaid\n{diagram}\n```\n\n</details>"
    if diagram and len(body) + len(drawn) <= room:
        body += drawn
    return f"{body}\n\n{origin}\n"


def _staging(incident: Incident, health: InfrastructureHealth | None) -> str:
    return staging_line(health) if health is not None else f"{incident.environment.upper()}: UNKNOWN"


def _closed(incident: Incident) -> datetime | None:
    recovery = incident.recovery
    if recovery is None or not recovery.recovered:
        return None
    return _back(recovery)


def _back(recovery: Recovery) -> datetime:
    return recovery.first_good_at or recovery.started_at


def _about(incident: Incident) -> str:
    return f" (a drill, {prose(incident.drill)})" if incident.drill else ""


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


CONCLUSIONS: Mapping[Verdict, str] = {
    Verdict.PASSED: "success",
    Verdict.PASSED_ON_STAND_INS: "neutral",
    Verdict.PRODUCT_FAILURES: "failure",
    Verdict.INFRASTRUCTURE_UNAVAILABLE: "neutral",
    Verdict.UNDECIDED: "neutral",
    Verdict.STAND_IN_GAPS: "neutral",
    Verdict.UNKNOWN: "neutral",
    Verdict.RUNBOOK_FAILED: "neutral",
    Verdict.INTERRUPTED: "cancelled",
    Verdict.KILLED: "cancelled",
    Verdict.TIMED_OUT: "timed_out",
}
"""Verdict → the conclusion of a check. Only a pass on real staging is a success: a fallback must not pass for the real thing."""


def check_run(incident: Incident, summary: str, *, report_url: str = "") -> dict[str, Any] | None:
    """Return the check run of this incident; None where it is still running, its commit is unknown, or no tests were run."""
    conclusion = CONCLUSIONS.get(incident.verdict)
    if conclusion is None or not incident.commit or incident.tests is None:
        return None
    fields = {
        "name": f"resilience ({incident.environment})",
        "head_sha": incident.commit,
        "status": "completed",
        "conclusion": conclusion,
        "external_id": incident.run,
        "output": {"title": incident.verdict.value.replace("_", " "), "summary": summary[: LONGEST_BODY - 1]},
    }
    return {**fields, "details_url": report_url} if report_url else fields

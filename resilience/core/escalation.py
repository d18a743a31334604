"""Turn an incident so far into whom to tell, why, and a text ready to paste.

The four reasons and their limits are the outage guide's. The incident so far comes from the history, so that no clock begins
anew with a process. Whom to tell is configured (`[escalation]`); nothing is sent here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from resilience.core.markup import code, prose
from resilience.core.records import (
    Acknowledgement,
    CauseName,
    ConnectivityResult,
    ConnectivityStatus,
    Incident,
    InfrastructureHealth,
    Notice,
    StageName,
    StageStatus,
    Verdict,
)
from resilience.core.settings import EscalationSettings, Maintenance
from resilience.core.words import cause_title, fault_phrase, listing, plural

_UNWELL = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED)
FAILED = (Verdict.PRODUCT_FAILURES, Verdict.TIMED_OUT)
BLOCKED = (Verdict.INFRASTRUCTURE_UNAVAILABLE, Verdict.UNDECIDED)
NOTHING_SAID = (Verdict.RUNNING, Verdict.UNKNOWN, Verdict.INTERRUPTED, Verdict.RUNBOOK_FAILED)
"""Verdicts of runs that count neither as a suite that failed nor as one that passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suites:
    """Test suite runs in a row, up to the last, that failed or were blocked: how many, and how many of them blocked."""

    count: int = 0
    blocked: int = 0


def suites_in_a_row(verdicts: Sequence[Verdict]) -> Suites:
    """Count from the latest verdict backwards, which comes first; one that said nothing is passed over, any other ends it."""
    count = blocked = 0
    for verdict in verdicts:
        if verdict in NOTHING_SAID:
            continue
        if verdict not in (*FAILED, *BLOCKED):
            break
        count += 1
        blocked += verdict in BLOCKED
    return Suites(count=count, blocked=blocked)


def was_blocked(incident: Incident) -> bool:
    """Say whether the test suite of this run was to be run and was blocked as a whole."""
    stage = incident.stage(StageName.RUN_TESTS)
    blocked = incident.tests is None and incident.decision is not None and incident.decision.blocked
    return blocked and stage is not None and stage.status is StageStatus.SKIPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class SoFar:
    """What the rules ask of an incident: staging now, since when it is bad, test suites lost, who took it, maintenance.

    `down_since` is counted over runs where the history knows the outage, else from this run's first bad sample. `issue`
    is the configured tracking issue. `again` counts outages of the same kind before this one (see `core.recurrence`).
    """

    health: InfrastructureHealth
    now: datetime
    down_since: datetime | None = None
    suites: Suites = field(default_factory=Suites)
    issue: str = ""
    acknowledged: Acknowledgement | None = None
    maintenance: Sequence[Maintenance] = ()
    again: str = ""

    @property
    def minutes(self) -> float:
        lasted = timedelta(0) if self.down_since is None else self.now - self.down_since
        return lasted.total_seconds() / 60

    @property
    def unwell(self) -> tuple[ConnectivityResult, ...]:
        return tuple(result for result in self.health.services if result.status in _UNWELL)


def critical_down(so_far: SoFar, limits: EscalationSettings) -> str:
    """Critical services down for longer than the limit: no work-around makes them whole, so people must."""
    down = [
        result.name
        for result in so_far.health.services
        if result.critical and result.status is ConnectivityStatus.UNAVAILABLE
    ]
    if not down or so_far.minutes <= limits.critical_down_minutes:
        return ""
    limit = f"(limit {limits.critical_down_minutes:g})"
    return f"critical services down for {plural(round(so_far.minutes), 'minute')} {limit}: {', '.join(down)}"


def suites_lost(so_far: SoFar, limits: EscalationSettings) -> str:
    """Test suites in a row that failed or were blocked while staging is unwell: once is an outage, again is the team's time.

    With staging well they are the product's: no matter for the infrastructure team.
    """
    suites = so_far.suites
    if suites.count < limits.suite_failures or not so_far.unwell:
        return ""
    return (
        f"{suites.count} test suite runs in a row failed or were blocked (limit {limits.suite_failures}; "
        f"{suites.blocked} of them blocked by infrastructure)"
    )


def persistent_fault(so_far: SoFar, limits: EscalationSettings) -> str:
    """A VPC connector or Cloud SQL fault that stays (the guide's issue #1278): it does not heal by itself."""
    faults = {cause.cause for cause in so_far.health.causes} & {CauseName.VPC_CONNECTOR, CauseName.CLOUD_SQL_PROXY}
    if not faults or so_far.minutes < limits.persistent_minutes:
        return ""
    return f"VPC connector or Cloud SQL fault for {plural(round(so_far.minutes), 'minute')} (limit {limits.persistent_minutes:g})"


def everything_down(so_far: SoFar, _: EscalationSettings) -> str:
    """All of several services down: at once, as nothing can be tested; a single service is not a whole environment."""
    asked = [r.status for r in so_far.health.services if r.status is not ConnectivityStatus.NOT_CONFIGURED]
    if len(asked) < 2 or set(asked) != {ConnectivityStatus.UNAVAILABLE}:
        return ""
    return f"complete {so_far.health.environment} environment unavailable"


RULES: tuple[Callable[[SoFar, EscalationSettings], str], ...] = (
    critical_down,
    suites_lost,
    persistent_fault,
    everything_down,
)
"""The guide's four rules: each returns why somebody is to be told, or nothing. A notice's `rule` is the function's name."""


def notices(so_far: SoFar, settings: EscalationSettings) -> tuple[Notice, ...]:
    """Return the notices that are due by the guide's four rules; nothing is sent.

    A service under maintenance counts for none of them: a rule that holds only with it gives a notice that is quiet, with
    the reason. So does every rule of an incident that somebody acknowledged. The caller leaves out what was told before:
    this returns what is due now, every time.
    """
    window = _without_maintained(so_far)
    told = []
    for rule in RULES:
        reason, quiet = rule(so_far, settings), ""
        if reason and window is not None:
            rest, why = window
            reason, quiet = (rule(rest, settings) or reason), ("" if rule(rest, settings) else why)
        if reason:
            told.append(_notice(so_far, settings, rule.__name__, reason, quiet or _acknowledged(so_far)))
    return tuple(told)


def maintained(windows: Sequence[Maintenance], now: datetime, service: str) -> Maintenance | None:
    """Return the window of maintenance in which this service is now, or None."""
    for window in windows:
        if window.since <= now < window.until and (not window.services or service in window.services):
            return window
    return None


def _without_maintained(so_far: SoFar) -> tuple[SoFar, str] | None:
    """Return the incident without the services under maintenance, and the reason for it; None where there are none."""
    found = {r.name: maintained(so_far.maintenance, so_far.now, r.name) for r in so_far.health.services}
    windows = [window for window in found.values() if window is not None]
    if not windows:
        return None
    kept = tuple(result for result in so_far.health.services if found[result.name] is None)
    gone = {name for name, window in found.items() if window is not None}
    causes = tuple(cause for cause in so_far.health.causes if not set(cause.services) <= gone)
    until = max(window.until for window in windows)
    why = next((f", {window.why}" for window in windows if window.why), "")
    rest = replace(so_far, health=replace(so_far.health, services=kept, causes=causes))
    return rest, f"maintenance until {_when(until)}{why}"


def _acknowledged(so_far: SoFar) -> str:
    """Return who took the incident, where that holds: taken since it began, and not longer ago than was said."""
    ack = so_far.acknowledged
    if ack is None or (ack.until is not None and so_far.now >= ack.until):
        return ""
    if so_far.down_since is not None and ack.at < so_far.down_since:
        return ""
    until = f" until {_when(ack.until)}" if ack.until else ""
    return f"acknowledged by {ack.by} at {_when(ack.at)}{until}"


def _notice(so_far: SoFar, settings: EscalationSettings, rule: str, reason: str, quiet: str) -> Notice:
    issue = so_far.issue or next((cause.issue for cause in so_far.health.causes if cause.issue), "")
    return Notice(
        at=so_far.now,
        reason=reason,
        whom=settings.mention,
        label=settings.label,
        issue=issue,
        rule=rule,
        title=f"{so_far.health.environment}: {reason}"[:200],
        text=_text(so_far, settings, reason, issue),
        quiet=quiet,
    )


def _text(so_far: SoFar, settings: EscalationSettings, reason: str, issue: str) -> str:
    """Return the text to paste, in Markdown: what, since when, which services, why, what next, and whom to reach.

    What a service said stands in code spans, so that it mentions nobody and links nowhere.
    """
    health, unwell = so_far.health, so_far.unwell
    lines = [f"**Escalation:** {prose(reason)}"]
    if settings.mention:
        lines += ["", f"{settings.mention}: please have a look."]
    lines += ["", f"- Environment: {prose(health.environment)}, seen from {code(health.vantage.host)}"]
    if so_far.down_since is not None:
        lines.append(f"- Since: {_when(so_far.down_since)} ({plural(round(so_far.minutes), 'minute')})")
    for result in unwell:
        critical = ", critical" if result.critical else ""
        lines.append(f"- {code(result.name)}{critical}: {prose(fault_phrase(result))}, at {code(result.endpoint)}")
    for cause in health.causes[:1]:
        lines.append(f"- Likely cause: {cause_title(cause.cause)} ({listing([code(name) for name in cause.services])})")
        lines.append(f"- Next: {code(cause.next)}")
    if so_far.suites.count:
        lines.append(f"- Test suites in a row that failed or were blocked: {so_far.suites.count}")
    if so_far.again:
        lines.append(f"- Before: {prose(so_far.again)}")
    owners = dict.fromkeys(result.owner for result in unwell if result.owner)
    reach = [*(f"owner {code(owner)}" for owner in owners), *(prose(contact) for contact in settings.contacts)]
    if reach:
        lines.append(f"- Contacts: {'; '.join(reach)}")
    where = [f"issue {prose(issue) if '://' in issue else issue}" if issue else ""]
    where += [f"label {code(settings.label)}" if settings.label else ""]
    if any(where):
        lines.append(f"- Track it in: {', '.join(filter(None, where))}")
    return "\n".join(lines) + "\n"


def escalation_lines(told: Sequence[Notice]) -> tuple[str, ...]:
    """Return a line for each notice: ESCALATE with whom and where, or why nobody is told."""
    lines = []
    for notice in told:
        if notice.quiet:
            lines.append(f"NOT ESCALATED ({notice.quiet}): {notice.reason}")
            continue
        whom = [
            notice.whom,
            f"label {notice.label}" if notice.label else "",
            f"issue {notice.issue}" if notice.issue else "",
        ]
        to = ", ".join(filter(None, whom)) or "the owners of these services"
        lines.append(f"ESCALATE: {notice.reason} → {'tell ' if notice.whom else ''}{to}")
    return tuple(lines)


def joint_text(told: Sequence[Notice]) -> str:
    """Return one text to paste for all notices that are not quiet: each reason, then what the newest says of the rest."""
    loud = [notice for notice in told if not notice.quiet]
    if not loud:
        return ""
    reasons = [notice.text.partition("\n")[0] for notice in loud]
    newest = max(loud, key=lambda notice: notice.at)
    return "\n".join(("\n\n".join(reasons), *newest.text.splitlines()[1:])) + "\n"


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

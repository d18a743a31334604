"""Turn an incident so far into whom to tell, and why.

The four reasons and their limits are the outage guide's. Whom to tell is configured (`[escalation] mention`); nothing
is sent here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from resilience.core.records import CauseName, ConnectivityStatus, InfrastructureHealth, Notice
from resilience.core.settings import EscalationSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SoFar:
    """What the rules ask of an incident: staging now, minutes since it went bad, test runs lost to it in a row.

    `minutes` are counted over runs where the history knows the outage, else from this run's first bad sample.
    """

    health: InfrastructureHealth
    minutes: float
    failures_in_a_row: int


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
    return f"critical services down for {so_far.minutes:.0f} minutes {limit}: {', '.join(down)}"


def suites_lost(so_far: SoFar, limits: EscalationSettings) -> str:
    """Test runs in a row lost to infrastructure: once is an outage, again and again is the team's time."""
    count = so_far.failures_in_a_row
    if count < limits.suite_failures:
        return ""
    return f"{count} test suite runs in a row lost to infrastructure (limit {limits.suite_failures})"


def persistent_fault(so_far: SoFar, limits: EscalationSettings) -> str:
    """A VPC connector or Cloud SQL fault that stays (the guide's issue #1278): it does not heal by itself."""
    faults = {cause.cause for cause in so_far.health.causes} & {CauseName.VPC_CONNECTOR, CauseName.CLOUD_SQL_PROXY}
    if not faults or so_far.minutes < limits.persistent_minutes:
        return ""
    return f"VPC connector or Cloud SQL fault for {so_far.minutes:.0f} minutes (limit {limits.persistent_minutes:g})"


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
"""The guide's four rules: each returns why somebody is to be told, or nothing."""


def notices(
    health: InfrastructureHealth,
    settings: EscalationSettings,
    *,
    now: datetime,
    issue: str = "",
    down_since: datetime | None = None,
    failures_in_a_row: int = 0,
) -> tuple[Notice, ...]:
    """Return the notices that are due by the guide's four rules; nothing is sent.

    `down_since` is the first bad sample of the outage that lasts; `failures_in_a_row` counts suites that infrastructure
    took.

    `issue` is the configured tracking issue; where it is empty, that of the first cause that has one is named. The
    caller leaves out what was told before: this returns what is due now, every time.
    """
    lasted = timedelta(0) if down_since is None else now - down_since
    so_far = SoFar(health=health, minutes=lasted.total_seconds() / 60, failures_in_a_row=failures_in_a_row)
    track = issue or next((cause.issue for cause in health.causes if cause.issue), "")
    return tuple(
        Notice(at=now, reason=reason, whom=settings.mention, label=settings.label, issue=track)
        for rule in RULES
        if (reason := rule(so_far, settings))
    )

"""Turn an incident so far into whom to tell, and why."""

from __future__ import annotations

from datetime import datetime, timedelta

from resilience.core.records import (
    CauseName,
    ConnectivityStatus,
    InfrastructureHealth,
    Notice,
)
from resilience.core.settings import EscalationSettings


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
    """
    reasons = []
    down = timedelta(0) if down_since is None else now - down_since
    minutes = down.total_seconds() / 60
    critical = [
        result.name for result in health.services if result.critical and result.status is ConnectivityStatus.UNAVAILABLE
    ]
    if critical and minutes > settings.critical_down_minutes:
        reasons.append(
            f"critical services down for {minutes:.0f} minutes (limit {settings.critical_down_minutes:g}): "
            + ", ".join(critical)
        )
    if failures_in_a_row >= settings.suite_failures:
        reasons.append(
            f"{failures_in_a_row} test suite runs in a row lost to infrastructure (limit {settings.suite_failures})"
        )
    persistent = [c for c in health.causes if c.cause in (CauseName.VPC_CONNECTOR, CauseName.CLOUD_SQL_PROXY)]
    if persistent and minutes >= settings.persistent_minutes:
        reasons.append(
            f"VPC connector or Cloud SQL fault for {minutes:.0f} minutes (limit {settings.persistent_minutes:g})"
        )
    configured = [r for r in health.services if r.status is not ConnectivityStatus.NOT_CONFIGURED]
    if len(configured) > 1 and all(r.status is ConnectivityStatus.UNAVAILABLE for r in configured):
        reasons.append(f"complete {health.environment} environment unavailable")
    track = issue or next((cause.issue for cause in health.causes if cause.issue), "")
    return tuple(
        Notice(at=now, reason=reason, whom=settings.mention, label=settings.label, issue=track) for reason in reasons
    )

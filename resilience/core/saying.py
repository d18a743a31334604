"""Turn an incident into three sentences for one of three readers, and into the note for the next on-call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from resilience.core.escalation import escalation_lines
from resilience.core.records import (
    ConnectivityResult,
    ConnectivityStatus,
    EventKind,
    Incident,
    InfrastructureHealth,
    TimelineEvent,
)
from resilience.core.words import brief, cause_title, fault_phrase, listing, plural, totals_line

UPDATE_MINUTES = 30
"""Minutes to the next update: short enough that nobody asks, long enough to find something out."""
_EVENTS = 12
_UNWELL = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED)


class Reader(StrEnum):
    """Who reads: the team that tests, the users of a status page, or who decides about people and money."""

    TEAM = "team"
    STATUS_PAGE = "status-page"
    EXEC = "exec"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the sentences for all readers are made of. `over`: when it ended, None while it lasts."""

    incident: Incident
    health: InfrastructureHealth | None
    unwell: tuple[ConnectivityResult, ...]
    since: datetime | None
    over: datetime | None
    now: datetime
    spent: str


def say(
    incident: Incident,
    reader: Reader,
    *,
    now: datetime,
    again: str = "",
    spent: str = "",
    update_minutes: float = UPDATE_MINUTES,
) -> str:
    """Return the incident in three sentences and the time of the next update; times are UTC.

    Only the team reads names of services and causes. A status page names no service of ours, no host and nobody to
    blame; it says what does not work and since when. Once it is over there is no next update. `spent` is what tests paid
    in all runs of the outage: who decides about money reads it.
    """
    health = incident.latest or incident.health
    unwell = tuple(result for result in health.services if result.status in _UNWELL) if health else ()
    back = incident.recovery if incident.recovery is not None and incident.recovery.recovered else None
    over = back is not None or (health is not None and health.overall_status is ConnectivityStatus.AVAILABLE)
    make = {Reader.TEAM: _team, Reader.STATUS_PAGE: _status_page, Reader.EXEC: _exec}[reader]
    ended = (back.first_good_at or back.started_at) if back is not None else now
    sentences = make(
        _Told(
            incident=incident, health=health, unwell=unwell, since=incident.outage_started_at, over=ended if over else None,
            now=now, spent=spent,
        )
    )  # fmt: skip
    if again and reader is not Reader.STATUS_PAGE:
        sentences = (*sentences[:2], f"{sentences[2].rstrip('.')}; {again}.")
    text = " ".join(sentences)
    if over:
        return text
    return f"{text} Next update: {_when(now + timedelta(minutes=update_minutes))}."


def _team(told: _Told) -> tuple[str, ...]:
    """Return how staging is by service, the likely cause with what to do, and how the tests ran: what a tester acts on."""
    place = told.incident.environment.capitalize()
    if told.over is not None:
        first = f"{place} is well again" + (
            f" since {_when(told.over)}, after {_span(told.since, told.over)}." if told.since else "."
        )
    elif told.unwell:
        down = listing([f"{result.name} ({fault_phrase(result)})" for result in told.unwell])
        first = f"{place} is not well{_since(told.since, told.now)}: {down}."
    else:
        first = f"It is not known how {told.incident.environment} is."
    cause = told.health.causes[0] if told.health is not None and told.health.causes and told.over is None else None
    if cause is not None:
        second = f"The likely cause is {cause_title(cause.cause)}; next: {cause.next.rstrip('.')}."
    else:
        second = "There is no cause left to look for." if told.over is not None else "No cause is known yet."
    mode = (
        told.incident.tests.mode
        if told.incident.tests
        else told.incident.decision.mode
        if told.incident.decision
        else None
    )
    if told.incident.tests is not None:
        third = f"Tests ran in mode {told.incident.tests.mode.value}: {totals_line(told.incident.tests.totals)}."
    else:
        third = f"Tests: resilience test (mode {mode.value})." if mode is not None else "No tests were run yet."
    return first, second, third


def _status_page(told: _Told) -> tuple[str, ...]:
    """Return what does not work and since when, without names: anybody may read it, and none of them can act on more."""
    place = f"the {told.incident.environment} environment"
    if told.over is not None:
        lasted = f" The disruption began at {_when(told.since)} and ended at {_when(told.over)}." if told.since else ""
        return f"{place.capitalize()} works again.{lasted}", "We are sorry for the disruption.", "No action is needed."
    if not told.unwell:
        return (
            f"We are looking into {place}.",
            "It is not known yet what is affected.",
            "We will say more as we learn it.",
        )
    down = any(result.status is ConnectivityStatus.UNAVAILABLE and result.critical for result in told.unwell)
    what = "is not available" if down else "is slow or not available in parts"
    begun = f" since {_when(told.since)}" if told.since else ""
    return (
        f"{place.capitalize()} {what}{begun}.",
        "Tests against it may fail or be held back for reasons that are not theirs.",
        "We are working on it.",
    )


def _exec(told: _Told) -> tuple[str, ...]:
    """Return how long it lasts, what it costs in tests, and whether a decision is wanted: no service, no cause."""
    place = told.incident.environment
    if told.over is not None:
        first = f"The {place} outage is over" + (f"; it lasted {_span(told.since, told.over)}." if told.since else ".")
    elif told.unwell:
        affected = plural(len(told.unwell), "service")
        first = f"The {place} environment has an outage{_since(told.since, told.now)}; {affected} affected."
    else:
        first = f"It is not known how the {place} environment is."
    tests = told.incident.tests
    if tests is None:
        second = "No test suite has run meanwhile, so releases that need it wait."
    else:
        held = tests.totals.infrastructure_unavailable + tests.totals.undecided
        bugs = tests.totals.failed + tests.totals.error
        second = (
            f"Of {plural(tests.total_tests, 'test')} {held:,} could not be judged because of it and {bugs:,} failed "
            f"for reasons of the product{' itself' if bugs else ''}."
        )
    if told.spent:
        second = f"{second.rstrip('.')}; in all, {told.spent}."
    loud = [notice for notice in told.incident.notices if not notice.quiet]
    third = "It was escalated." if loud and told.over is None else "Nobody needs to decide anything now."
    return first, second, third


def hand_over(
    incident: Incident, notes: Sequence[TimelineEvent], *, now: datetime, again: str = "", cost: str = ""
) -> str:
    """Return the note for the next on-call: how it stands, what it cost, what was done by whom, what is applied, what to type."""
    lines = [say(incident, Reader.TEAM, now=now, again=again), ""]
    lines += [f"Cost: {cost}."] if cost else []
    lines += escalation_lines(incident.notices)
    if incident.applied is not None and incident.applied.env_file and incident.restored is None:
        lines.append(
            f"Applied on {incident.applied.host}: mode {incident.applied.mode.value}. Undo: resilience restore"
        )
    done = sorted((*incident.timeline, *notes), key=lambda event: event.at)
    # What people wrote is never pushed out by what the runbook did.
    shown = [event for event in done if event in done[-_EVENTS:] or event.kind is EventKind.BY_HAND]
    lines += ["", "What happened (UTC):"]
    for event in shown[-2 * _EVENTS :]:
        lines.append(
            f"  {event.at.astimezone(UTC):%H:%M:%S} {event.what}" + (f": {event.detail}" if event.detail else "")
        )
    lines += ["", "Next: resilience status --hand-over   resilience assess   resilience ack", f"Run: {incident.run}"]
    return "\n".join(lines) + "\n"


def _since(since: datetime | None, now: datetime) -> str:
    return f" since {_when(since)} ({_span(since, now)})" if since is not None else ""


def _span(since: datetime | None, until: datetime) -> str:
    return brief((until - since).total_seconds()) if since is not None else "an unknown time"


def _when(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at is not None else "an unknown time"

"""Ask the history for the incident so far, and note in a run, or say of a look without one, who is to be told of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from resilience.core import escalation
from resilience.core.errors import RecordError
from resilience.core.escalation import SoFar, Suites, notices
from resilience.core.records import (
    ConnectivityStatus,
    EventKind,
    Incident,
    InfrastructureHealth,
    Notice,
)
from resilience.core.settings import Settings
from resilience.host.demand import on_demand
from resilience.host.vantage import vantage
from resilience.runs.looking import samples_of

with on_demand():
    # What the history says of an outage; a look by `--url` asks it nothing.
    from resilience.core import codec, recurrence
    from resilience.runs import keeping as kept_beside, memory

if TYPE_CHECKING:
    from resilience.runs.folder import RunFolder
    from resilience.runs.history import History
    from resilience.runs.keeping import Keeping

_UNWELL = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED)


def note_outage(run: RunFolder, health: InfrastructureHealth) -> None:
    """Date the outage by its first bad sample, and note who is to be told of it; each rule is noted once a run.

    How long it lasts is counted from the history where that knows of an earlier run that saw it, as a threshold such as
    "critical for 30 minutes" must not begin anew with each run. A notice that was quiet is noted again once it is not.
    """
    if health.overall_status in (ConnectivityStatus.AVAILABLE, ConnectivityStatus.UNKNOWN):
        return
    if run.incident.outage_started_at is None:
        bad = [sample.at for sample in run.samples() if sample.status in _UNWELL and sample.target == "staging"]
        started = min(bad, default=health.started_at)
        run.save(outage_started_at=started)
        run.event("first bad sample", kind=EventKind.BAD_SAMPLE, at=started, link="samples.csv")
    due = notices(so_far(run.settings, health, incident=run.incident), run.settings.escalation)
    known = {(notice.rule, bool(notice.quiet)) for notice in run.incident.notices}
    new = tuple(notice for notice in due if (notice.rule, bool(notice.quiet)) not in known)
    if new:
        for notice in new:
            what = "escalation is due" if not notice.quiet else "escalation held back"
            run.event(what, notice.reason + (f" ({notice.quiet})" if notice.quiet else ""))
        told = {notice.rule for notice in new if not notice.quiet}
        before = (notice for notice in run.incident.notices if not (notice.quiet and notice.rule in told))
        run.save(notices=(*before, *new))


def notices_of_look(settings: Settings, health: InfrastructureHealth) -> tuple[Notice, ...]:
    """Return the notices that are due by a look without a run, such as `assess` takes, and keep the look for the next one."""
    if settings.source is None:
        return notices(so_far(settings, health, remember=False), settings.escalation)
    note_look(settings, health)
    return notices(so_far(settings, health), settings.escalation)


def note_look(settings: Settings, health: InfrastructureHealth, *, run: str = "") -> None:
    """Keep a look that belongs to no run in the history: an escalation's clock counts from it. Never in the way of the look.

    A staging that is well makes no history where there is none, unless hosts share one. `run` names a watch, whose looks
    belong together.
    """
    well = not any(result.status in _UNWELL for result in health.services)
    if well and not settings.history.shared and not memory.has_history(settings):
        return
    incident = look_incident(settings, health, run=run)
    with memory.quietly():
        memory.record(settings, incident, samples_of(health, "watch" if run else "assess"))


def look_incident(settings: Settings, health: InfrastructureHealth, *, run: str = "") -> Incident:
    """Return a look as the history keeps it: as a run of its own without tests."""
    return Incident(
        run=run or f"{memory.LOOKS}{health.started_at:%Y%m%dT%H%M%S.%fZ}",
        slug="look",
        environment=settings.environment,
        started_at=health.started_at,
        vantage=vantage(),
        health=health,
        drill=settings.drill,
    )


def so_far(
    settings: Settings, health: InfrastructureHealth, *, incident: Incident | None = None, remember: bool = True
) -> SoFar:
    """Return what the rules ask of the outage: from the history, and from this run where there is one.

    A history that cannot be read costs what it would have said, and no more.
    """
    known = SoFar(
        health=health,
        now=datetime.now(UTC),
        down_since=incident.outage_started_at if incident else None,
        suites=_lost_here(incident),
        issue=settings.issue,
        maintenance=settings.maintenance,
    )
    kept = memory.history(settings) if remember and memory.has_history(settings) else None
    if kept is None:
        return known
    with kept, memory.quietly():
        return _with_history(known, kept, settings, incident)
    return known


def _lost_here(incident: Incident | None) -> Suites:
    """Return whether the suite of this run, which may not be finished yet, failed or was blocked."""
    if incident is None:
        return Suites()
    if incident.tests is None:
        return Suites(count=1, blocked=1) if escalation.was_blocked(incident) else Suites()
    return escalation.suites_in_a_row([incident.tests.verdict])


def keeping_of(kept: History) -> Keeping:
    """Return what is kept beside the looks of this history: notes, acknowledgements, facts of incidents."""
    return kept_beside.Keeping(kept)


def _with_history(known: SoFar, kept: History, settings: Settings, incident: Incident | None) -> SoFar:
    here, tests = known.suites, incident.tests if incident else None
    ended = tests is not None and not here.count and tests.verdict not in escalation.NOTHING_SAID
    before = (
        Suites() if ended else kept.suites_in_a_row(settings.environment, except_run=incident.run if incident else "")
    )
    keeping = keeping_of(kept)
    lasting = kept.open_incident(settings.environment)
    return replace(
        known,
        down_since=kept.down_since(settings.environment, good=settings.recovery.good, services=counted(known.health))
        or known.down_since,
        suites=Suites(count=here.count + before.count, blocked=here.blocked + before.blocked),
        acknowledged=keeping.acknowledgement(settings.environment, lasting.id) if lasting else None,
        again=_again(known, kept, keeping, settings, lasting.id if lasting else ""),
    )


def counted(health: InfrastructureHealth) -> tuple[str, ...]:
    """Return the services by which an outage's length is counted: the critical ones that are down, else all that are unwell."""
    down = [result for result in health.services if result.status is ConnectivityStatus.UNAVAILABLE]
    unwell = [result.name for result in health.services if result.status is ConnectivityStatus.DEGRADED]
    return tuple(result.name for result in down if result.critical) or (*(result.name for result in down), *unwell)


def _again(known: SoFar, kept: History, keeping: Keeping, settings: Settings, lasting: str) -> str:
    cause = known.health.causes[0].cause.value if known.health.causes else ""
    past = [one for one in past_incidents(kept, keeping, settings.environment) if one.id != lasting]
    return recurrence.again(past, services=[result.name for result in known.unwell], cause=cause, now=known.now)


def past_incidents(kept: History, keeping: Keeping, environment: str) -> tuple[recurrence.PastIncident, ...]:
    """Return the incidents of the history with what is known of each; the last note of an incident says what ended it."""
    found = []
    for row in kept.incidents(environment):
        facts = memory.facts_of(keeping.get(f"incident:{row.id}"))
        notes = [said for said in keeping.said(environment, row.id) if said.kind == "note"]
        ended = f"{notes[-1].text} ({notes[-1].author})" if notes and row.closed_at else ""
        found.append(
            recurrence.PastIncident(
                id=row.id,
                began_at=row.opened_at,
                ended_at=row.closed_at,
                services=kept.bad_services(row.id),
                cause=facts.cause,
                ended_by=ended,
                fallback_s=sum(facts.fallback_s.values()),
                held_back=sum(facts.held_back.values()),
            )
        )
    return tuple(found)


def remember_facts(settings: Settings, incident: Incident) -> None:
    """Keep what this run says of its outage: the cause, the time in a mode other than full, the tests held back."""
    health = incident.health
    if not memory.has_history(settings) or (kept := memory.history(settings)) is None:
        return
    with kept, memory.quietly():
        name = kept.incident_of(incident)
        if not name:
            return
        keeping = keeping_of(kept)
        facts = memory.facts_of(keeping.get(f"incident:{name}"))
        cause = facts.cause or (health.causes[0].cause.value if health and health.causes else "")
        facts = replace(
            facts,
            cause=cause,
            fallback_s={**facts.fallback_s, incident.run: memory.fallback_seconds(incident)},
            held_back={**facts.held_back, incident.run: memory.held_back(incident)},
        )
        keeping.keep({f"incident:{name}": memory.facts_text(facts)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """The outage that lasts, by what was last seen of it; `notices` are those due now."""

    id: str
    since: datetime
    last_look: str
    notices: tuple[Notice, ...]


def lasting_outage(settings: Settings) -> Lasting | None:
    """Return the outage that lasts as the history knows it, without a look: by the snapshot of the last look; None for none."""
    if not memory.has_history(settings) or (kept := memory.history(settings)) is None:
        return None
    with kept:
        row = kept.open_incident(settings.environment)
    if row is None:
        return None
    told: tuple[Notice, ...] = ()
    last = ConnectivityStatus.UNKNOWN
    with suppress(OSError, RecordError):
        health = codec.from_json(memory.snapshot(settings.state).read_bytes(), InfrastructureHealth)
        told, last = notices(so_far(settings, health), settings.escalation), health.overall_status
    return Lasting(id=row.id, since=row.opened_at, last_look=last.value, notices=told)

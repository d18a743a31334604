"""Turn the history into what it says of one outage: since when, what it cost in all runs, and how often it came before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from resilience.core.records import Incident
from resilience.core.recurrence import again, cost, spent
from resilience.core.settings import Settings
from resilience.runs import memory
from resilience.runs.escalating import keeping_of, past_incidents

if TYPE_CHECKING:
    from resilience.runs.history import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What the history says of an outage. `spent` is the part of `cost` that tests paid; `again` is empty for a first time."""

    began_at: datetime
    ended_at: datetime | None
    cost: str
    spent: str
    again: str

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return label and value of each thing to show."""
        found = [("Cost of the outage" if self.ended_at is not None else "Cost so far", self.cost)]
        return tuple([*found, ("Before", self.again)] if self.again else found)


def recalled(kept: History, incident_id: str, environment: str, now: datetime) -> Recalled | None:
    """Return what is known of this outage, over all runs and hosts that share the history; None where it knows none."""
    past = past_incidents(kept, keeping_of(kept), environment)
    this = next((one for one in past if one.id == incident_id), None)
    if this is None:
        return None
    before = [one for one in past if one.began_at < this.began_at]
    return Recalled(
        began_at=this.began_at,
        ended_at=this.ended_at,
        cost=cost(this, now),
        spent=spent(this),
        again=again(before, services=this.services, cause=this.cause, now=now),
    )


def recalled_of(kept: History | None, incident: Incident, now: datetime | None = None) -> Recalled | None:
    """Return what is known of the outage to which this run belongs; None for none, or where the history cannot be read.

    Counted up to `now`; where none is given up to the end of the run, so that what is written of it does not depend on when.
    """
    with memory.quietly():
        name = kept.incident_of(incident) if kept is not None else ""
        if kept is not None and name:
            return recalled(kept, name, incident.environment, now or incident.finished_at or datetime.now(UTC))
    return None


def facts_of_run(kept: History | None, incident: Incident) -> tuple[tuple[str, str], ...]:
    """Return what a report shows of the past of this run's outage; nothing where it belongs to none."""
    found = recalled_of(kept, incident)
    return () if found is None else found.facts


def recalled_here(settings: Settings, incident: Incident) -> Recalled | None:
    """Return the same from the history of this checkout, which is not made for it."""
    kept = memory.history(settings) if memory.has_history(settings) else None
    if kept is None:
        return None
    with kept:
        return recalled_of(kept, incident, datetime.now(UTC))


def recalled_now(settings: Settings, incident_id: str) -> Recalled | None:
    """Return what the history of this checkout says of the outage of this name; None where it cannot be read."""
    kept = memory.history(settings)
    if kept is None:
        return None
    with kept, memory.quietly():
        return recalled(kept, incident_id, settings.environment, datetime.now(UTC))
    return None

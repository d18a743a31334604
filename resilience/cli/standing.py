"""Turn what the journal and the stand-ins of this machine say into where things stand, for what is to be typed next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from resilience.cli.demand import on_demand
from resilience.core.errors import RecordError

with on_demand():
    from resilience import stand_ins as local
    from resilience.core import moments, next_steps
    from resilience.fallback import journal as journals, standing

if TYPE_CHECKING:
    from resilience.core.next_steps import Situation
    from resilience.core.settings import Settings
    from resilience.fallback.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is applied here, as it decides about the next step and in a sentence; `damage` is why it cannot be read."""

    situation: Situation
    applied: str = ""
    damage: str = ""


def where_things_stand(settings: Settings) -> Standing:
    """Return what is applied here. Stand-ins are asked for only where something is: a look must not pay for them."""
    configured = settings.source is not None
    try:
        journal = journals.load(settings.state)
    except RecordError as exc:
        return Standing(situation=next_steps.Situation(configured=configured), damage=str(exc))
    if journal is None:
        left = journals.left_behind(settings.state, settings.places.env_files)
        situation = next_steps.Situation(configured=configured, left_behind=str(left.path) if left else "")
        return Standing(situation=situation, applied=str(left or ""))
    dead = [stand_in.service for stand_in in local.status(settings) if not stand_in.ready]
    return Standing(situation=standing.situation_of(journal, dead, configured=configured), applied=_sentence(journal))


def _sentence(journal: Journal) -> str:
    now = datetime.now(UTC)
    since = f"since {moments.clock(journal.started_at, now=now)}, {moments.ago(journal.started_at, now=now)}"
    state = "unfinished" if journal.unfinished else "applied"
    where = "here" if standing.is_here(journal) else f"on host {journal.host}"
    return f"A fallback is {state} {where}: mode {journal.mode}, by {journal.user}, {since}."

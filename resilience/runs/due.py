"""Turn the age of what is taught into what of teaching a scheduled job has to do now: a lesson, a rehearsal, or nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from resilience.core.settings import Settings
from resilience.core.taught import DATABASE
from resilience.runs.rehearsing import ended, rehearsed
from resilience.teach.store import Store, rehearsal_of

REHEARSED_DAYS = 7
"""So old a rehearsal may become; one is due after each lesson of the tests as well."""
BY_HAND = frozenset({"traffic", "har"})
"""Sources of which a scheduled job learns nothing."""


def lesson_due(settings: Settings, store: Store, now: datetime) -> bool:
    """Say whether a service that teaches was not asked for `[teach] every_hours`, by a lesson or by a comparison."""
    return any(
        _latest(store, service.name, now) > timedelta(hours=settings.teach.every_hours)
        for service in settings.services
        if service.teach
    )


def _latest(store: Store, service: str, now: datetime) -> timedelta:
    drift = store.drift(service)
    times = [one.at for one in store.generations(service) if not one.problem and one.source not in BY_HAND]
    times += [drift.at] if drift is not None else []
    return now - max(times) if times else timedelta.max


def rehearsal_due(settings: Settings, store: Store, now: datetime) -> bool:
    """Say whether what tests or a database taught was not rehearsed yet, or not for a week, and there is what to compare with."""
    for one in rehearsed(store, settings).values():
        fidelity, _ = rehearsal_of(one)
        old = fidelity is None or now - fidelity.at > timedelta(days=REHEARSED_DAYS)
        if old and (one.source != DATABASE or ended(settings, one)):
            return True
    return False

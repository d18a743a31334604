"""Turn the incidents of the past into what they say of the one that lasts: how often before, how it ended, what it costs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from resilience.core.words import brief, listing, plural

DAYS = 90
"""How far back an outage counts as "again": a quarter, as post-mortems are planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastIncident:
    """One outage of the past. `cause` is a cause's value, empty where none was named; `ended_by` a sentence, or empty.

    `fallback_s` are the seconds that runs spent in a mode other than full, `held_back` the tests that were held back in
    them. `ended_at` is None where nobody saw it end.
    """

    id: str
    began_at: datetime
    ended_at: datetime | None
    services: tuple[str, ...]
    cause: str = ""
    ended_by: str = ""
    fallback_s: float = 0.0
    held_back: int = 0


def again(past: Sequence[PastIncident], *, services: Collection[str], cause: str, now: datetime) -> str:
    """Return 'third time in 90 days (VPC …); last ended by …', or nothing for a first time.

    The same is what shares its cause and at least one service; where one of the two had no cause named, the services
    must be the same. `past` is without the incident that lasts.
    """
    since = now - timedelta(days=DAYS)
    same = sorted(
        (one for one in past if one.began_at >= since and _is_same(one, set(services), cause)),
        key=lambda one: one.began_at,
    )
    if not same:
        return ""
    last = same[-1]
    times = f"{_ordinal(len(same) + 1)} time in {DAYS} days"
    before = f"the last began {last.began_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if last.ended_at is not None:
        before += f" and lasted {brief((last.ended_at - last.began_at).total_seconds())}"
    ended = f"; last ended by: {last.ended_by}" if last.ended_by else ""
    return f"{times} for {listing(sorted(services))}; {before}{ended}"


def _is_same(one: PastIncident, services: set[str], cause: str) -> bool:
    if one.cause and cause:
        return one.cause == cause and bool(services & set(one.services))
    return services == set(one.services)


def cost(incident: PastIncident, now: datetime) -> str:
    """Return what an outage cost so far: how long, of it how long tests ran other than in mode full, tests held back."""
    lasted = f"outage {brief(((incident.ended_at or now) - incident.began_at).total_seconds())}"
    return ", ".join(filter(None, (lasted, spent(incident))))


def spent(incident: PastIncident) -> str:
    """Return what tests paid for it: how long they ran other than in mode full, how many were held back; empty for nothing."""
    parts = []
    if incident.fallback_s >= 1:
        parts.append(f"tests ran for {brief(incident.fallback_s)} in a mode other than full")
    if incident.held_back:
        parts.append(f"{plural(incident.held_back, 'test')} held back or lost")
    return ", ".join(parts)


_ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def _ordinal(number: int) -> str:
    return _ORDINALS[number] if number < len(_ORDINALS) else f"{number}th"

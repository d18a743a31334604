"""Turn what was taught of a service, and when, into how far it can be trusted now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

DATABASE = "database"
"""The source of a generation that a stand-in is loaded with; all others are said again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How many tests ended on the stand-ins as in the last full run on real staging, of those that ran there.

    `gaps` and `differ` are those that did not: at an answer nobody had, and otherwise.
    """

    at: datetime
    same: int
    ran: int
    gaps: int = 0
    differ: int = 0

    @property
    def percent(self) -> int:
        """Return the share in whole percent, rounded down: 100 is said only of all."""
        return self.same * 100 // self.ran if self.ran else 0

    @property
    def said(self) -> str:
        """Return it as it stands beside a service: "fidelity 94 %: 48 of 51 tests end as on staging, 2 gaps, 1 differ"."""
        return (
            f"fidelity {self.percent} %: {self.same} of {self.ran} tests end as on staging, "
            f"{self.gaps} gaps, {self.differ} differ"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What staging was found to say otherwise than it taught, in words; `since` when the first of it was seen.

    `added` breaks no test; `unchecked` could not be asked now. `checked` counts what was compared.
    """

    at: datetime
    checked: int
    drift: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """One generation of what staging taught of a service.

    `source`: traffic (of tests that passed), routes (GETs of a lesson), har (imported), contract (an OpenAPI document) or
    database (its schema and rows).
    `damaged` says what is wrong with it: it is served to nobody then. `gaps` are what it cannot answer, known since it was taught.
    """

    service: str
    generation: int
    source: str
    at: datetime
    exchanges: int
    tests: int
    size: int
    build: str = ""
    current: bool = True
    gaps: tuple[str, ...] = ()
    stale: str = ""
    """Why it is older than was wanted, such as a lesson that failed since; empty: it is not."""
    damaged: str = ""
    what: str = ""
    """What it holds, where that is no answers: 50 tables and 9 views of PostgreSQL 15.18."""
    of_the_code: tuple[str, ...] = ()
    """By what the code's own schema differs from it, as the latest `prepare` showed."""
    fidelity: Fidelity | None = None
    drift: Drift | None = None
    """Of the newest generation of a service: what the last check found that has changed since."""
    operations: int = 0
    """How many operations its contract knows."""
    personal: Mapping[str, int] = field(default_factory=dict)
    """What of people is in it, by sort: e-mail addresses are kept as they are."""


def age(at: datetime, now: datetime) -> str:
    """Return an age as people say it: 12 min, 5 h, 3 days."""
    passed = max(now - at, timedelta())
    if passed < timedelta(hours=1):
        return f"{int(passed.total_seconds() // 60)} min"
    if passed < timedelta(days=2):
        return f"{int(passed.total_seconds() // 3600)} h"
    return f"{passed.days} days"


def freshness(at: datetime, now: datetime, stale_days: float) -> str:
    """Return fresh (below a day), aging, or stale (from `stale_days` on). It never blocks anything."""
    passed = now - at
    if passed >= timedelta(days=stale_days):
        return "stale"
    return "fresh" if passed < timedelta(days=1) else "aging"


def said(taught: Taught, now: datetime, stale_days: float) -> str:
    """Return one line for plan, status and report: "backend_api taught 2 h ago (60 tests, 134 answers), fidelity 94 %"."""
    counts = f"{taught.tests} tests, {taught.exchanges} answers" if taught.tests else f"{taught.exchanges} answers"
    what = taught.what or (f"contract of {taught.operations} operations" if taught.operations else counts)
    parts = [f"{taught.service} taught {age(taught.at, now)} ago ({what})"]
    if taught.fidelity is not None:
        f = taught.fidelity
        parts.append(f"fidelity {f.percent} %: {f.same} of {f.ran}, {f.gaps} gaps, {f.differ} differ")
    if taught.drift is not None and taught.drift.drift:
        first, more = taught.drift.drift[0], len(taught.drift.drift) - 1
        parts.append(f"staging has changed since: {first}" + (f", and {more} more" if more else ""))
    if taught.of_the_code:
        more = len(taught.of_the_code) - 1
        parts.append(f"schema drifted from the code: {taught.of_the_code[0]}" + (f", and {more} more" if more else ""))
    if taught.damaged:
        parts.append(f"damaged: {taught.damaged}")
    elif freshness(taught.at, now, stale_days) == "stale" or taught.stale:
        parts.append(f"stale{': ' + taught.stale if taught.stale else ''}")
    return ", ".join(parts)

"""What the history says over a period, and the sentences that say it: incidents by the times people ask for, tests by counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from resilience.core.words import brief, plural


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFigures:
    """One service over a period: probes, how many of them had no answer, and how fast the others were, None where none was."""

    service: str
    samples: int
    lost: int
    availability: float
    p50_s: float | None
    p95_s: float | None
    max_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentTimes:
    """One outage with the times people ask for, in seconds from its first bad sample, as the report of a run counts them.

    `detect_s` is to the end of the first look that saw it, `mitigate_s` to the first fallback applied, `recover_s` to the
    first of the lasting good samples. None is what did not happen, or is not known.
    """

    id: str
    opened_at: datetime
    closed_at: datetime | None
    detect_s: float | None
    acknowledge_s: float | None
    mitigate_s: float | None
    recover_s: float | None
    services: tuple[str, ...] = ()
    cause: str = ""
    runs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCounts:
    """One test with the number of runs in which it was something else than plainly passed.

    `passed_later`: failed and passed on a later round of the same run. `changed`: commits at which it failed in one full run
    and not in another. Both make it flaky. `held_back`: lost to an outage, run or not.
    """

    __test__ = False

    test: str
    passed_later: int = 0
    changed: int = 0
    failed: int = 0
    held_back: int = 0
    undecided: int = 0
    stand_in_gap: int = 0
    last_at: datetime

    @property
    def flaky(self) -> int:
        return self.passed_later + self.changed


TIMES = (
    ("detect", "detect_s"),
    ("acknowledge", "acknowledge_s"),
    ("mitigate", "mitigate_s"),
    ("recover", "recover_s"),
)
"""Verb → the field that holds its seconds."""


def services_line(services: Sequence[ServiceFigures], days: int) -> str:
    """Return on how many days anybody looked, and which service answered least often."""
    if not services:
        return "nobody looked"
    least = min(services, key=lambda one: (one.availability, one.service))
    looked = f"looked at on {plural(days, 'day')}"
    if not least.lost:
        return f"{looked}; every probe was answered"
    return (
        f"{looked}; {least.service} answered least, {least.samples - least.lost:,} of {plural(least.samples, 'probe')}"
    )


def incidents_line(incidents: Sequence[IncidentTimes]) -> str:
    """Return how many outages there were, and the median of each time with the number of outages it is known of."""
    if not incidents:
        return "no outage"
    told = []
    for verb, name in TIMES:
        known = [seconds for one in incidents if (seconds := getattr(one, name)) is not None]
        if known:
            of = "" if len(known) == len(incidents) else f" of {len(known)}"
            told.append(f"to {verb} {brief(median(known))}{of}")
    lasting = sum(one.closed_at is None for one in incidents)
    parts = [plural(len(incidents), "outage"), *([f"{lasting} without a proved end"] if lasting else [])]
    return ", ".join(parts) + (f"; median time {', '.join(told)}" if told else "")


def tests_line(tests: Sequence[TestCounts], runs: int) -> str:
    """Return how many tests were flaky and how many held back, and the worst of each."""
    if not runs:
        return "no test run"
    told = [plural(runs, "test run")]
    for word, name in (("flaky", "flaky"), ("held back", "held_back")):
        found = [test for test in tests if getattr(test, name)]
        worst = max(found, key=lambda test: (getattr(test, name), test.test), default=None)
        most = f", most often {worst.test} ({getattr(worst, name)} times)" if worst is not None else ""
        told.append(f"{plural(len(found), 'test')} {word}{most}")
    return "; ".join(told)

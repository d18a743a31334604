"""Read from the history what it says over a period: each service by day, the outages with their times, the tests by counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from resilience.core.period import FIRST, Period, period_of
from resilience.core.settings import Settings
from resilience.core.trends import IncidentTimes, ServiceFigures, TestCounts, incidents_line, services_line, tests_line
from resilience.report.series import micros, moment
from resilience.report.view import Day
from resilience.runs import histories, memory
from resilience.runs.database import Database
from resilience.runs.histogram import PER_OCTAVE
from resilience.runs.history import History
from resilience.runs.noted import FAILED

_PAIR = 8
"""Bytes of a bucket and its count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByDay:
    """One row a service and day, by service and then day, as columns. `day` counts from 1970, in UTC.

    `lost` had no answer. Latencies in seconds are of those that answered, NaN where none did; `p50_s` and `p95_s` are the
    upper bounds of their buckets, at most 9 % too high, `max_s` is exact. `services` are the names that `service` numbers.
    """

    services: tuple[str, ...]
    service: Any
    day: Any
    samples: Any
    lost: Any
    p50_s: Any
    p95_s: Any
    max_s: Any

    @property
    def availability(self) -> Any:
        return 1 - self.lost / self.samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Trends:
    """What is known of a period. `days` by service and day, `whole` the same sums over all of its days, a row a service.

    `runs` is how many test runs ended in it. Nothing in it is a percentile of percentiles or a mean of means.
    """

    environment: str
    period: Period
    days: ByDay
    whole: ByDay
    incidents: tuple[IncidentTimes, ...]
    tests: tuple[TestCounts, ...]
    runs: int
    why: str = ""
    """Why these are not of the history that hosts share, where they share one."""
    notes: tuple[str, ...] = ()
    """What is wrong with the history itself, as that it was damaged and set aside: nothing else would tell."""

    @property
    def is_empty(self) -> bool:
        return not (len(self.days.day) or self.incidents or self.runs)

    @property
    def lines(self) -> tuple[str, ...]:
        """The whole in a few sentences; one where there is nothing."""
        notes = tuple(f"{note}." for note in self.notes)
        if self.is_empty:
            return (
                *notes,
                f"No history of {self.environment} in this period, {self.period}: nobody looked. Hint: resilience assess",
            )
        return (
            *notes,
            f"{self.environment}, {self.period}: {services_line(self.services(), len(set(self.days.day.tolist())))}.",
            f"Outages: {incidents_line(self.incidents)}.",
            f"Tests: {tests_line(self.tests, self.runs)}.",
        )

    def services(self) -> tuple[ServiceFigures, ...]:
        """Return the whole period as records, one a service, the least available first."""
        found = (
            ServiceFigures(
                service=service,
                samples=samples,
                lost=lost,
                availability=1 - lost / samples,
                p50_s=_known(p50),
                p95_s=_known(p95),
                max_s=_known(most),
            )
            for service, samples, lost, p50, p95, most in _rows(
                self.whole, "samples", "lost", "p50_s", "p95_s", "max_s"
            )
        )
        return tuple(sorted(found, key=lambda one: (one.availability, one.service)))

    def chart_days(self) -> tuple[Day, ...]:
        """Return the days as records, one a service and day, for what draws them."""
        return tuple(
            Day(
                day=f"{FIRST + timedelta(days=day)}",
                service=service,
                availability=1 - lost / samples,
                samples=samples,
                p50_s=_known(p50),
                p95_s=_known(p95),
            )
            for service, day, samples, lost, p50, p95 in _rows(self.days, "day", "samples", "lost", "p50_s", "p95_s")
        )


def _rows(table: ByDay, *names: str) -> Iterator[tuple[Any, ...]]:
    """Yield the name of the service and these columns, row by row, as plain numbers."""
    columns = (getattr(table, name).tolist() for name in names)
    for service, *values in zip(table.service.tolist(), *columns, strict=True):
        yield (table.services[service], *values)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def trends_of(settings: Settings, since: str, until: str) -> Trends:
    """Return the trends of this checkout's history; an empty one where there is no history, which is not made for it.

    `since` and `until` are as `period_of` takes them. Raises UsageError, HistoryError and sqlite3.Error.
    """
    period = period_of(since, until, today=datetime.now(UTC).date())
    path = memory.history_file(settings)
    if not path.exists() and not settings.history.shared:
        with History(Path(":memory:")) as none:
            return read_trends(none, settings.environment, period)
    with histories.chosen(settings) as here:
        found = read_trends(here.history, settings.environment, period)
        return replace(found, why=here.why, notes=tuple(here.history.notes))


def read_trends(kept: History, environment: str, period: Period) -> Trends:
    """Return what the history says of an environment in this period. Raises sqlite3.Error."""
    first, until = _bounds(period)
    with kept.reading() as database:
        table = _days(database, environment, period)
        return Trends(
            environment=environment,
            period=period,
            days=table[0],
            whole=table[1],
            incidents=_incidents(database, environment, first, until),
            tests=_tests(database, environment, first, until),
            runs=_runs(database, environment, first, until),
        )


def _bounds(period: Period) -> tuple[int, int]:
    """Return the period in microseconds, its end not in it."""
    return tuple(  # type: ignore[return-value]
        micros(datetime.combine(day, time(), UTC)) for day in (period.first, period.last + timedelta(days=1))
    )


def _number(day: date) -> int:
    return (day - FIRST).days


def _days(database: Database, environment: str, period: Period) -> tuple[ByDay, ByDay]:
    """Return the rows by service and day, and their sums by service.

    Histograms are merged as whole arrays: a loop over the buckets of a year of 200 services takes ten times as long.
    """
    rows = database.execute(
        "SELECT service, day, samples, lost, max_us, counts FROM day"
        " WHERE environment = (SELECT id FROM word WHERE text = ?) AND day BETWEEN ? AND ?",
        (environment, _number(period.first), _number(period.last)),
    ).fetchall()
    service, day, samples, lost, highest, blobs = zip(*rows, strict=True) if rows else ((),) * 6
    words = dict(database.execute("SELECT id, text FROM word WHERE id IN (SELECT DISTINCT service FROM day)"))
    numbers = sorted(set(service), key=words.__getitem__)
    place = {number: at for at, number in enumerate(numbers)}
    owner = np.array([place[number] for number in service], dtype=np.int64)
    columns = [np.array(column, dtype=np.int64) for column in (day, samples, lost, highest)]
    names = tuple(words[number] for number in numbers)
    pairs = np.frombuffer(b"".join(blobs), dtype=np.uint32).reshape(-1, 2)
    row = np.repeat(np.arange(len(rows)), np.array([len(blob) // _PAIR for blob in blobs], dtype=np.int64))
    order = np.lexsort((columns[0], owner))
    by_day = _figures(owner, columns, (row, pairs[:, 0], pairs[:, 1].astype(np.int64)))
    days = ByDay(services=names, **{name: column[order] for name, column in by_day.items()})
    return days, _whole(names, owner, columns, row, pairs)


def _whole(names: tuple[str, ...], owner: Any, columns: Sequence[Any], row: Any, pairs: Any) -> ByDay:
    """Return the sums of all days by service: counts are added bucket by bucket, and the percentile read from the sum."""
    count = len(names)
    day, samples, lost, highest = columns
    most = np.zeros(count, dtype=np.int64)
    np.maximum.at(most, owner, highest)
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, owner, day)
    wide = int(pairs[:, 0].max(initial=0)) + 1
    sums = np.bincount(owner[row] * wide + pairs[:, 0], weights=pairs[:, 1], minlength=count * wide).astype(np.int64)
    (held,) = np.nonzero(sums)
    added = [np.bincount(owner, weights=column, minlength=count).astype(np.int64) for column in (samples, lost)]
    figures = _figures(np.arange(count), (first, *added, most), (held // wide, held % wide, sums[held]))
    return ByDay(services=names, **figures)


def _figures(owner: Any, columns: Sequence[Any], histograms: tuple[Any, Any, Any]) -> dict[str, Any]:
    """Return the columns of a table: `columns` are day, samples, lost and the highest, `histograms` row, bucket and count.

    The histograms stand by row and then bucket, so that one running sum over all of them holds the ranks of every row.
    """
    day, samples, lost, highest = columns
    row, bucket, count = histograms
    total = np.bincount(row, weights=count, minlength=len(owner)).astype(np.int64)
    so_far = np.cumsum(count)
    before = np.concatenate(([0], np.cumsum(total)))[:-1].astype(np.int64)
    known = total > 0

    def percentile(share: float) -> Any:
        found = np.full(len(owner), np.nan)
        rank = np.maximum(np.ceil(share * total[known] - 1e-9), 1).astype(np.int64)
        held = bucket[np.searchsorted(so_far, before[known] + rank)]
        found[known] = np.minimum(2.0 ** (held / PER_OCTAVE), highest[known]) / 1e6
        return found

    return {
        "service": owner,
        "day": day,
        "samples": samples,
        "lost": lost,
        "p50_s": percentile(0.50),
        "p95_s": percentile(0.95),
        "max_s": np.where(known, highest / 1e6, np.nan),
    }


def _incidents(database: Database, environment: str, first: int, until: int) -> tuple[IncidentTimes, ...]:
    """Return the outages that began in the period, oldest first, each time counted from its first bad sample."""
    rows = database.execute(
        "SELECT incident.id, opened_us, closed_us, detected_us, applied_us,"
        " (SELECT min(at_us) FROM said WHERE said.incident = incident.id AND kind = 'ack'),"
        " (SELECT count(*) FROM run WHERE run.incident = incident.id),"
        " (SELECT value FROM kept WHERE name = 'incident:' || incident.id)"
        " FROM incident WHERE environment = (SELECT id FROM word WHERE text = ?) AND opened_us >= ? AND opened_us < ?"
        " ORDER BY opened_us, incident.id",
        (environment, first, until),
    ).fetchall()
    services: dict[str, list[str]] = {}
    for name, service in database.execute(
        "SELECT DISTINCT incident.id, service.text FROM incident JOIN run ON run.incident = incident.id"
        " JOIN sample ON sample.run = run.id JOIN word AS service ON service.id = sample.service"
        " WHERE incident.environment = (SELECT id FROM word WHERE text = ?) AND opened_us >= ? AND opened_us < ?"
        " AND sample.target = (SELECT id FROM word WHERE text = 'staging')"
        " AND sample.status IN (SELECT id FROM word WHERE text IN ('unavailable', 'degraded')) ORDER BY 2",
        (environment, first, until),
    ):
        services.setdefault(name, []).append(service)
    return tuple(
        IncidentTimes(
            id=name,
            opened_at=moment(opened),
            closed_at=None if closed is None else moment(closed),
            detect_s=_since(opened, detected),
            acknowledge_s=_since(opened, acknowledged),
            mitigate_s=_since(opened, applied),
            recover_s=_since(opened, closed),
            services=tuple(services.get(name, ())),
            cause=memory.facts_of(facts or "").cause,
            runs=runs,
        )
        for name, opened, closed, detected, applied, acknowledged, runs, facts in rows
    )


def _since(opened: int, at: int | None) -> float | None:
    return None if at is None else max(at - opened, 0) / 1e6


_TESTED = (
    "run.environment = (SELECT id FROM word WHERE text = ?) AND run.started_us >= ? AND run.started_us < ?"
    " AND run.tested <> 0 AND run.finished_us IS NOT NULL"
)


def _runs(database: Database, environment: str, first: int, until: int) -> int:
    found = database.execute(f"SELECT count(*) FROM run WHERE {_TESTED}", (environment, first, until))  # noqa: S608 - our own text
    return int(found.fetchone()[0])


def _tests(database: Database, environment: str, first: int, until: int) -> tuple[TestCounts, ...]:
    """Return the tests that were anything but plainly passed in the period, flaky and then often held back ones first.

    A test that failed in one full run of a commit and not in another changed without a change of the code. A run that
    was narrowed by hand counts as full, so that `changed` is at most that.
    """
    where = (environment, first, until)
    counts: dict[str, dict[str, int]] = {}
    last: dict[str, int] = {}
    for test, what, runs, at in database.execute(
        "SELECT word.text, what, count(*), max(run.started_us) FROM run JOIN noted ON noted.run = run.id"  # noqa: S608 - our own text
        f" JOIN word ON word.id = noted.test WHERE {_TESTED} GROUP BY word.text, what",
        where,
    ):
        counts.setdefault(test, {})[what] = runs
        last[test] = max(last.get(test, 0), at)
    for test, changed in database.execute(
        f"WITH whole AS (SELECT run.id AS run, revision FROM run WHERE {_TESTED} AND mode = 'full' AND revision <> ''),"  # noqa: S608 - our own text
        " size AS (SELECT revision, count(*) AS runs FROM whole GROUP BY revision HAVING count(*) > 1),"
        " parts AS (SELECT test, whole.revision AS revision FROM size JOIN whole ON whole.revision = size.revision"
        " JOIN noted ON noted.run = whole.run WHERE what = ? GROUP BY test, whole.revision, runs HAVING count(*) < runs)"
        " SELECT word.text, count(*) FROM parts JOIN word ON word.id = test GROUP BY word.text",
        (*where, FAILED),
    ):
        counts[test]["changed"] = changed
    found = (TestCounts(test=test, last_at=moment(last[test]), **sums) for test, sums in counts.items())
    return tuple(sorted(found, key=lambda one: (-one.flaky, -one.held_back, -one.failed, one.test)))

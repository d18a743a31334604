"""Forget old samples, by age and then by size, so that the history of a checkout stays small.

| what | stays |
| --- | --- |
| samples of a run outside every incident | `keep_days` |
| samples of a run of an incident | four times as long: the next outage is read beside the last one |
| figures by minute | three times as long |
| tests that were not plainly passed | three times as long |
| figures by day, runs and incidents | for good: a row each, and the record |

Above `MAX_BYTES` the oldest samples go first, those of incidents last. It works in small transactions and stops when its time
is over, as it runs at the end of a report and must keep nobody waiting; the next report goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from resilience.report.series import micros
from resilience.runs.database import Database

MAX_BYTES = 256 * 1024 * 1024
"""About four million samples: a look every 10 s at seven services for two months."""
BUDGET_S = 1.0
INCIDENTS = 4
MINUTES = 3
_CHUNK = 20_000
"""Samples of one transaction: some 50 ms, in which another process that writes waits."""
MINUTE_US = 60_000_000
"""A minute, by whose number its figures are kept."""


def prune(
    database: Database,
    *,
    keep_days: float,
    now: datetime,
    max_bytes: int = MAX_BYTES,
    budget_s: float = BUDGET_S,
) -> int:
    """Forget what is too old or too much; return how many samples went. Raises sqlite3.Error where it is locked.

    `budget_s` bounds the deleting, of which each transaction takes some 50 ms; the newest run is never emptied by
    size. The space goes back to the file system page by page where the file allows it.
    """
    until = time.monotonic() + budget_s
    gone = 0
    for run in _too_old(database, keep_days, now):
        gone += _empty(database, run, until)
        if time.monotonic() >= until:
            break
    with _transaction(database):
        oldest = micros(now - timedelta(days=MINUTES * keep_days))
        database.execute("DELETE FROM minute WHERE minute < ?", (oldest // MINUTE_US,))
        database.execute("DELETE FROM noted WHERE run IN (SELECT id FROM run WHERE started_us < ?)", (oldest,))
    while time.monotonic() < until and _used_bytes(database) > max_bytes:
        removed = _remove(database, _oldest(database))
        if not removed:
            break
        gone += removed
    while time.monotonic() < until and _free_pages(database):
        before = _free_pages(database)
        database.execute("PRAGMA incremental_vacuum(1000)").fetchall()
        if _free_pages(database) == before:
            break  # a file of an earlier version, which uses its free pages again but does not shrink
    return gone


def _too_old(database: Database, keep_days: float, now: datetime) -> list[int]:
    """Return the runs whose samples are older than they are kept, the oldest first."""
    rows = database.execute(
        "SELECT id FROM run WHERE started_us < CASE WHEN incident IS NULL THEN ? ELSE ? END"
        " AND EXISTS (SELECT 1 FROM sample WHERE sample.run = run.id) ORDER BY started_us",
        (micros(now - timedelta(days=keep_days)), micros(now - timedelta(days=INCIDENTS * keep_days))),
    )
    return [run for (run,) in rows]


def _oldest(database: Database) -> int | None:
    """Return the run whose samples are to go first: the oldest of no incident, else the oldest; never the newest run."""
    row = database.execute(
        "SELECT id FROM run WHERE EXISTS (SELECT 1 FROM sample WHERE sample.run = run.id)"
        " AND id <> (SELECT id FROM run ORDER BY started_us DESC, id DESC LIMIT 1)"
        " ORDER BY incident IS NOT NULL, started_us LIMIT 1"
    ).fetchone()
    return None if row is None else int(row[0])


def _empty(database: Database, run: int, until: float) -> int:
    gone = 0
    while removed := _remove(database, run):
        gone += removed
        if time.monotonic() >= until:
            break
    return gone


def _remove(database: Database, run: int | None) -> int:
    """Remove one chunk of a run's samples; return how many."""
    with _transaction(database):
        return database.execute(
            "DELETE FROM sample WHERE run = ? AND (target, service, at_us) IN"
            " (SELECT target, service, at_us FROM sample WHERE run = ? LIMIT ?)",
            (run, run, _CHUNK),
        ).rowcount


def _used_bytes(database: Database) -> int:
    pages, size = (int(database.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))
    return (pages - _free_pages(database)) * size


def _free_pages(database: Database) -> int:
    return int(database.execute("PRAGMA freelist_count").fetchone()[0])


@contextmanager
def _transaction(database: Database) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")

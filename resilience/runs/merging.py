"""Take over into one history what another keeps, so that doing it twice adds nothing: another host's, or a copy to carry away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resilience.core.records import ConnectivityStatus
from resilience.runs.database import Database
from resilience.runs.history import DAY_MINUTES, LAPSE_US, SAMPLE_COLUMNS, History, Sums
from resilience.runs.pruning import MINUTE_US

_DAY_US = DAY_MINUTES * MINUTE_US
_RUN = "host, name, network, started_us, finished_us, verdict, exit_code, mode, tested, revision"
_CHUNK = 20_000
"""Samples that are held at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """How many rows were new: runs, samples, days of which only the figures are left, and outages."""

    runs: int = 0
    samples: int = 0
    days: int = 0
    incidents: int = 0


def merge(source: History, target: History) -> Merged:
    """Add to `target` what `source` keeps and it does not. Raises sqlite3.Error, HistoryError.

    A day of which the target knows nothing is taken as its figures, since the samples behind them may be pruned; on a day
    that it knows, the samples that it lacks are added to the figures. An outage that overlaps one of the target's, in the
    same environment, is that one. The outbox stays where it is: what another host has to send is its own.
    """
    words = dict(source.db.execute("SELECT id, text FROM word"))
    taking = _Taking(source.db, target, words)
    with target.writing():  # all of it at once: half of it done twice would count samples of whole days again
        days = taking.days()
        incidents = taking.incidents()
        taking.said()
        runs = taking.runs()
        theirs = source.db.execute("SELECT id, host, name FROM run ORDER BY id").fetchall()
        samples = sum(taking.samples(*one) for one in theirs)
    return Merged(runs=runs, samples=samples, days=days, incidents=incidents)


class _Taking:
    """One merge under way. `whole` are the days that were taken as figures, by environment, service and day."""

    def __init__(self, source: Database, target: History, words: Mapping[int, str]) -> None:
        self._source, self._target, self._words = source, target, words
        self._whole: set[tuple[int, int, int]] = set()
        self._incidents: dict[str, str] = {}

    def _number(self, theirs: int) -> int:
        return self._target.number_of(self._words[theirs])

    def days(self) -> int:
        """Take the figures of days and of their minutes, of each service that the target does not know on that day."""
        known = set(map(tuple, self._target.db.execute("SELECT environment, service, day FROM day")))
        found = []
        for environment, service, day, *figures in self._source.execute(
            "SELECT environment, service, day, samples, lost, max_us, counts FROM day"
        ):
            ours = (self._number(environment), self._number(service), day)
            if ours not in known:
                self._whole.add(ours)
                found.append((*ours, *figures))
        self._target.db.executemany("INSERT INTO day VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", found)
        minutes = []
        for environment, service, minute, *figures in self._source.execute(
            "SELECT environment, service, minute, samples, lost, max_us, counts FROM minute"
        ):
            ours = (self._number(environment), self._number(service), minute // DAY_MINUTES)
            if ours in self._whole:
                minutes.append((*ours[:2], minute, *figures))
        self._target.db.executemany("INSERT INTO minute VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", minutes)
        return len(found)

    def incidents(self) -> int:
        """Take the outages; return how many were new. One that overlaps another of its environment is the same outage."""
        new = 0
        db = self._target.db
        for name, environment, opened, closed, last_bad, detected, applied in self._source.execute(
            "SELECT id, environment, opened_us, closed_us, last_bad_us, detected_us, applied_us FROM incident ORDER BY opened_us"
        ):
            place = self._number(environment)
            ends = closed if closed is not None else last_bad + LAPSE_US
            same = db.execute(
                "SELECT id FROM incident WHERE environment = ? AND opened_us <= ? AND coalesce(closed_us, last_bad_us + ?) >= ?"
                " ORDER BY opened_us DESC LIMIT 1",
                (place, ends, LAPSE_US, opened),
            ).fetchone()
            self._incidents[name] = str(same[0]) if same else name
            if same is None:
                new += 1
                db.execute(
                    "INSERT INTO incident (id, environment, opened_us, closed_us, last_bad_us, detected_us, applied_us)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (name, place, opened, closed, last_bad, detected, applied),
                )
                continue
            ours = self._incidents[name]
            db.execute("UPDATE incident SET opened_us = ? WHERE id = ? AND opened_us > ?", (opened, ours, opened))
            db.execute(
                "UPDATE incident SET last_bad_us = ? WHERE id = ? AND last_bad_us < ?", (last_bad, ours, last_bad)
            )
            for column, at in (("closed_us", closed), ("detected_us", detected), ("applied_us", applied)):
                if at is not None:
                    db.execute(f"UPDATE incident SET {column} = coalesce({column}, ?) WHERE id = ?", (at, ours))  # noqa: S608 - our own names
        return new

    def said(self) -> None:
        """Take what people said, each sentence once."""
        for environment, incident, *rest in self._source.execute(
            "SELECT environment, incident, at_us, until_us, kind, author, text FROM said ORDER BY id"
        ):
            place, of = self._number(environment), self._incidents.get(incident, incident)
            at, _, kind, author, text = rest
            there = self._target.db.execute(
                "SELECT 1 FROM said WHERE environment = ? AND at_us = ? AND kind = ? AND author = ? AND text = ?",
                (place, at, kind, author, text),
            ).fetchone()
            if there is None:
                self._target.db.execute(
                    "INSERT INTO said (environment, incident, at_us, until_us, kind, author, text) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (place, of, *rest),
                )

    def runs(self) -> int:
        """Take the runs and what their tests came to; return how many were new."""
        db = self._target.db
        before = db.execute("SELECT count(*) FROM run").fetchone()[0]
        for number, environment, incident, *row in self._source.execute(
            f"SELECT id, environment, incident, {_RUN} FROM run ORDER BY id"  # noqa: S608 - our own names
        ).fetchall():
            of = self._incidents.get(incident, incident)
            db.execute(
                f"INSERT INTO run (environment, incident, {_RUN}) VALUES ({', '.join('?' * (len(row) + 2))})"  # noqa: S608 - as above
                " ON CONFLICT (host, name) DO UPDATE SET finished_us = coalesce(run.finished_us, excluded.finished_us),"
                " incident = coalesce(run.incident, excluded.incident)",
                (self._number(environment), of, *row),
            )
            ours = self._run(row[0], row[1])
            db.executemany(
                "INSERT INTO noted VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [
                    (ours, self._number(test), what)
                    for test, what in self._source.execute("SELECT test, what FROM noted WHERE run = ?", (number,))
                ],
            )
        return int(db.execute("SELECT count(*) FROM run").fetchone()[0] - before)

    def _run(self, host: str, name: str) -> int:
        found = self._target.db.execute("SELECT id FROM run WHERE host = ? AND name = ?", (host, name)).fetchone()
        return int(found[0])

    def samples(self, number: int, host: str, name: str) -> int:
        """Take the samples of one run; return how many were new."""
        run = self._run(host, name)
        return sum(self._take(run, chunk) for chunk in self._chunks(number))

    def _chunks(self, number: int) -> Iterator[Sequence[Any]]:
        columns = ", ".join(SAMPLE_COLUMNS[1:])
        last = (-1, -1, -1)
        while True:
            rows = self._source.execute(
                f"SELECT {columns} FROM sample WHERE run = ? AND (target, service, at_us) > (?, ?, ?)"  # noqa: S608 - our own names
                " ORDER BY target, service, at_us LIMIT ?",
                (number, *last, _CHUNK),
            ).fetchall()
            if not rows:
                return
            yield rows
            last = tuple(rows[-1][:3])

    def _take(self, run: int, rows: Sequence[Any]) -> int:
        """Add the samples of this run that the target lacks, and their figures where the day was not taken whole."""
        db = self._target.db
        place = int(db.execute("SELECT environment FROM run WHERE id = ?", (run,)).fetchone()[0])
        keys = [(self._number(target), self._number(service), at) for target, service, at, *_ in rows]
        known = self._target.known(run, keys)
        fresh = []
        sums: dict[str, dict[tuple[str, int], Sums]] = {"minute": {}, "day": {}}
        for ours, (target, service, at, status, took, fault, stage, *phases) in zip(keys, rows, strict=True):
            if ours in known:
                continue
            word = self._words[status]
            fresh.append(
                (run, *ours, self._number(status), took, None if fault is None else self._number(fault),
                 self._number(stage), *phases)
            )  # fmt: skip
            if self._words[target] != "staging" or word == ConnectivityStatus.UNKNOWN:
                continue
            if (place, ours[1], at // _DAY_US) in self._whole:
                continue
            for table, key in (("minute", at // MINUTE_US), ("day", at // _DAY_US)):
                row = sums[table].setdefault((self._words[service], key), Sums())
                row.count(took, lost=word == ConnectivityStatus.UNAVAILABLE)
        self._target.add(fresh)
        for table, found in sums.items():
            self._target.merge(table, place, found)
        return len(fresh)

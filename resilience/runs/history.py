"""Keep samples, runs and incidents of all runs in SQLite, so that a report shows the outage and not only this run of it.

Times are microseconds since 1970. Per service and minute, and per service and day, counts and a log-scaled histogram are kept as
samples are written: merging two is adding counts, so a percentile of any period is read from the sum and is never one of
percentiles. Words (service, status, fault, a test's id) are kept once, by number; numbers of an enum would change their meaning
when one is added.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from resilience.core.errors import RecordError, ResilienceError
from resilience.core.escalation import Suites, suites_in_a_row, was_blocked
from resilience.core.records import (
    ConnectivityStatus,
    EventKind,
    FaultCode,
    Incident,
    Phases,
    Sample,
    TestExecutionMode,
    TimelineEvent,
    Verdict,
)
from resilience.core.tasks import ACKNOWLEDGED
from resilience.report.series import PHASES, micros, moment
from resilience.report.view import Day, PastRun
from resilience.report.view.modes import applied_here
from resilience.runs import pruning, spool
from resilience.runs.database import Database
from resilience.runs.folder import INCIDENT, read_incident, read_samples
from resilience.runs.histogram import bucket_of, pack, percentile_of, unpack
from resilience.runs.memory import LOOKS
from resilience.runs.noted import note_tests
from resilience.runs.pruning import MINUTE_US

VERSION = 3
"""`user_version` of the file; `MIGRATIONS[n]` leads from n to n + 1."""
BUSY_S = 5.0
TAKEN_BACK = "acknowledgement taken back"
"""What a timeline says of an ack that ends as it begins."""
LAPSE_H = 24.0
"""Hours without a bad sample after which an incident that nobody saw recover is no longer the same outage."""
LAPSE_US = int(LAPSE_H * 3_600_000_000)
DAY_MINUTES = 1440
_BAD = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED)
_ANSWERED = (ConnectivityStatus.AVAILABLE, ConnectivityStatus.DEGRADED)
_KNOWN = (*_ANSWERED, ConnectivityStatus.UNAVAILABLE)
_PHASES_US = tuple(f"{name}_us" for name in PHASES)
_PHASE_COLUMNS = ", ".join(_PHASES_US)
SAMPLE_COLUMNS = ("run", "target", "service", "at_us", "status", "took_us", "fault", "stage", *_PHASES_US)

MIGRATIONS = (
    f"""
    CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
    CREATE TABLE incident (
        id TEXT PRIMARY KEY, environment INTEGER NOT NULL, opened_us INTEGER NOT NULL, closed_us INTEGER,
        last_bad_us INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE run (
        id INTEGER PRIMARY KEY, host TEXT NOT NULL, name TEXT NOT NULL, environment INTEGER NOT NULL, network TEXT NOT NULL,
        started_us INTEGER NOT NULL, finished_us INTEGER, verdict TEXT NOT NULL, exit_code INTEGER, mode TEXT NOT NULL,
        tested INTEGER NOT NULL, incident TEXT, UNIQUE (host, name)
    );
    CREATE INDEX run_by_time ON run (environment, started_us);
    CREATE INDEX run_by_incident ON run (incident);
    CREATE TABLE sample (
        run INTEGER NOT NULL, target INTEGER NOT NULL, service INTEGER NOT NULL, at_us INTEGER NOT NULL,
        status INTEGER NOT NULL, took_us INTEGER, fault INTEGER, stage INTEGER NOT NULL,
        {", ".join(f"{name}_us INTEGER" for name in PHASES)},
        PRIMARY KEY (run, target, service, at_us)
    ) WITHOUT ROWID;
    CREATE TABLE minute (
        environment INTEGER NOT NULL, service INTEGER NOT NULL, minute INTEGER NOT NULL,
        samples INTEGER NOT NULL, lost INTEGER NOT NULL, max_us INTEGER NOT NULL, counts BLOB NOT NULL,
        PRIMARY KEY (environment, service, minute)
    ) WITHOUT ROWID;
    CREATE TABLE reached (host TEXT, network TEXT, service INTEGER, at_us INTEGER NOT NULL,
        PRIMARY KEY (host, network, service)) WITHOUT ROWID;
    """,
    """
    CREATE TABLE said (
        id INTEGER PRIMARY KEY, environment INTEGER NOT NULL, incident TEXT, at_us INTEGER NOT NULL, until_us INTEGER,
        kind TEXT NOT NULL, author TEXT NOT NULL, text TEXT NOT NULL
    );
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, body TEXT NOT NULL,
        created_us INTEGER NOT NULL, not_before_us INTEGER NOT NULL, attempts INTEGER NOT NULL, state TEXT NOT NULL,
        error TEXT NOT NULL
    );
    CREATE INDEX outbox_by_state ON outbox (state, channel, id);
    CREATE TABLE kept (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE day (
        environment INTEGER NOT NULL, service INTEGER NOT NULL, day INTEGER NOT NULL,
        samples INTEGER NOT NULL, lost INTEGER NOT NULL, max_us INTEGER NOT NULL, counts BLOB NOT NULL,
        PRIMARY KEY (environment, service, day)
    ) WITHOUT ROWID;
    CREATE TABLE noted (
        run INTEGER NOT NULL, test INTEGER NOT NULL, what TEXT NOT NULL, PRIMARY KEY (run, test, what)
    ) WITHOUT ROWID;
    ALTER TABLE run ADD COLUMN revision TEXT NOT NULL DEFAULT '';
    ALTER TABLE incident ADD COLUMN detected_us INTEGER;
    ALTER TABLE incident ADD COLUMN applied_us INTEGER
    """,
)


class HistoryError(ResilienceError):
    """The history cannot be opened; runs go on and reports are made without it."""


class MinuteRow(NamedTuple):
    """One service in one minute. Seconds; `p50_s` and `p95_s` are the upper bounds of their buckets, `max_s` is exact.

    `lost` had no answer; `p50_s` and the others are of those that answered, None where none did.
    """

    service: str
    at: datetime
    samples: int
    lost: int
    p50_s: float | None
    p95_s: float | None
    max_s: float | None


class IncidentRow(NamedTuple):
    """One outage, over all runs that saw it; `closed_at` is None while it lasts."""

    id: str
    environment: str
    opened_at: datetime
    closed_at: datetime | None
    runs: int


class History:
    """The history in this file, made where there is none. Every method is one transaction.

    A damaged file is set aside under another name and a new one begun; while it is locked or full, `record` writes
    what it was given into the folder `history-spool` beside it, from where the next `record` that succeeds takes it.
    Raises HistoryError where nothing can be opened at all.

    Measured: eight processes reached 32,000 commits a second with a busy time-out, and ten kill -9 lost no
    acknowledged row. WAL needs a local disk.
    """

    def __init__(self, path: Path | str, *, busy_timeout_s: float = BUSY_S, redact: Callable[[str], str] = str) -> None:
        """Open the file, or make it. `busy_timeout_s`: how long a transaction waits for another process that writes.

        `redact` is what the ids of tests go through, in which a parameter may be a secret.

        Only a file that is no database is set aside; one that is locked or on a full disk is whole, and is left alone.
        """
        if "://" in str(path):
            raise HistoryError(
                "a history in another database than SQLite is not supported yet.",
                hint="import the runs of other hosts: History(path).import_folder(their_outputs)",
            )
        self.path = Path(path)
        self.spool = self.path.with_name("history-spool")
        self.notes: list[str] = []
        self._busy_s = busy_timeout_s
        self._redact = redact
        self._words: dict[str, int] = {}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._open()
            except sqlite3.DatabaseError as exc:
                if isinstance(exc, sqlite3.OperationalError):
                    raise
                self._set_aside()
                self._open()
        except (sqlite3.Error, OSError) as exc:
            raise HistoryError(f"{self.path.name} cannot be opened: {exc}.", hint=f"ls -l {self.path.parent}") from exc

    def _open(self) -> None:
        """Connect and bring the file up to date. Raises HistoryError for a file of a newer version, sqlite3.Error."""
        self._db: Database = sqlite3.connect(self.path, timeout=self._busy_s, isolation_level=None)
        try:
            self._db.execute(f"PRAGMA busy_timeout = {int(self._busy_s * 1000)}")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise HistoryError(
                    f"{self.path.name} was written by a newer version (user_version {version}, known: {VERSION}).",
                    hint="pipx upgrade resilience-runbook",
                )
            if version < VERSION:
                # Before the first table, else it does nothing: what `prune` frees is then given back to the disk.
                self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")
                self._db.execute("PRAGMA journal_mode = WAL")
                self._migrate()
            self._db.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            self._db.close()
            raise

    def _migrate(self) -> None:
        with self._writing():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]  # another process may have been first
            for step in MIGRATIONS[version:]:
                for statement in step.split(";"):
                    if statement.strip():
                        self._db.execute(statement)
            if version < 3:
                self._days_of_minutes()
            self._db.execute(f"PRAGMA user_version = {VERSION}")

    def _days_of_minutes(self) -> None:
        """Make the days of what a file without them has kept by minute; that is done once, when it is first opened by us."""
        days: dict[tuple[int, int, int], Sums] = {}
        for environment, service, day, *figures in self._db.execute(
            "SELECT environment, service, minute / ?, samples, lost, max_us, counts FROM minute", (DAY_MINUTES,)
        ):
            days.setdefault((environment, service, day), Sums()).merge(*figures)
        self._db.executemany(
            "INSERT INTO day VALUES (?, ?, ?, ?, ?, ?, ?)", ((*key, *sums.row) for key, sums in days.items())
        )

    def _set_aside(self) -> None:
        """Rename the damaged file with its WAL, so that somebody may still mend it.

        A damaged history must not stop a run.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.replace(self.path.with_name(f"{self.path.stem}.damaged-{stamp}{self.path.suffix}{suffix}"))
        aside = f"{self.path.stem}.damaged-{stamp}{self.path.suffix}"
        self.notes.append(f"{self.path.name} was damaged; it was set aside as {aside} and a new one begun")

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def is_in(self, path: Path) -> bool:
        """Say whether this history is kept in that file."""
        return self.path.exists() and path.exists() and self.path.samefile(path)

    @property
    def db(self) -> Database:
        """The connection, for what else is kept in this file (`runs.keeping`); written to inside `writing` alone."""
        return self._db

    @contextlib.contextmanager
    def reading(self) -> Iterator[Database]:
        """Let several queries see one state of the file, whoever writes meanwhile."""
        self._db.execute("BEGIN")
        try:
            yield self._db
        finally:
            self._db.execute("ROLLBACK")

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Return the context of one transaction that writes. Raises sqlite3.Error."""
        return self._writing()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the write lock from the start: a transaction that takes it late fails where it could have waited.

        Words that were numbered in a transaction that failed are forgotten with it.
        """
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            # A full disk has already rolled back; then this is refused.
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            self._words.clear()
            raise
        self._db.execute("COMMIT")

    def record(self, samples: Sequence[Sample], incident: Incident) -> int:
        """Add samples and what is known of their run; return how many were new. When it returns they are kept.

        Opens an incident with the first bad look of an environment, and closes it as staging is proved well. Raises
        OSError only where neither the history nor the spool can be written.
        """
        try:
            added = self._record(samples, incident)
            if self.spool.is_dir():
                self._take_spool()
        except sqlite3.Error as exc:
            self.notes.append(f"{self.path.name}: {exc}; kept in {self.spool.name} until it can be written")
            spool.put(self.spool, samples, incident)
            return 0
        return added

    def _record(self, samples: Iterable[Sample], incident: Incident) -> int:
        with self._writing():
            run = self._run(incident)
            fresh = self._fresh(run, samples)
            self.add(self._rows(run, fresh))
            environment = self.number_of(incident.environment)
            self._roll_up(environment, fresh)
            note_tests(self._db, run, incident, number_of=lambda text: self.number_of(self._redact(text)))
            self._reached(incident, fresh)
            self._incident(run, environment, incident, fresh)
        return len(fresh)

    def add(self, rows: Iterable[tuple[int | None, ...]]) -> None:
        """Add samples as rows of `SAMPLE_COLUMNS`, inside `writing`; those that are there stay as they are."""
        self._db.executemany(
            f"INSERT INTO sample VALUES ({', '.join('?' * len(SAMPLE_COLUMNS))}) ON CONFLICT DO NOTHING",  # noqa: S608 - question marks
            rows,
        )

    def number_of(self, text: str) -> int:
        """Return the number of this word, given to it now where it has none; inside `writing`."""
        number = self._words.get(text)
        if number is None:
            self._db.execute("INSERT INTO word (text) VALUES (?) ON CONFLICT DO NOTHING", (text,))
            number = int(self._db.execute("SELECT id FROM word WHERE text = ?", (text,)).fetchone()[0])
            self._words[text] = number
        return number

    def _run(self, incident: Incident) -> int:
        """Return the number of this run, and keep what is known of it by now.

        Host and name say which run it is, so that the runs of other hosts can be imported twice. What a later record
        leaves open, such as the end, does not take away what an earlier one said.
        """
        mode = incident.tests.mode if incident.tests else incident.decision.mode if incident.decision else ""
        row = (
            incident.vantage.host,
            incident.run,
            self.number_of(incident.environment),
            incident.vantage.network,
            micros(incident.started_at),
            micros(incident.finished_at) if incident.finished_at else None,
            incident.verdict.value,
            incident.exit_code,
            str(mode),
            int(incident.tests is not None or was_blocked(incident)),
            incident.commit,
        )
        self._db.execute(
            "INSERT INTO run (host, name, environment, network, started_us, finished_us, verdict, exit_code, mode, tested,"
            " revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (host, name) DO UPDATE SET"
            " finished_us = coalesce(excluded.finished_us, run.finished_us), verdict = excluded.verdict,"
            " exit_code = coalesce(excluded.exit_code, run.exit_code), mode = excluded.mode, tested = excluded.tested,"
            " revision = excluded.revision",
            row,
        )
        found = self._db.execute("SELECT id FROM run WHERE host = ? AND name = ?", row[:2]).fetchone()
        return int(found[0])

    def _fresh(self, run: int, samples: Iterable[Sample]) -> list[tuple[int, Sample]]:
        """Return those not yet kept, with their times, so that importing twice counts once.

        Service, target and time say which sample it is, within its run.
        """
        told = [(micros(sample.at), sample) for sample in samples]
        keys = [(self.number_of(sample.target), self.number_of(sample.service), at) for at, sample in told]
        known = self.known(run, keys)
        fresh: list[tuple[int, Sample]] = []
        for key, pair in zip(keys, told, strict=True):
            if key not in known:
                known.add(key)
                fresh.append(pair)
        return fresh

    def known(self, run: int, keys: Iterable[tuple[int, int, int]]) -> set[tuple[int, int, int]]:
        """Return samples of this run that are kept, of these (target, service, time) at least those that are.

        By service and time, as a run may have a million others.
        """
        lines: dict[tuple[int, int], list[int]] = {}
        for target, service, at in keys:
            lines.setdefault((target, service), []).append(at)
        return {
            (*line, at)
            for line, times in lines.items()
            for (at,) in self._db.execute(
                "SELECT at_us FROM sample WHERE run = ? AND target = ? AND service = ? AND at_us BETWEEN ? AND ?",
                (run, *line, min(times), max(times)),
            )
        }

    def _rows(self, run: int, fresh: Iterable[tuple[int, Sample]]) -> Iterator[tuple[int | None, ...]]:
        word = self.number_of
        for at, sample in fresh:
            p = sample.phases
            yield (
                run,
                word(sample.target),
                word(sample.service),
                at,
                word(sample.status),
                _us(sample.response_time_s),
                None if sample.fault is None else word(sample.fault),
                word(sample.stage),
                _us(p.dns_s),
                _us(p.tcp_s),
                _us(p.tls_s),
                _us(p.first_byte_s),
                _us(p.query_s),
            )

    def _roll_up(self, environment: int, fresh: Iterable[tuple[int, Sample]]) -> None:
        """Add new samples of staging to the figures of their minutes and days; what is not known counts neither way.

        A row is merged with what is there, as its samples may come in several batches, or from another host: sums are
        added, the highest stays exact, and the histograms' counts are added bucket by bucket.
        """
        minutes: dict[tuple[str, int], Sums] = {}
        days: dict[tuple[str, int], Sums] = {}
        for at, sample in fresh:
            if sample.target == "staging" and sample.status in _KNOWN:
                minute = at // MINUTE_US
                took, lost = _us(sample.response_time_s), sample.status is ConnectivityStatus.UNAVAILABLE
                minutes.setdefault((sample.service, minute), Sums()).count(took, lost=lost)
                days.setdefault((sample.service, minute // DAY_MINUTES), Sums()).count(took, lost=lost)
        for table, rows in (("minute", minutes), ("day", days)):
            self.merge(table, environment, rows)

    def merge(self, table: str, environment: int, rows: Mapping[tuple[str, int], Sums]) -> None:
        """Merge sums into the rows of a table, minute or day."""
        numbered = {(self.number_of(service), number): sums for (service, number), sums in rows.items()}
        for service, number, *before in self._before(table, environment, numbered):
            if (service, number) in numbered:
                numbered[service, number].merge(*before)
        self._db.executemany(
            f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (environment, service, {table}) DO UPDATE SET"  # noqa: S608 - our own names
            " samples = excluded.samples, lost = excluded.lost, max_us = excluded.max_us, counts = excluded.counts",
            [(environment, service, number, *sums.row) for (service, number), sums in numbered.items()],
        )

    def _before(self, table: str, environment: int, keys: Collection[tuple[int, int]]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of these services and minutes (or days) that are kept, and perhaps some between."""
        services: dict[int, list[int]] = {}
        for service, number in keys:
            services.setdefault(service, []).append(number)
        for service, numbers in services.items():
            yield from self._db.execute(
                f"SELECT service, {table}, samples, lost, max_us, counts FROM {table}"  # noqa: S608 - our own names
                f" WHERE environment = ? AND service = ? AND {table} BETWEEN ? AND ?",
                (environment, service, min(numbers), max(numbers)),
            ).fetchall()

    def _reached(self, incident: Incident, fresh: Iterable[tuple[int, Sample]]) -> None:
        """Note when each service last answered this host in its network; "never yet reached" is told by that."""
        last: dict[str, int] = {}
        for at, sample in fresh:
            if sample.target == "staging" and sample.status in _ANSWERED and at > last.get(sample.service, 0):
                last[sample.service] = at
        self._db.executemany(
            "INSERT INTO reached VALUES (?, ?, ?, ?) ON CONFLICT (host, network, service)"
            " DO UPDATE SET at_us = excluded.at_us WHERE reached.at_us < excluded.at_us",
            [(incident.vantage.host, incident.vantage.network, self.number_of(name), at) for name, at in last.items()],
        )

    def _incident(self, run: int, environment: int, incident: Incident, fresh: Sequence[tuple[int, Sample]]) -> None:
        """Put the run into the incident that it belongs to; open one with the first bad look, close it as staging is proved well.

        Proved by a recovery, or by a full pass on real staging that began after the last bad sample. A drill is an incident
        of its own: its outage is made anew, and has nothing to do with the one of the drill before. Any other run belongs
        to the latest incident of its environment that was open at the time of its bad samples, or, where it has none, at
        its start. An incident that nobody saw recover counts as open for `LAPSE_H` hours after its last bad sample. A run
        of another host may have seen the outage earlier: then the incident begins earlier.
        """
        bad = _bad_times(incident, fresh)
        started = micros(incident.outage_started_at) if incident.outage_started_at and bad else min(bad, default=0)
        if incident.drill:
            name = self.incident_of(incident) or None
        else:
            name = self._open_at(environment, started if bad else micros(incident.started_at), bad, incident)
        if name is None:
            if not bad:
                return
            name = f"{incident.environment.replace(' ', '-')}-{moment(started):%Y%m%dT%H%M%SZ}" + (
                f"-{run}" if incident.drill else ""
            )
            row = (name, environment, started, max(bad))
            self._db.execute(
                "INSERT INTO incident (id, environment, opened_us, last_bad_us) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                row,
            )
        elif bad:
            self._db.execute(
                "UPDATE incident SET opened_us = ? WHERE id = ? AND opened_us > ?", (started, name, started)
            )
            self._db.execute(
                "UPDATE incident SET last_bad_us = ? WHERE id = ? AND last_bad_us < ?", (max(bad), name, max(bad))
            )
        self._db.execute("UPDATE run SET incident = ? WHERE id = ? AND incident IS NULL", (name, run))
        for column, at in (("detected_us", _detected(incident)), ("applied_us", _applied(incident))):
            if at is not None:
                self._db.execute(
                    f"UPDATE incident SET {column} = ? WHERE id = ? AND coalesce({column}, ?) >= ?",  # noqa: S608 - our own names
                    (at, name, at, at),
                )
        recovery = incident.recovery
        if recovery is not None and recovery.recovered:
            back = recovery.first_good_at or recovery.started_at + timedelta(seconds=recovery.duration_s)
            self._db.execute(
                "UPDATE incident SET closed_us = CASE WHEN opened_us > ? THEN opened_us ELSE ? END"
                " WHERE id = ? AND closed_us IS NULL",
                (micros(back), micros(back), name),
            )
        elif _is_full_pass(incident):
            self._db.execute(
                "UPDATE incident SET closed_us = ? WHERE id = ? AND closed_us IS NULL AND last_bad_us < ?",
                (micros(incident.started_at), name, micros(incident.started_at)),
            )

    def _open_at(self, environment: int, since: int, bad: Sequence[int], incident: Incident) -> str | None:
        """Return the latest incident that was open between `since` and the run's last bad sample, else its start."""
        lapse = LAPSE_US
        until = max(bad, default=micros(incident.started_at))
        row = self._db.execute(
            "SELECT id FROM incident WHERE environment = ? AND opened_us - ? <= ?"
            " AND coalesce(closed_us, last_bad_us + ?) >= ? ORDER BY opened_us DESC LIMIT 1",
            (environment, lapse, until, lapse, since),
        ).fetchone()
        return None if row is None else str(row[0])

    def _take_spool(self) -> None:
        """Record what was kept while the history could not be written."""
        for path, samples, incident in spool.taken(self.spool, self.notes):
            self._record(samples, incident)
            path.unlink(missing_ok=True)
        spool.tidy(self.spool)

    def import_folder(self, outputs: Path) -> int:
        """Take the runs in another host's outputs folder; return how many samples were new. Doing it twice adds nothing.

        Drills are left out: what an embedded lab did is no history of staging, and has a file of its own.
        """
        added = 0
        for path in sorted(outputs.glob(f"*/*/{INCIDENT}")):
            try:
                incident = read_incident(path.parent)
                if incident.drill:
                    continue
                added += self._record(read_samples(path.parent, problems=self.notes), incident)
            except (RecordError, OSError) as exc:
                self.notes.append(f"{path}: {exc}")
        return added

    def runs(self, environment: str | None = None, *, limit: int = 1000) -> tuple[PastRun, ...]:
        """Return the latest runs, oldest first.

        Of one environment where one is named. `limit` counts from the newest.
        """
        rows = self._db.execute(
            "SELECT name, started_us, host, verdict, mode FROM run JOIN word ON word.id = environment"
            " WHERE CAST(? AS TEXT) IS NULL OR text = ? ORDER BY started_us DESC, run.id DESC LIMIT ?",
            (environment, environment, limit),
        )
        return tuple(_past(row) for row in reversed(rows.fetchall()))

    def incident(self, incident_id: str) -> IncidentRow | None:
        """Return this incident, or None."""
        return next((row for row in self.incidents() if row.id == incident_id), None)

    def open_incident(self, environment: str) -> IncidentRow | None:
        """Return the incident of this environment that lasts, or None; one that nobody saw end lapses after `LAPSE_H`."""
        since = time.time_ns() // 1000 - LAPSE_US
        row = self._db.execute(
            "SELECT incident.id FROM incident JOIN word ON word.id = environment WHERE text = ? AND closed_us IS NULL"
            " AND last_bad_us >= ? ORDER BY opened_us DESC LIMIT 1",
            (environment, since),
        ).fetchone()
        return None if row is None else self.incident(str(row[0]))

    def incidents(self, environment: str | None = None) -> tuple[IncidentRow, ...]:
        """Return the incidents, oldest first."""
        rows = self._db.execute(
            "SELECT incident.id, text, opened_us, closed_us, (SELECT count(*) FROM run WHERE run.incident = incident.id)"
            " FROM incident JOIN word ON word.id = environment WHERE CAST(? AS TEXT) IS NULL OR text = ? ORDER BY opened_us",
            (environment, environment),
        )
        return tuple(
            IncidentRow(name, text, moment(opened), moment(closed) if closed is not None else None, count)
            for name, text, opened, closed, count in rows
        )

    def incident_of(self, incident: Incident) -> str:
        """Return the id of the incident to which this run belongs, or nothing."""
        row = self._db.execute(
            "SELECT incident FROM run WHERE host = ? AND name = ?", (incident.vantage.host, incident.run)
        ).fetchone()
        return str(row[0]) if row and row[0] else ""

    def noted(self, incident: Incident) -> tuple[TimelineEvent, ...]:
        """Return what people noted of the outage that this run saw, and while it ran, with their names, oldest first."""
        name = incident.incident_id or self.incident_of(incident)
        until = micros(incident.finished_at) if incident.finished_at else time.time_ns() // 1000
        rows = self._db.execute(
            "SELECT at_us, kind, author, said.text, until_us FROM said JOIN word ON word.id = environment WHERE word.text = ?"
            " AND (incident = ? OR (incident IS NULL AND at_us BETWEEN ? AND ?)) ORDER BY at_us, said.id",
            (incident.environment, name, micros(incident.started_at), until),
        )
        return tuple(
            TimelineEvent(
                at=moment(at),
                what="note" if kind != "ack" else TAKEN_BACK if until == at else ACKNOWLEDGED,
                detail=f"{text} (by {author})" if text else f"by {author}",
                kind=EventKind.BY_HAND,
            )
            for at, kind, author, text, until in rows
        )

    def bad_services(self, incident_id: str) -> tuple[str, ...]:
        """Return the services of staging that were seen unwell in this incident, by name."""
        rows = self._db.execute(
            "SELECT DISTINCT service.text FROM sample JOIN run ON run.id = sample.run"
            " JOIN word AS service ON service.id = sample.service JOIN word AS state ON state.id = sample.status"
            " JOIN word AS target ON target.id = sample.target"
            " WHERE run.incident = ? AND target.text = 'staging' AND state.text IN (?, ?) ORDER BY service.text",
            (incident_id, *(status.value for status in _BAD)),
        )
        return tuple(name for (name,) in rows)

    def incident_runs(self, incident_id: str) -> tuple[PastRun, ...]:
        """Return the runs of one incident, oldest first."""
        rows = self._db.execute(
            "SELECT name, started_us, host, verdict, mode FROM run WHERE incident = ? AND name NOT LIKE ?"
            " ORDER BY started_us, id",
            (incident_id, f"{LOOKS}%"),
        )
        return tuple(_past(row) for row in rows)

    def incident_samples(self, incident_id: str, *, except_run: str = "") -> Iterator[Sample]:
        """Return the samples of all runs of one incident but the named, by time.

        One after the other, as there may be a million; use them before the history is closed.
        """
        words = {number: text for number, text in self._db.execute("SELECT id, text FROM word")}
        rows = self._db.execute(
            f"SELECT at_us, service, status, took_us, fault, target, stage, {_PHASE_COLUMNS} FROM sample JOIN run"  # noqa: S608 - our own column names
            " ON run.id = sample.run WHERE incident = ? AND name <> ? ORDER BY at_us",
            (incident_id, except_run),
        )
        for at, service, status, took, fault, target, stage, *phases in rows:
            dns, tcp, tls, first_byte, query = (_s(value) for value in phases)
            yield Sample(
                at=moment(at),
                service=words[service],
                status=ConnectivityStatus(words[status]),
                response_time_s=_s(took),
                fault=FaultCode(words[fault]) if fault is not None else None,
                phases=Phases(dns_s=dns, tcp_s=tcp, tls_s=tls, first_byte_s=first_byte, query_s=query),
                target=words[target],
                stage=words[stage],
            )

    def reached(self, host: str, network: str | None = None) -> frozenset[str]:
        """Return the services of staging ever reached from this host, in this network where one is given."""
        rows = self._db.execute(
            "SELECT DISTINCT text FROM reached JOIN word ON word.id = service"
            " WHERE host = ? AND (CAST(? AS TEXT) IS NULL OR network = ?)",
            (host, network, network),
        )
        return frozenset(name for (name,) in rows)

    def down_since(
        self, environment: str, *, good: int = 1, services: Collection[str] | None = None
    ) -> datetime | None:
        """Return since when the outage that lasts does so, or None where none is known.

        That is the first bad sample of one of these services (all where none are named) after the last time that it was
        good for `good` samples in a row: fewer are luck, and after as many the clock begins anew.
        """
        row = self._db.execute(
            "SELECT opened_us, incident.id FROM incident JOIN word ON word.id = environment WHERE text = ? AND closed_us IS NULL"
            " AND last_bad_us >= ? ORDER BY opened_us DESC LIMIT 1",
            (environment, time.time_ns() // 1000 - LAPSE_US),
        ).fetchone()
        if row is None:
            return None
        opened, name = row
        rows = self._db.execute(
            "SELECT at_us, service.text, state.text FROM sample JOIN run ON run.id = sample.run"
            " JOIN word AS service ON service.id = sample.service JOIN word AS state ON state.id = sample.status"
            " JOIN word AS target ON target.id = sample.target"
            " WHERE run.incident = ? AND target.text = 'staging' AND at_us >= ? ORDER BY at_us",
            (name, opened),
        )
        looks = [look for look in rows if services is None or look[1] in services]
        if not looks:
            return moment(opened)
        began = _bad_since(looks, good)
        return None if began is None else moment(began)

    def suites_in_a_row(self, environment: str, *, except_run: str = "") -> Suites:
        """Return how many of the latest finished suites failed or were blocked, one after the other.

        A run without tests neither counts nor breaks the row. It looks back at 100 runs at most.
        """
        rows = self._db.execute(
            "SELECT verdict FROM run JOIN word ON word.id = environment WHERE text = ? AND tested <> 0 AND finished_us IS NOT NULL"
            " AND name <> ? ORDER BY started_us DESC, run.id DESC LIMIT 100",
            (environment, except_run),
        )
        return suites_in_a_row([Verdict(verdict) for (verdict,) in rows])

    def minutes(self, environment: str, since: datetime, until: datetime) -> tuple[MinuteRow, ...]:
        """Return the figures of each service and minute from `since` to before `until`, by service, then time."""
        rows = self._db.execute(
            "SELECT service.text, minute, samples, lost, max_us, counts FROM minute"
            " JOIN word AS service ON service.id = minute.service JOIN word AS place ON place.id = minute.environment"
            " WHERE place.text = ? AND minute >= ? AND minute < ? ORDER BY service.text, minute",
            (environment, micros(since) // MINUTE_US, -(-micros(until) // MINUTE_US)),
        )
        return tuple(
            MinuteRow(
                service,
                moment(minute * MINUTE_US),
                samples,
                lost,
                percentile_of(found := unpack(counts), 0.50, highest),
                percentile_of(found, 0.95, highest),
                highest / 1e6 if found else None,
            )
            for service, minute, samples, lost, highest, counts in rows
        )

    def days(self, environment: str, *, until: datetime, days: int = 30) -> tuple[Day, ...]:
        """Return availability, p50 and p95 of each service on each of the last days that have samples, by service.

        Days are UTC's, the one of `until` the last. A percentile is that of its bucket, at most 9 % too high, and days stay
        when their samples were pruned.
        """
        last = micros(until) // MINUTE_US // DAY_MINUTES
        rows = self._db.execute(
            "SELECT service.text, day, samples, lost, max_us, counts FROM day"
            " JOIN word AS service ON service.id = day.service JOIN word AS place ON place.id = day.environment"
            " WHERE place.text = ? AND day > ? AND day <= ? ORDER BY service.text, day",
            (environment, last - days, last),
        ).fetchall()
        return tuple(
            Day(
                day=f"{moment(day * DAY_MINUTES * MINUTE_US):%Y-%m-%d}",
                service=service,
                availability=1 - lost / samples,
                p50_s=percentile_of(found := unpack(counts), 0.50, highest),
                p95_s=percentile_of(found, 0.95, highest),
                samples=samples,
            )
            for service, day, samples, lost, highest, counts in rows
        )

    def prune(
        self,
        keep_days: float,
        *,
        now: datetime | None = None,
        max_bytes: int = pruning.MAX_BYTES,
        budget_s: float = pruning.BUDGET_S,
    ) -> int:
        """Forget samples by age and by size, for at most `budget_s` seconds; return how many. See `runs.pruning`."""
        return pruning.prune(
            self._db, keep_days=keep_days, now=now or datetime.now(UTC), max_bytes=max_bytes, budget_s=budget_s
        )


@dataclass(slots=True)
class Sums:
    """What one service did in a minute or on a day. `lost` had no answer; `highest` and the buckets are of those that answered."""

    samples: int = 0
    lost: int = 0
    highest: int = 0
    counts: dict[int, int] = field(default_factory=dict)

    def count(self, took: int | None, *, lost: bool) -> None:
        """Count one sample that took so many microseconds."""
        self.samples += 1
        if lost:
            self.lost += 1
        elif took is not None:
            self.highest = max(self.highest, took)
            self.counts[bucket_of(took)] = self.counts.get(bucket_of(took), 0) + 1

    @property
    def row(self) -> tuple[int, int, int, bytes]:
        return self.samples, self.lost, self.highest, pack(self.counts)

    def merge(self, samples: int, lost: int, highest: int, counts: bytes) -> None:
        self.samples += samples
        self.lost += lost
        self.highest = max(self.highest, highest)
        for bucket, count in unpack(counts).items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count


def _bad_times(incident: Incident, fresh: Sequence[tuple[int, Sample]]) -> list[int]:
    """Return when staging was seen unwell: in these samples, else at a first look that said so without a sample."""
    bad = [at for at, sample in fresh if sample.target == "staging" and sample.status in _BAD]
    health = incident.health
    return bad or ([micros(health.started_at)] if health is not None and health.overall_status in _BAD else [])


def _detected(incident: Incident) -> int | None:
    """Return when the first look that said so was over; None where staging was well. As the report counts it."""
    health = incident.health
    if health is None or health.overall_status not in _BAD:
        return None
    return micros(health.started_at + timedelta(seconds=health.duration_s))


def _applied(incident: Incident) -> int | None:
    """Return when a fallback was there that the tests could go on with; None for none. As the report counts it."""
    applied = applied_here(incident)
    return None if applied is None or applied.failed else micros(applied.applied_at)


def _bad_since(looks: Iterable[tuple[int, str, str]], good: int) -> int | None:
    """Return the earliest time at which a service went bad that was not good `good` times in a row since; None for none.

    `looks` are time, service and status by time. What is not known counts neither way.
    """
    since: dict[str, int] = {}
    in_a_row: dict[str, int] = {}
    for at, service, word in looks:
        status = ConnectivityStatus(word)
        if status in _BAD:
            since.setdefault(service, at)
            in_a_row[service] = 0
        elif status is ConnectivityStatus.AVAILABLE:
            in_a_row[service] = in_a_row.get(service, 0) + 1
            if in_a_row[service] >= good:
                since.pop(service, None)
    return min(since.values(), default=None)


def _is_full_pass(incident: Incident) -> bool:
    """Say whether all tests passed on real staging, with all of it well: no less proves that an outage is over."""
    tests, health = incident.tests, incident.latest or incident.health
    return (
        incident.verdict is Verdict.PASSED
        and tests is not None
        and tests.mode is TestExecutionMode.FULL
        and health is not None
        and health.overall_status is ConnectivityStatus.AVAILABLE
    )


def _past(row: tuple[str, int, str, str, str]) -> PastRun:
    return PastRun(run=row[0], started_at=moment(row[1]), host=row[2], verdict=row[3], mode=row[4])


def _us(seconds: float | None) -> int | None:
    """Return seconds as whole microseconds; None for what no clock can have measured."""
    return None if seconds is None or not 0 <= seconds < 1e9 else round(seconds * 1e6)


def _s(micro: int | None) -> float | None:
    return None if micro is None else micro / 1e6

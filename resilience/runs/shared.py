"""Keep the history of many hosts in one PostgreSQL, asked in the same words as the file of one checkout.

Nobody waits for it: what a run has to say is in a folder of its own first (`runs.forwarding`), and goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from resilience.core.records import Incident, Sample
from resilience.report.series import micros
from resilience.runs import pruning
from resilience.runs.database import Database
from resilience.runs.history import MIGRATIONS, SAMPLE_COLUMNS, VERSION, History, HistoryError

CONNECT_S = 3.0
"""Seconds to connect and log in; a history is never worth more of somebody's time."""
STATEMENT_S = 30.0
SCHEMA = "resilience_history"
"""The schema that holds its tables, and nothing of anybody else's."""
_LOCK = 0x7265_7369
"""Key of the advisory lock that one writer at a time holds, as SQLite's writers do."""
_WORDS = 50_000
"""So many words are read at once: names of services and statuses, and ids of tests."""
_T = TypeVar("_T")

ROLE = f"""\
CREATE ROLE resilience LOGIN PASSWORD '…';
GRANT USAGE ON SCHEMA {SCHEMA} TO resilience;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {SCHEMA} TO resilience;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA {SCHEMA} TO resilience;
"""
"""What a role needs that only writes and reads it, once its owner has opened it for the first time."""


class SharedHistory(History):
    """The history in this PostgreSQL, made there where there is none and the role may do so.

    Every method is one transaction. Writers wait for each other, at most `STATEMENT_S`; a process that is killed leaves
    nothing half written. `record` raises HistoryError where it cannot write: then the caller keeps what it has.
    """

    def __init__(self, url: str, *, redact: Callable[[str], str] = str, connect_s: float = CONNECT_S) -> None:
        """Connect, and bring the tables up to date. Raises HistoryError, without the URL's password."""
        self.notes = []
        self._redact = redact
        self._words = {}
        self._postgres = PostgresDatabase(url, connect_s=connect_s)
        self._db = self._postgres
        try:
            self._migrate()
        except BaseException:
            self._db.close()
            raise

    def _migrate(self) -> None:
        """Bring the tables up to `VERSION`; nothing is written, and no right to do so needed, where they are."""
        version = self._version()
        if version > VERSION:
            raise HistoryError(
                f"the shared history was written by a newer version ({version}, known: {VERSION}).",
                hint="pipx upgrade resilience-runbook",
            )
        if version == VERSION:
            return
        with self._writing():
            version = self._version()  # another host may have been first
            self._db.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            for step in MIGRATIONS[version:]:
                for statement in filter(str.strip, step.split(";")):
                    self._db.execute(_as_postgres(statement))
            self._db.execute("CREATE TABLE IF NOT EXISTS version (version BIGINT PRIMARY KEY)")
            self._db.execute("DELETE FROM version")
            self._db.execute("INSERT INTO version VALUES (?)", (VERSION,))

    def _version(self) -> int:
        there = self._db.execute("SELECT to_regclass(?) IS NOT NULL", (f"{SCHEMA}.version",)).fetchone()[0]
        return int(self._db.execute("SELECT max(version) FROM version").fetchone()[0]) if there else 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[Database]:
        self._db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield self._db
        finally:
            self._db.execute("ROLLBACK")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            self._db.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield
        except BaseException:
            with contextlib.suppress(HistoryError):
                self._db.execute("ROLLBACK")
            self._words.clear()
            raise
        self._db.execute("COMMIT")

    def is_in(self, path: Path) -> bool:
        return False

    def record(self, samples: Sequence[Sample], incident: Incident) -> int:
        """Add samples and what is known of their run; return how many were new. Raises HistoryError."""
        return self._record(samples, incident)

    def number_of(self, text: str) -> int:
        """Return the number of this word; the first brings those of all, as each alone is a question to another host."""
        if not self._words:
            rows = self._db.execute("SELECT text, id FROM word ORDER BY id LIMIT ?", (_WORDS,))
            self._words = dict(map(tuple, rows))
        return super().number_of(text)

    def known(self, run: int, keys: Iterable[tuple[int, int, int]]) -> set[tuple[int, int, int]]:
        columns = list(zip(*keys, strict=True))
        if not columns:
            return set()
        rows = self._db.execute(
            "SELECT sample.target, sample.service, sample.at_us FROM sample JOIN unnest(CAST(? AS BIGINT[]), CAST(? AS BIGINT[]),"
            " CAST(? AS BIGINT[])) AS these (target, service, at_us) ON sample.run = ? AND sample.target = these.target"
            " AND sample.service = these.service AND sample.at_us = these.at_us",
            (*map(list, columns), run),
        )
        return set(map(tuple, rows))

    def _before(self, table: str, environment: int, keys: Collection[tuple[int, int]]) -> Iterator[tuple[Any, ...]]:
        columns = list(zip(*keys, strict=True))
        if not columns:
            return iter(())
        return iter(
            self._db.execute(
                f"SELECT {table}.service, {table}.{table}, samples, lost, max_us, counts FROM {table} JOIN"  # noqa: S608 - our own names
                " unnest(CAST(? AS BIGINT[]), CAST(? AS BIGINT[])) AS these (service, number)"
                f" ON {table}.environment = ? AND {table}.service = these.service AND {table}.{table} = these.number",
                (*map(list, columns), environment),
            )
        )

    def add(self, rows: Iterable[tuple[int | None, ...]]) -> None:
        """Send the samples by COPY into a table of this connection, and take over from there what is not kept yet."""
        self._db.execute(f"CREATE TEMP TABLE IF NOT EXISTS coming (LIKE {SCHEMA}.sample) ON COMMIT DELETE ROWS")
        self._postgres.copy("coming", SAMPLE_COLUMNS, rows)
        self._db.execute("INSERT INTO sample SELECT * FROM coming ON CONFLICT DO NOTHING")

    def prune(self, keep_days: float, *, now: datetime | None = None, **_: float) -> int:
        """Forget samples by age as `runs.pruning` says; return how many. Its owner bounds the size of the database."""
        at = now or datetime.now(UTC)
        with self._writing():
            gone = self._db.execute(
                "DELETE FROM sample USING run WHERE run.id = sample.run"
                " AND run.started_us < CASE WHEN run.incident IS NULL THEN CAST(? AS BIGINT) ELSE CAST(? AS BIGINT) END",
                (micros(at - timedelta(days=keep_days)), micros(at - timedelta(days=pruning.INCIDENTS * keep_days))),
            ).rowcount
            oldest = micros(at - timedelta(days=pruning.MINUTES * keep_days))
            self._db.execute("DELETE FROM minute WHERE minute < ?", (oldest // pruning.MINUTE_US,))
            self._db.execute("DELETE FROM noted WHERE run IN (SELECT id FROM run WHERE started_us < ?)", (oldest,))
        return gone


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one statement, all of them; `rowcount` is how many it changed."""

    rows: list[Any] = field(default_factory=list)
    rowcount: int = -1

    def fetchone(self) -> Any:
        return self.rows[0] if self.rows else None

    def fetchall(self) -> list[Any]:
        return self.rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)


class PostgresDatabase:
    """One connection, used from one thread as SQLite's is; asyncpg runs on an event loop in a thread of its own."""

    def __init__(self, url: str, *, connect_s: float) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="shared history", daemon=True)
        self._thread.start()
        self._connection: Any = None
        try:
            self._connection = self._run(
                asyncpg.connect(
                    url,
                    timeout=connect_s,
                    command_timeout=STATEMENT_S,
                    server_settings={"search_path": SCHEMA, "application_name": "resilience"},
                ),
                connect_s + 1,
            )
        except BaseException:
            self.close()
            raise

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> _Rows:
        text = _numbered(sql)
        if sql.lstrip()[:6].upper() in ("SELECT", "WITH W"):
            return _Rows(self._run(self._connection.fetch(text, *parameters)))
        done = str(self._run(self._connection.execute(text, *parameters)))
        last = done.rpartition(" ")[2]
        return _Rows(rowcount=int(last) if last.isdecimal() else -1)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> object:
        return self._run(self._connection.executemany(_numbered(sql), list(parameters)))

    def copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self._run(self._connection.copy_records_to_table(table, records=list(rows), columns=list(columns)))

    def close(self) -> None:
        """End the connection, then the thread; a server that does not answer is not waited for."""
        if self._connection is not None:
            with contextlib.suppress(HistoryError):
                self._run(self._connection.close(timeout=1), 2)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, _T], seconds: float = STATEMENT_S + 1) -> _T:
        """Run this on the loop and wait. Whatever goes wrong becomes a HistoryError that names no password."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as exc:
            future.cancel()
            said = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
            raise HistoryError(
                f"the shared history did not take or give it: {said[:200]}.", hint="resilience sync"
            ) from None


def _numbered(sql: str) -> str:
    """Return the statement with $1, $2 … for its question marks; none of ours has one in a text."""
    count = iter(range(1, sql.count("?") + 1))
    return re.sub(r"\?", lambda _: f"${next(count)}", sql)


def _as_postgres(statement: str) -> str:
    """Return a statement that makes a table in SQLite as the one that makes the same in PostgreSQL."""
    for ours, theirs in (
        (r"\bINTEGER PRIMARY KEY\b", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"),
        (r"\bINTEGER\b", "BIGINT"),
        (r"\bBLOB\b", "BYTEA"),
        (r"\bWITHOUT ROWID\b", ""),
    ):
        statement = re.sub(ours, theirs, statement)
    return statement

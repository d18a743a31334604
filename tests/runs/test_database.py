"""resilience.runs.database: both databases of a history take and give the same values."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from resilience.runs.database import Database
from resilience.runs.shared import CONNECT_S, PostgresDatabase


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    if request.param == "SQLite":
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as file:
            yield file
        return
    with request.getfixturevalue("shared_database")() as url:
        connection = PostgresDatabase(url, connect_s=CONNECT_S)
        connection.execute("SET search_path = public")
        yield connection
        connection.close()


def test_values_come_back_and_changes_are_counted(database: Database) -> None:
    kind = "BYTEA" if isinstance(database, PostgresDatabase) else "BLOB"
    database.execute(f"CREATE TABLE it (number BIGINT PRIMARY KEY, text TEXT, bytes {kind})")
    rows = [(2**62, "Grüße 🌍 ?", b"\x00\xff"), (-1, None, None)]
    database.executemany("INSERT INTO it VALUES (?, ?, ?)", rows)
    database.executemany("INSERT INTO it VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows)
    assert [tuple(row) for row in database.execute("SELECT * FROM it ORDER BY number DESC")] == rows
    assert database.execute("UPDATE it SET text = ? WHERE number < ?", ("x", 2**62)).rowcount == 1
    assert database.execute("SELECT text FROM it WHERE number = ?", (-1,)).fetchone()[0] == "x"
    assert database.execute("SELECT text FROM it WHERE number = ?", (7,)).fetchone() is None
    assert database.execute("SELECT text FROM it WHERE number = ?", (7,)).fetchall() == []


def test_a_transaction_that_is_rolled_back_leaves_nothing(database: Database) -> None:
    database.execute("CREATE TABLE it (number BIGINT)")
    database.execute("BEGIN")
    database.execute("INSERT INTO it VALUES (?)", (1,))
    database.execute("ROLLBACK")
    assert database.execute("SELECT count(*) FROM it").fetchone()[0] == 0

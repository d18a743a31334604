"""The scratch stand-in says of each row whether its table takes it, and keeps nothing of it."""

from __future__ import annotations

import asyncpg

from resilience.services.postgresql.catalog import read_schema
from resilience.services.postgresql.stand_in import PostgresServer
from resilience.services.postgresql.trying import Refused, trial

TABLE = """
create domain even as int check (value % 2 = 0);
create type mood as enum ('sad', 'ok');
create table t (id int generated always as identity, a varchar(3) check (a <> 'bad'), e even, m mood, n text not null,
  g int generated always as (1) stored)
"""


async def test_each_row_that_is_refused_is_named_with_its_constraint(
    empty: asyncpg.Connection, staging_server: PostgresServer
) -> None:
    await empty.execute(TABLE)
    written = len(staging_server.log.read_text())
    table = (await read_schema(empty)).tables["public.t"]
    good = ["1", "o'\\", "2", "ok", "x"]
    rows = [
        good, ["2", "bad", "2", "ok", "x"], ["3", "long", "2", "ok", "x"], ["4", "a", "3", "ok", "x"], ["5", "a", "2", "no", "x"],
            ["6", "a", "2", "ok", None], good,
    ]  # fmt: skip
    async with trial(empty) as trying:
        first = await trying.rows(table, rows)
        second = await trying.rows(table, [good, good])
        third = await trying.rows(table, rows[1:2])
    assert first == (
        Refused(row=1, state="23514", constraint="t_a_check"),
        Refused(row=2, state="22001"),
        Refused(row=3, state="23514", constraint="even_check", domain="even"),
        Refused(row=4, state="22P02"),
        Refused(row=5, state="23502", column="n"),
    )
    assert second == ()
    assert third == (Refused(row=0, state="23514", constraint="t_a_check"),)
    assert await empty.fetchval("select count(*) from t") == 0
    log = staging_server.log.read_text()[written:]
    assert "Failing row" not in log
    assert "t_a_check" not in log

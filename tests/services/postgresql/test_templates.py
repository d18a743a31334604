"""A template is whole or not there, takes no connection, and each copy of it begins alike."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import pytest

from resilience.services.postgresql import templates
from resilience.services.postgresql.archive import PRE_DATA, Item
from resilience.services.teaching import CannotTeachError
from tests.kits.servers.postgres import Postgres, binaries
from tests.kits.staging_database import place_of, running, talking

pytestmark = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL binaries on this machine")

TABLE = Item(kind="TABLE", schema="public", tag="t", sql="CREATE TABLE public.t (x int);", section=PRE_DATA)
BROKEN = Item(kind="TABLE", schema="public", tag="u", sql="CREATE TABLE public.u (x int,,);", section=PRE_DATA)
MARK = "0123456789abcdef"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running() as made:
        yield made


async def names(server: Postgres) -> set[str]:
    async with talking(server) as connection:
        rows = await connection.fetch("select datname from pg_database")
        return {row["datname"] for row in rows} - {"postgres", "template0", "template1"}


async def test_a_template_is_made_once_takes_no_connection_and_gives_way_to_the_next_generation(
    server: Postgres,
) -> None:
    place = place_of(server, "app")
    async with talking(server) as connection:
        name, made = await templates.template(connection, place, "database", MARK, (TABLE,))
        assert made is not None
        assert made.made == {"TABLE public.t"}
        assert await templates.template(connection, place, "database", MARK, (TABLE,)) == (name, None)
        with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
            async with talking(server, name):
                pass
        other, _ = await templates.template(connection, place, "other-service", MARK, (TABLE,))
        newer, _ = await templates.template(connection, place, "database", "fedcba9876543210", (TABLE,))
        assert await names(server) == {other, newer}, "the earlier one of this service went, that of the other stayed"
        for one in (other, newer):
            await templates.drop(connection, one)


async def test_what_a_killed_load_left_is_made_anew_and_never_copied(server: Postgres) -> None:
    place = place_of(server, "app")
    name = templates.prefix("database") + MARK[:12]
    async with talking(server) as connection:
        await connection.execute(f"create database {name}")
        await connection.execute(f"create database {name}_new")
        found, made = await templates.template(connection, place, "database", MARK, (TABLE,))
        assert found == name
        assert made is not None
        assert await names(server) == {name}
        await templates.drop(connection, name)


async def test_a_restore_that_breaks_leaves_no_template(server: Postgres) -> None:
    async with talking(server) as connection:
        with pytest.raises(CannotTeachError, match=r"TABLE public\.u: syntax error"):
            await templates.template(connection, place_of(server, "app"), "database", MARK, (TABLE, BROKEN))
    assert await names(server) == set()


async def test_copies_are_alike_have_the_settings_and_are_known_again(server: Postgres) -> None:
    place = place_of(server, "app")
    async with talking(server) as connection:
        name, _ = await templates.template(connection, place, "database", MARK, (TABLE,))
        for copy in ("app", "app_gw0", "app_gw11"):
            await templates.copy(
                connection, name, copy, "tester", {"search_path": 'shop, "Odd Name"', "timezone": "'UTC'"}
            )
        async with talking(server, "app") as inside:
            await inside.execute("insert into public.t values (1)")
            assert await inside.fetchval("show search_path") == 'shop, "Odd Name"'
        async with talking(server, "app_gw0") as inside:
            assert await inside.fetchval("select count(*) from public.t") == 0
        assert set(await templates.copies(connection, "app")) == {"app", "app_gw0", "app_gw11"}
        assert await templates.is_copy(connection, "app")
        assert not await templates.is_copy(connection, "postgres")
        await templates.copy(connection, name, "app", "tester")
        async with talking(server, "app") as inside:
            assert await inside.fetchval("select count(*) from public.t") == 0, "the next run begins anew"
            with pytest.raises(asyncpg.ObjectInUseError):
                await templates.copy(connection, name, "app", "tester")
        for one in ("app", "app_gw0", "app_gw11", name):
            await templates.drop(connection, one)
    assert await names(server) == set()


async def test_names_of_copies_are_read_to_the_letter(server: Postgres) -> None:
    place = place_of(server, "my.app+x")
    async with talking(server) as connection:
        name, _ = await templates.template(connection, place, "database", MARK, (TABLE,))
        for copy in ("my.app+x", "my.app+x_gw1", "myXapp+x_gw2"):
            await templates.copy(connection, name, copy, "tester")
        assert set(await templates.copies(connection, "my.app+x")) == {"my.app+x", "my.app+x_gw1"}
        for one in ("my.app+x", "my.app+x_gw1", "myXapp+x_gw2", name):
            await templates.drop(connection, one)

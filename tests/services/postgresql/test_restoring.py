"""Objects are made one by one: what a server lacks is a gap with all that needs it, what nothing explains breaks the restore."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from resilience.services.postgresql.archive import POST_DATA, PRE_DATA, Item
from resilience.services.postgresql.restoring import restore
from tests.kits.servers.postgres import Postgres, binaries
from tests.kits.staging_database import database, running, talking

pytestmark = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL binaries on this machine")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running() as made:
        yield made


@pytest.fixture
async def empty(server: Postgres) -> AsyncIterator[Any]:
    await database(server, "empty", "select 1")
    async with talking(server, "empty") as connection:
        yield connection


def item(kind: str, tag: str, sql: str, *needs: str, section: int = PRE_DATA) -> Item:
    return Item(kind=kind, schema="public", tag=tag, sql=sql, section=section, needs=needs)


EXTENSION = Item(
    kind="EXTENSION",
    schema="",
    tag="postgis",
    sql="CREATE EXTENSION IF NOT EXISTS postgis_of_nobody;",
    section=PRE_DATA,
)
PLACES = item("TABLE", "places", "CREATE TABLE public.places (id int, at geometry_of_nobody);", "EXTENSION postgis")
USERS = item("TABLE", "users", "CREATE TABLE public.users (id int);")


async def test_an_extension_that_cannot_be_had_is_one_gap_that_names_what_goes_with_it(empty: Any) -> None:
    index = item("INDEX", "near", "CREATE INDEX near ON public.places (at);", "TABLE public.places", section=POST_DATA)
    found = await restore(empty, (EXTENSION, PLACES, USERS, index))
    (gap,) = found.gaps
    assert gap.startswith("EXTENSION postgis cannot be had here (")
    assert gap.endswith(
        "without it there is no TABLE public.places, INDEX public.near; tests that use them end as gaps"
    )
    assert found.made == {"TABLE public.users"}
    assert found.broken == []


async def test_a_failure_that_nothing_explains_is_no_gap(empty: Any) -> None:
    wrong = item("TABLE", "t", "CREATE TABLE public.t (x int,,);")
    assert (await restore(empty, (wrong,))).broken


async def test_what_a_server_older_than_staging_does_not_know_is_a_gap(empty: Any) -> None:
    newer = item("TABLE", "t", "CREATE TABLE public.t (x int GENERATED SOMEHOW NEW);")
    found = await restore(empty, (newer,), older=True)
    assert found.broken == []
    assert found.gaps[0].startswith("TABLE public.t cannot be had here (syntax error")


async def test_rows_come_before_constraints_so_the_server_checks_each_of_them(empty: Any) -> None:
    tables = (USERS, item("TABLE", "orders", "CREATE TABLE public.orders (user_id int);"))
    key = "ALTER TABLE ONLY public.users ADD CONSTRAINT pk PRIMARY KEY (id);"
    foreign = "ALTER TABLE ONLY public.orders ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES public.users(id);"
    after = (
        item("CONSTRAINT", "users pk", key, section=POST_DATA),
        item("FK CONSTRAINT", "orders fk", foreign, section=POST_DATA),
    )

    async def rows() -> tuple[str, ...]:
        await empty.execute("insert into public.users values (1); insert into public.orders values (1), (2)")
        return ("a gap of the rows",)

    found = await restore(empty, (*tables, *after), rows=rows)
    assert found.gaps == ["a gap of the rows"]
    (broken,) = found.broken
    assert broken.startswith("FK CONSTRAINT public.orders fk: ")


async def test_a_materialised_view_is_filled_and_one_that_cannot_be_is_a_gap(empty: Any) -> None:
    well = item("MATERIALIZED VIEW", "well", "CREATE MATERIALIZED VIEW public.well AS SELECT 1 AS x WITH NO DATA;")
    ill = item("MATERIALIZED VIEW", "ill", "CREATE MATERIALIZED VIEW public.ill AS SELECT 1/0 AS x WITH NO DATA;")
    found = await restore(empty, (well, ill))
    assert await empty.fetchval("select x from public.well") == 1
    assert found.gaps == ["MATERIALIZED VIEW public.ill is empty and refuses to be read (division by zero)"]


async def test_schemas_that_every_database_has_are_no_failure(empty: Any) -> None:
    public = Item(kind="SCHEMA", schema="", tag="public", sql="CREATE SCHEMA public;", section=PRE_DATA)
    found = await restore(empty, (public, USERS))
    assert (found.broken, found.gaps) == ([], [])

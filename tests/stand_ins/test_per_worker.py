"""Each worker of pytest-xdist is led to a copy of its own of the taught database, or it is said why they share one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import asyncpg
import pytest

from resilience import stand_ins as local
from resilience.core.secret import Secret
from resilience.core.settings import Settings
from resilience.services.place import Endpoint
from resilience.services.postgresql.kind import KIND
from resilience.stand_ins.per_worker import Copies, led_to
from tests.kits.servers.postgres import binaries
from tests.stand_ins.test_loaded import database, insert, learn, started

needs_postgresql = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL binaries on this machine")
PLACE = Endpoint(kind=KIND, host="127.0.0.1", bind="127.0.0.1", port=5433, user="me", password="pw", database="app")


@pytest.mark.parametrize(
    ("value", "turned"),
    [
        ("postgresql://me:pw@127.0.0.1:5433/app", "postgresql://me:pw@127.0.0.1:5433/app_gw0"),
        ("postgresql+asyncpg://me:app@h/app?sslmode=disable", "postgresql+asyncpg://me:app@h/app_gw0?sslmode=disable"),
        ("jdbc:postgresql://h:5433/app", "jdbc:postgresql://h:5433/app_gw0"),
        ("host=h dbname=app user=app", "host=h dbname=app_gw0 user=app"),
        ("host=h dbname='app'", "host=h dbname='app_gw0'"),
        ("app", "app_gw0"),
    ],
)
def test_what_names_the_database_names_the_workers(value: str, turned: str) -> None:
    assert led_to({"X": value}, PLACE, "app_gw0") == {"X": turned}


@pytest.mark.parametrize(
    "value", ["postgresql://app:pw@h/other", "http://h/app/x", "apps", "127.0.0.1", "dbname=apps", "5433"]
)
def test_what_names_something_else_is_left(value: str) -> None:
    assert led_to({"X": value}, PLACE, "app_gw0") == {}


def test_a_name_that_is_the_users_as_well_is_left_where_it_stands_alone() -> None:
    place = replace(PLACE, user="app")
    given = {"PGUSER": "app", "PGDATABASE": "app", "URL": "postgresql://app:pw@h/app"}
    assert led_to(given, place, "app_gw0") == {"URL": "postgresql://app:pw@h/app_gw0"}


async def names(port: int) -> set[str]:
    connection = await asyncpg.connect(f"postgresql://app:pw@127.0.0.1:{port}/postgres?sslmode=disable")
    try:
        rows = await connection.fetch("select datname from pg_database where datname like 'app%'")
        return {row["datname"] for row in rows}
    finally:
        await connection.close()


async def asked(url: str, query: str) -> object:
    connection = await asyncpg.connect(f"{url}?sslmode=disable")
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@needs_postgresql
async def test_workers_get_copies_of_the_prepared_database_anew_for_each_run_and_they_go_with_the_next_start(
    checkout: Callable[..., Settings], free_port: int
) -> None:
    url = f"postgresql://app:pw@127.0.0.1:{free_port}/app"
    settings = checkout([database(free_port, exports={"DATABASE_URL": Secret(url)})])
    learn(settings)
    await started(settings)
    await insert(free_port)  # as a `prepare` does
    (service,) = settings.services
    for _ in range(2):
        made = await local.copies(service, 3)
        assert [one["DATABASE_URL"] for one in made.values] == [f"{url}_gw{number}" for number in range(3)]
        assert await asked(f"{url}_gw2", "select count(*) from users") == 1, "with staging's search_path"
        await asked(f"{url}_gw2", "insert into users values (2, 'b')")
    before = await local.connections(service)
    await asked(f"{url}_gw1", "select 1")
    assert before is not None
    assert await local.connections(service) == before + 1, "a worker's copy counts as the stand-in"
    await local.copies(service, 2)
    assert await names(free_port) == {"app", "app_gw0", "app_gw1"}
    await started(settings)
    assert await names(free_port) == {"app"}


@needs_postgresql
async def test_workers_share_one_where_it_is_in_use_or_nothing_leads_to_it_alone_and_that_is_said(
    checkout: Callable[..., Settings], free_port: int
) -> None:
    url = f"postgresql://app:pw@127.0.0.1:{free_port}/app"
    settings = checkout([database(free_port, exports={"DATABASE_URL": Secret(url)})])
    learn(settings)
    await started(settings)
    (service,) = settings.services
    assert await local.copies(replace(service, exports={}), 2) == Copies(
        why="database: the workers of pytest-xdist share one database: no export names it alone, which could lead each to its own"
    )
    assert await local.copies(service, 0) == Copies()
    assert await local.copies(replace(service, teach=()), 2) == Copies()
    connection = await asyncpg.connect(f"{url}?sslmode=disable")
    assert "somebody is connected to it" in (await local.copies(service, 2)).why
    await connection.execute("create database app_gw0")
    await connection.close()
    assert "a database app_gw0 is there that is no copy of ours" in (await local.copies(service, 2)).why
    assert await names(free_port) == {"app", "app_gw0"}

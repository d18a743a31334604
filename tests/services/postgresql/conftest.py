"""One server for the seed's tests, made when the first asks; each test has databases of its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from resilience.services.postgresql.stand_in import PostgresServer, find_binaries
from tests.kits import ports, seed_kit

_NUMBER = itertools.count()


@pytest.fixture(scope="session")
def staging_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server with the made staging of the kit as database `staging`, which nobody changes."""
    if not find_binaries():
        pytest.skip("no PostgreSQL binaries on this machine")
    folder = tmp_path_factory.mktemp("pg")
    server = PostgresServer(folder / "data", ports.free_port(), user="app", password="pw", database="staging")

    async def make() -> None:
        await server.start()
        connection = await seed_kit.connect(server.port)
        await connection.execute(seed_kit.SCHEMA)
        await connection.execute(seed_kit.DATA)
        await connection.close()

    asyncio.run(make())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def staging(staging_server: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    """A connection to `staging`, for looking only."""
    connection = await seed_kit.connect(staging_server.port)
    yield connection
    await connection.close()


@pytest.fixture
async def empty(staging_server: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    """A connection to an empty database of this test's own."""
    name = f"empty{next(_NUMBER)}"
    outside = await seed_kit.connect(staging_server.port, "postgres")
    await outside.execute(f"create database {name}")
    inside = await seed_kit.connect(staging_server.port, name)
    yield inside
    await inside.close()
    await outside.execute(f"drop database {name} with (force)")
    await outside.close()


@pytest.fixture
async def scratch(staging_server: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    """A database with the tables of `staging`, before their keys and indexes."""
    name = f"scratch{next(_NUMBER)}"
    async with seed_kit.scratch(staging_server, "staging", name) as inside:
        yield inside
    outside = await seed_kit.connect(staging_server.port, "postgres")
    await outside.execute(f"drop database {name} with (force)")
    await outside.close()

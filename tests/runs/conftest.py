"""A team with one service of staging, for the tests of a run; a PostgreSQL that hosts share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import asyncpg
import pytest

from tests.kits.run_kit import staging as staging, stood_in as stood_in, team as team
from tests.kits.servers.postgres import Postgres


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Postgres]:
    server = Postgres()
    try:
        yield server.create().start()
    finally:
        server.remove()


@pytest.fixture(scope="session")
def shared_database(shared_server: Postgres) -> Callable[[], contextlib.AbstractContextManager[str]]:
    """Return what makes an empty database and gives its URL, and takes the database away after it."""
    made = iter(range(1_000_000))

    async def say(sql: str) -> None:
        connection = await asyncpg.connect(shared_server.url())
        await connection.execute(sql)
        await connection.close()

    @contextlib.contextmanager
    def database() -> Iterator[str]:
        name = f"shared{next(made)}"
        asyncio.run(say(f"CREATE DATABASE {name}"))
        try:
            yield shared_server.url(database=name)
        finally:
            asyncio.run(say(f"DROP DATABASE {name} WITH (FORCE)"))

    return database

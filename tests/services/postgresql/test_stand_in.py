"""PostgreSQL's binaries become a server with the user, password and database of the env file."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import asyncpg
import psutil
import pytest

from resilience.core.errors import StandInError
from resilience.services.postgresql import stand_in as postgresql
from resilience.services.postgresql.stand_in import PostgresBinaries, PostgresServer

BINARIES = postgresql.find_binaries()
pytestmark = pytest.mark.skipif(not BINARIES, reason="no PostgreSQL binaries on this machine")

USER, PASSWORD, DATABASE = 'o"brien', "pa's\\s w:/@", "my db"


async def client(port: int, user: str = USER, password: str = PASSWORD, database: str = DATABASE) -> asyncpg.Connection:
    return await asyncpg.connect(
        host="127.0.0.1", port=port, user=user, password=password, database=database, ssl=False
    )


@pytest.mark.parametrize("binaries", BINARIES, ids=lambda one: f"{one.provider}-{one.major}")
async def test_each_kind_of_binaries_gives_the_env_files_user_password_and_database(
    binaries: PostgresBinaries, tmp_path: Path, free_port: int
) -> None:
    server = PostgresServer(
        tmp_path / "data", free_port, user=USER, password=PASSWORD, database=DATABASE, binaries=binaries
    )
    await server.start()
    try:
        connection = await client(free_port)
        assert await connection.fetchval("select current_database() || current_user") == DATABASE + USER
        await connection.execute("create table kept (x int)")
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await client(free_port, password="wrong")
        assert server.version.startswith(f"{binaries.major}.")
        listening = [
            c.laddr.ip for c in psutil.Process(server.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN
        ]
        assert listening == ["127.0.0.1"]
    finally:
        await server.stop()
    assert not postgresql.port_open("127.0.0.1", free_port)
    assert not (tmp_path / "data" / "postmaster.pid").exists()


async def test_data_are_kept_and_a_password_changed_in_the_env_file_is_taken_over(
    tmp_path: Path, free_port: int
) -> None:
    first = PostgresServer(tmp_path / "data", free_port, user="app", password="one", database="app")
    await first.start()
    connection = await client(free_port, "app", "one", "app")
    await connection.execute("create table kept (x int)")
    await connection.close()
    await first.stop()
    # A lock file whose pid is another program's by now, as after a crash of the machine.
    (tmp_path / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path / 'data'}\n")
    second = PostgresServer(tmp_path / "data", free_port, user="app", password="two", database="app")
    await second.start()
    try:
        connection = await client(free_port, "app", "two", "app")
        assert await connection.fetchval("select count(*) from kept") == 0
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await client(free_port, "app", "one", "app")
        # psql of the same installation, as a person would use it
        url = f"postgresql://app:two@127.0.0.1:{free_port}/app"
        told = await asyncio.to_thread(
            subprocess.run,
            [second.binaries.folder / "psql", url, "-Atc", "select 40 + 2"],
            capture_output=True,
            check=True,
            timeout=20,
        )
        assert told.stdout == b"42\n"
        text = second.log.read_text()
        assert "'one'" not in text
        assert "'two'" not in text
    finally:
        await second.stop()


async def test_connections_of_the_tests_are_counted_exactly_and_our_own_are_not(tmp_path: Path, free_port: int) -> None:
    server = await PostgresServer(tmp_path / "data", free_port, user="app", password="pw", database="my db").start()

    async def count() -> int | None:
        return await postgresql.count_connections("127.0.0.1", free_port, "app", "pw", "my db")

    try:
        assert await count() == 0
        for expected in (1, 2):
            connection = await client(free_port, "app", "pw", "my db")
            assert await count() == expected
            await connection.close()
        assert await count() == 2
        other = await client(free_port, "app", "pw", "postgres")
        await other.close()
        assert await count() == 2
        with pytest.raises(asyncpg.InvalidPasswordError):
            await client(free_port, "app", "wrong", "my db")
        assert await count() == 2
    finally:
        await server.stop()


async def test_a_server_of_somebody_else_on_the_port_is_never_taken_for_ours(tmp_path: Path, free_port: int) -> None:
    theirs = await PostgresServer(tmp_path / "theirs", free_port, user="app", password="pw", database="app").start()
    try:
        ours = PostgresServer(tmp_path / "ours", free_port, user="app", password="pw", database="app")
        with pytest.raises(StandInError, match="another server, with its data in"):
            await ours.wait_ready()
        with pytest.raises(StandInError, match=f"port {free_port} is taken"):
            await ours.start()
    finally:
        await theirs.stop()


async def test_an_initdb_that_fails_leaves_nothing_and_says_its_last_words(tmp_path: Path, free_port: int) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "initdb").write_text("#!/bin/sh\necho initdb: no room on the moon >&2\nexit 1\n")
    (folder / "initdb").chmod(0o755)
    server = PostgresServer(
        tmp_path / "data",
        free_port,
        user="app",
        password="pw",
        database="app",
        binaries=PostgresBinaries(folder=folder, provider="system"),
    )
    with pytest.raises(StandInError, match="no room on the moon"):
        await server.start()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]

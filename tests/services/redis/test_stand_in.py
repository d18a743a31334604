"""Redis' and Valkey's binaries become a server with the password of the env file."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from resilience.core.errors import StandInError
from resilience.services.redis import stand_in as local_redis
from resilience.services.redis.stand_in import RedisBinary, RedisServer

BINARIES = local_redis.find_binaries()
pytestmark = pytest.mark.skipif(not BINARIES, reason="no Redis binary on this machine")
PASSWORD = 'p w"\\ü'


def client(port: int, password: str = PASSWORD, **fields: object) -> redis.asyncio.Redis:
    return redis.asyncio.Redis(host="127.0.0.1", port=port, password=password, retry=Retry(NoBackoff(), 0), **fields)


@pytest.mark.parametrize("binary", BINARIES, ids=lambda one: f"{one.provider}-{one.path.name}")
async def test_each_kind_of_binary_checks_the_password_and_keeps_its_data(
    binary: RedisBinary, tmp_path: Path, free_port: int
) -> None:
    server = RedisServer(tmp_path / "data", free_port, password=PASSWORD, binary=binary)
    await server.start()
    try:
        async with client(free_port) as connection:
            await connection.set("kept", "1")
            assert await connection.eval("return redis.call('get', KEYS[1])", 1, "kept") == b"1"
        async with client(free_port, "wrong") as connection:
            with pytest.raises(redis.exceptions.AuthenticationError):
                await connection.ping()
        listening = [
            c.laddr.ip for c in psutil.Process(server.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN
        ]
        assert listening == ["127.0.0.1"]
        if tool := shutil.which("redis-cli"):
            command = [tool, "-p", str(free_port), "-a", PASSWORD, "--no-auth-warning", "ping"]
            told = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True, timeout=10)
            assert told.stdout == b"PONG\n"
        await server.stop()
        await server.start()
        async with client(free_port) as connection:
            assert await connection.get("kept") == b"1"
    finally:
        await server.stop()
    assert PASSWORD not in server.log.read_text()


async def test_a_user_of_the_url_is_the_only_one_let_in(tmp_path: Path, free_port: int) -> None:
    server = await RedisServer(tmp_path / "data", free_port, user="app", password="pw").start()
    try:
        async with client(free_port, "pw", username="app") as connection:
            assert await connection.ping()
        async with client(free_port, "pw") as connection:
            with pytest.raises(redis.exceptions.AuthenticationError):
                await connection.ping()
    finally:
        await server.stop()


async def test_connections_of_the_tests_are_counted_exactly_and_our_own_are_not(tmp_path: Path, free_port: int) -> None:
    server = await RedisServer(tmp_path / "data", free_port, password="pw").start()

    async def count() -> int | None:
        return await local_redis.count_connections("127.0.0.1", free_port, "", "pw")

    try:
        before = await count()
        assert before == await count()
        for _ in range(2):
            async with client(free_port, "pw") as connection:
                await connection.ping()
        assert before is not None
        assert await count() == before + 2
    finally:
        await server.stop()


async def test_another_redis_on_the_port_is_never_taken_for_ours(tmp_path: Path, free_port: int) -> None:
    theirs = await RedisServer(tmp_path / "theirs", free_port, password="pw").start()
    try:
        with pytest.raises(StandInError):
            await RedisServer(tmp_path / "ours", free_port, password="pw").start()
        with pytest.raises(StandInError, match="not ours"):
            await RedisServer(tmp_path / "third", free_port, password="other").wait_ready(pid=lambda: 1)
    finally:
        await theirs.stop()

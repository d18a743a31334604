import asyncio
import contextlib

import pytest
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from shop import settings

OPTIONS = {"socket_timeout": 0.8, "socket_connect_timeout": 0.8, "retry": Retry(NoBackoff(), 0)}


@pytest.fixture
async def client():
    made = redis.from_url(settings.REDIS_URL, decode_responses=True, **OPTIONS)
    yield made
    await made.aclose()


@pytest.fixture
async def filled(client):
    await client.hset("profile:1", mapping={"name": "alice", "points": 5})
    return client


class Points:
    def __init__(self, client):
        self.client = client

    async def add(self, user, points):
        return await self.client.hincrby(f"profile:{user}", "points", points)

    async def level(self, user):
        points = await self.client.hget(f"profile:{user}", "points")
        return "gold" if points > 100 else "silver"


async def test_get(client):
    assert await client.get("stock:5") == "50"


async def test_gather(client):
    assert await asyncio.gather(*(client.get(f"stock:{n}") for n in (1, 2))) == ["10", "20"]


async def test_profile(filled):
    assert await filled.hget("profile:1", "name") == "alice"


async def test_points(filled):
    assert await Points(filled).add(1, 3) >= 8


async def test_transaction(client):
    async with client.pipeline(transaction=True) as pipe:
        assert await pipe.set("flag", "on", ex=5).get("flag").execute() == [True, "on"]


async def test_pubsub(client):
    async with client.pubsub() as listening:
        await listening.subscribe("news")
        await listening.get_message(timeout=0.5)
        await client.publish("news", "hello")
        message = await listening.get_message(timeout=0.5)
    assert message["data"] == "hello"


async def test_own_deadline():
    async def read():
        async with redis.from_url(settings.REDIS_URL, retry=Retry(NoBackoff(), 0)) as made:
            return await made.get("stock:1")

    assert await asyncio.wait_for(read(), 0.5) == b"10"


async def test_feature_flag_is_on():
    async def enabled():
        try:
            async with redis.from_url(settings.REDIS_URL, **OPTIONS) as made:
                return await made.exists("stock:1") == 1
        except RedisConnectionError:
            return False

    assert await enabled()


async def test_task_group_of_writers(client):
    async with asyncio.TaskGroup() as group:
        for n in range(3):
            group.create_task(client.set(f"group:{n}", n, ex=5))


async def test_level_of_alice(filled):
    assert await Points(filled).level(1) == "silver"


async def test_missing_await(client):
    assert client.get("stock:1") == "10"


async def test_pool_is_exhausted():
    pool = redis.ConnectionPool.from_url(settings.REDIS_URL, max_connections=1)
    client = redis.Redis(connection_pool=pool)
    async with client.pubsub() as listening:
        await listening.subscribe("x")
        await client.get("stock:1")


async def test_wrong_type_of_key(client):
    await client.lpush("profile:list", 1)
    await client.hgetall("profile:list")


async def test_old_secret():
    async with redis.from_url(settings.REDIS_URL.replace(settings.REDIS.password, "old"), **OPTIONS) as made:
        await made.ping()


async def test_blocked_too_long(client):
    assert await client.blpop("nothing", timeout=3)


async def test_client_of_another_port():
    async with redis.Redis(host="127.0.0.1", port=settings.REDIS.port + 1, **OPTIONS) as made:
        await made.ping()


async def test_two_readers_of_one_connection(client):
    connection = await client.connection_pool.get_connection()
    try:
        await connection.send_command("BLPOP", "nothing", "1")
        await asyncio.gather(connection.read_response(), connection.read_response())
    finally:
        await connection.disconnect()


def test_client_of_another_loop():
    made = redis.from_url(settings.REDIS_URL, single_connection_client=True)
    asyncio.run(made.get("stock:1"))
    asyncio.run(made.get("stock:1"))


async def test_name_of_nobody(client):
    name = await client.hget("profile:404", "name")
    assert name.title() == "Nobody"


async def test_swallowed_then_wrong(client):
    with contextlib.suppress(RedisConnectionError):
        await client.get("stock:1")
    assert sum([10, 20, 30]) == 61


async def test_primary_of_the_sentinels(client):
    await client.ping()
    sentinel = Sentinel([(settings.REDIS.hostname, 26379)], socket_connect_timeout=1)
    await sentinel.master_for("shop").get("stock:1")


async def test_primary_or_the_server():
    try:
        stock = await Sentinel([("localhost", 26379)]).master_for("shop").get("stock:1")
    except RedisConnectionError:
        async with redis.from_url(settings.REDIS_URL, decode_responses=True) as client:
            stock = await client.get("stock:1")
    assert stock == "10"

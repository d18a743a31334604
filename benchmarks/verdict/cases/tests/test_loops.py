import asyncio
import uuid

import asyncpg
import httpx
import pytest
import pytest_asyncio
import redis.asyncio as redis
from redis.backoff import NoBackoff
from redis.exceptions import WatchError
from redis.retry import Retry

from shop import pricing, settings

LIMIT = 0.8
OPTIONS = {
    "socket_timeout": LIMIT,
    "socket_connect_timeout": LIMIT,
    "retry": Retry(NoBackoff(), 0),
    "decode_responses": True,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool():
    async with asyncpg.create_pool(settings.DATABASE_URL, min_size=1, max_size=2, timeout=2) as made:
        yield made


@pytest_asyncio.fixture
async def leaky():
    """A pool whose tear-down waits for all connections."""
    made = await asyncpg.create_pool(settings.DATABASE_URL, min_size=1, max_size=2, timeout=2)
    yield made
    try:
        await asyncio.wait_for(made.close(), 0.3)
    finally:
        made.terminate()


@pytest_asyncio.fixture
async def cache():
    async with redis.Redis.from_url(settings.REDIS_URL, **OPTIONS) as client:
        yield client


async def order(number):
    async with httpx.AsyncClient(base_url=settings.BACKEND_URL, headers=settings.HEADERS, timeout=LIMIT) as client:
        answer = await client.get(f"/orders/{number}")
        answer.raise_for_status()
        return answer.json()


async def total(number):
    connection = await asyncpg.connect(settings.DATABASE_URL, timeout=2)
    try:
        return await connection.fetchval("select total from orders where id = $1", number)
    finally:
        await connection.close()


async def transfer(client, source, target, amount):
    """Move stock between two keys, again where somebody else was quicker."""
    for _ in range(3):
        async with client.pipeline() as pipe:
            try:
                await pipe.watch(source)
                left = int(await pipe.get(source) or 0) - amount
                pipe.multi()
                pipe.set(source, left, ex=20).incrby(target, amount)
                await pipe.execute()
                return left
            except WatchError:
                continue
    raise RuntimeError("too many conflicts")


@pytest.mark.asyncio(loop_scope="module")
async def test_pool(pool):
    assert await pool.fetchval("select count(*) from orders where id <= 60") == 60


@pytest.mark.asyncio(loop_scope="module")
async def test_pool_again(pool):
    assert await pool.fetchval("select count(*) from customers") == 20


@pytest.mark.asyncio(loop_scope="module")
async def test_pool_of_a_wrong_column(pool):
    await pool.fetchval("select sum(amount) from orders")


async def test_pool_of_another_loop(pool):
    assert await asyncio.wait_for(pool.fetchval("select 1"), 1) == 1


async def test_pool_is_left_open(leaky):
    await leaky.acquire()


async def test_pool_after_closing(leaky):
    await leaky.close()
    assert await leaky.fetchval("select 1") == 1


async def test_group():
    async with asyncio.TaskGroup() as group:
        first = group.create_task(order(1))
        second = group.create_task(total(1))
    assert first.result()["total"] == 10 * second.result()


async def test_group_of_wrong_prices():
    async def price(country):
        await asyncio.sleep(0)
        return pricing.shipping(100, country)

    async with asyncio.TaskGroup() as group:
        group.create_task(total(1))
        for country in ("DE", "FR"):
            group.create_task(price(country))


async def test_all_that_went_wrong():
    async def price():
        return pricing.average([])

    found = await asyncio.gather(order(1), price(), return_exceptions=True)
    errors = [one for one in found if isinstance(one, Exception)]
    if errors:
        raise ExceptionGroup("the page could not be made", errors)


async def test_all_in_order():
    found = await asyncio.gather(order(1), order(2), return_exceptions=True)
    errors = [one for one in found if isinstance(one, Exception)]
    if errors:
        raise ExceptionGroup("the page could not be made", errors)


async def test_limit_of_the_caller(cache):
    assert await asyncio.wait_for(cache.get("stock:1"), 0.5) == "10"


async def test_limit_of_its_own():
    await asyncio.wait_for(asyncio.Event().wait(), 0.05)


async def test_transfer(cache):
    prefix = uuid.uuid4().hex
    await cache.set(prefix + "a", 5, ex=20)
    assert await transfer(cache, prefix + "a", prefix + "b", 2) == 3


async def test_transfer_with_a_rival(cache):
    prefix = uuid.uuid4().hex
    await cache.set(prefix + "a", 5, ex=20)
    async with redis.Redis.from_url(settings.REDIS_URL, **OPTIONS) as rival, cache.pipeline() as pipe:
        await pipe.watch(prefix + "a")
        await rival.set(prefix + "a", 4, ex=20)
        pipe.multi()
        pipe.set(prefix + "a", 3)
        await pipe.execute()


async def test_task_in_the_background(cache):
    failed = []

    async def write():
        try:
            await cache.set("background", 1, ex=20)
        except Exception as exc:
            failed.append(repr(exc))

    await asyncio.create_task(write())
    assert failed == []


async def test_cancelled_by_itself():
    task = asyncio.create_task(asyncio.sleep(5))
    await asyncio.sleep(0)
    task.cancel()
    await task

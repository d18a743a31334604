import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from shop import settings

URL = settings.dsn("postgresql+asyncpg")


@pytest.fixture
async def engine():
    made = create_async_engine(URL, connect_args={"timeout": 1}, pool_size=1, max_overflow=1, pool_timeout=0.3)
    yield made
    await made.dispose()


@pytest.fixture
async def session(engine):
    async with async_sessionmaker(engine)() as made:
        yield made


async def count(session, table):
    return await session.scalar(sa.text(f"select count(*) from {table}"))


async def test_customers(session):
    assert await count(session, "customers") == 20


async def test_stock(session):
    assert await count(session, "stock") == 10


async def test_insert_and_rollback(session):
    await session.execute(sa.text("insert into payments values ('async', 1)"))
    await session.rollback()


async def test_begin(engine):
    async with engine.begin() as connection:
        assert (await connection.execute(sa.text("select 1"))).scalar_one() == 1


async def test_two_sessions(engine):
    maker = async_sessionmaker(engine)

    async def one():
        async with maker() as made:
            return await count(made, "orders where id <= 60")

    assert await asyncio.gather(one(), one()) == [60, 60]


async def test_within_a_second(session):
    async with asyncio.timeout(0.9):
        assert await count(session, "customers") == 20


async def test_streaming(engine):
    async with engine.connect() as connection:
        result = await connection.stream(sa.text("select id from orders where id <= 60"))
        assert len([row async for row in result]) == 60


async def test_summary_has_a_count(engine):
    async def summary():
        try:
            async with engine.connect() as connection:
                return {"count": await connection.scalar(sa.text("select count(*) from orders where id <= 60"))}
        except Exception as exc:
            return {"problem": str(exc)[:20]}

    assert (await summary())["count"] == 60


async def test_concurrent_use_of_a_session(session):
    await asyncio.gather(count(session, "customers"), count(session, "orders"))


async def test_three_of_two(engine):
    async with engine.connect(), engine.connect(), engine.connect():
        pass


async def test_after_dispose_and_close(engine):
    connection = await engine.connect()
    await connection.close()
    await connection.execute(sa.text("select 1"))


async def test_sync_driver():
    create_async_engine(settings.dsn("postgresql+psycopg2"))


async def test_misspelt_table(session):
    await count(session, "costumers")


async def test_missing_await(session):
    assert session.scalar(sa.text("select 1")) == 1


async def test_wrong_secret():
    engine = create_async_engine(settings.dsn("postgresql+asyncpg", password="letmein"), connect_args={"timeout": 1})
    try:
        async with engine.connect():
            pass
    finally:
        await engine.dispose()


async def test_unknown_argument():
    engine = create_async_engine(URL, connect_args={"sslmode": "disable"})
    async with engine.connect():
        pass


def test_engine_across_loops():
    made = create_async_engine(URL, connect_args={"timeout": 1}, pool_size=1)

    async def read():
        async with made.connect() as connection:
            return await connection.scalar(sa.text("select 1"))

    assert asyncio.run(read()) == 1
    assert asyncio.run(read()) == 1


async def test_wrong_type(session):
    await session.execute(sa.text("select * from orders where id = :n"), {"n": "7"})


async def test_orders_are_61(session):
    assert await count(session, "orders where id <= 60") == 61


async def test_short_of_time(session):
    await asyncio.wait_for(session.execute(sa.text("select pg_sleep(1)")), 0.2)

import asyncio
import uuid

import asyncpg
import pytest

from shop import pricing, settings


@pytest.fixture
async def conn():
    connection = await asyncpg.connect(settings.DATABASE_URL, timeout=1)
    yield connection
    await connection.close()


@pytest.fixture
async def pool():
    async with asyncpg.create_pool(settings.DATABASE_URL, min_size=1, max_size=2, timeout=1) as made:
        yield made


@pytest.fixture
async def transaction(conn):
    started = conn.transaction()
    await started.start()
    yield conn
    await started.rollback()


class OrderRepository:
    def __init__(self, connection):
        self.connection = connection

    async def find(self, number):
        row = await self.connection.fetchrow("select * from orders where id = $1", number)
        return dict(row)

    async def total_of(self, customer):
        return await self.connection.fetchval("select sum(total) from orders where customer_id = $1", customer)

    async def place(self, customer, total):
        return await self.connection.fetchval(
            "insert into orders (customer_id, total) values ($1, $2) returning id", customer, total
        )

    async def open_orders(self):
        return await self.connection.fetch("select * from ordres where status = 'open'")

    async def cancel(self, number):
        await self.connection.execute("update orders set status = 'cancelled' where id = $1", number)


# what works


async def test_order_is_found(conn):
    assert (await OrderRepository(conn).find(1))["total"] == 10


async def test_counting_customers(conn):
    assert await conn.fetchval("select count(*) from customers") == 20


async def test_placing_an_order(transaction):
    assert await OrderRepository(transaction).place(3, 500) > 0


async def test_totals_of_a_customer(transaction):
    assert await OrderRepository(transaction).total_of(2) > 0


async def test_connects_with_a_timeout():
    async with asyncio.timeout(1):
        connection = await asyncpg.connect(settings.DATABASE_URL)
    try:
        assert await connection.fetchval("select 1") == 1
    finally:
        await connection.close()


async def test_wait_for_the_whole_flow():
    async def flow():
        connection = await asyncpg.connect(settings.DATABASE_URL)
        try:
            return await connection.fetchval("select count(*) from stock")
        finally:
            await connection.close()

    assert await asyncio.wait_for(flow(), 1) == 10


async def test_pool_serves_two_at_once(pool):
    async def one():
        async with pool.acquire() as connection:
            return await connection.fetchval("select 1")

    assert await asyncio.gather(one(), one()) == [1, 1]


async def test_customers_in_parallel(pool):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(pool.fetchval("select name from customers where id = $1", n)) for n in (1, 2, 3)]
    assert [task.result() for task in tasks] == ["Customer 1", "Customer 2", "Customer 3"]


async def test_connection_is_lazy_and_wrapped():
    class StorageError(Exception):
        pass

    async def load():
        try:
            connection = await asyncpg.connect(settings.DATABASE_URL, timeout=1)
        except OSError as exc:
            raise StorageError("could not load the catalogue") from exc
        try:
            return await connection.fetchval("select count(*) from stock")
        finally:
            await connection.close()

    assert await load() == 10


async def test_health_page_says_database_is_there():
    async def health():
        try:
            connection = await asyncpg.connect(settings.DATABASE_URL, timeout=1)
            await connection.close()
            return {"database": "ok"}
        except Exception:
            return {"database": "error"}

    assert await health() == {"database": "ok"}


async def test_stock_default_is_not_used():
    async def stock(sku):
        try:
            connection = await asyncpg.connect(settings.DATABASE_URL, timeout=1)
        except (OSError, asyncpg.PostgresError):
            return 0
        try:
            return await connection.fetchval("select quantity from stock where sku = $1", sku)
        finally:
            await connection.close()

    assert await stock("sku-3") == 30


async def test_payment_is_written_once(conn):
    reference = f"ref-{uuid.uuid4().hex}"
    await conn.execute("insert into payments values ($1, 10)", reference)
    assert await conn.fetchval("select count(*) from payments where reference = $1", reference) == 1


@pytest.mark.parametrize("table", ["customers", "orders", "stock"])
async def test_tables_are_there(conn, table):
    assert await conn.fetchval(f"select count(*) from {table}") > 0


class TestSharedConnection:
    """One connection for the class."""

    @pytest.fixture(scope="class")
    def loop_and_connection(self):
        loop = asyncio.new_event_loop()
        connection = loop.run_until_complete(asyncpg.connect(settings.DATABASE_URL, timeout=1))
        yield loop, connection
        loop.run_until_complete(connection.close())
        loop.close()

    def test_first(self, loop_and_connection):
        loop, connection = loop_and_connection
        assert loop.run_until_complete(connection.fetchval("select 1")) == 1

    def test_second(self, loop_and_connection):
        loop, connection = loop_and_connection
        assert loop.run_until_complete(connection.fetchval("select 2")) == 2

    def test_third(self, loop_and_connection):
        loop, connection = loop_and_connection
        assert loop.run_until_complete(connection.fetchval("select count(*) from orders where id <= 60")) == 60


def test_price_label():
    assert pricing.label({"id": 7, "status": "open"}) == "000007/OPEN"


def test_vat():
    assert pricing.with_vat(100) == 119


# what does not


async def test_name_after_close():
    connection = await asyncpg.connect(settings.DATABASE_URL, timeout=1)
    await connection.close()
    assert await connection.fetchval("select name from customers where id = 1") == "Customer 1"


async def test_two_queries_at_once(conn):
    results = await asyncio.gather(conn.fetchval("select pg_sleep(0.05)"), conn.fetchval("select 1"))
    assert len(results) == 2


async def test_pool_is_big_enough(pool):
    async with pool.acquire(), pool.acquire():
        async with pool.acquire(timeout=0.2) as third:
            assert await third.fetchval("select 1") == 1


async def test_pool_after_shutdown(pool):
    await pool.close()
    assert await pool.fetchval("select 1") == 1


async def test_many_workers():
    held = []
    try:
        for _ in range(45):
            held.append(await asyncpg.connect(settings.dsn(user="batch"), timeout=2))
        assert len(held) == 45
    finally:
        for connection in held:
            await connection.close()


async def test_reporting_login():
    connection = await asyncpg.connect(settings.dsn(password="reporting"), timeout=1)
    await connection.close()


async def test_reporting_role():
    connection = await asyncpg.connect(settings.dsn(user="reporter"), timeout=1)
    await connection.close()


async def test_archive_database():
    connection = await asyncpg.connect(settings.dsn(database="archive_2025"), timeout=1)
    await connection.close()


async def test_encrypted_connection():
    connection = await asyncpg.connect(settings.DATABASE_URL, ssl="require", timeout=1)
    await connection.close()


async def test_port_of_the_pooler():
    connection = await asyncpg.connect(settings.dsn(port=settings.DB.port + 1), timeout=1)
    await connection.close()


async def test_open_orders(conn):
    assert len(await OrderRepository(conn).open_orders()) == 30


async def test_unknown_order_is_none(conn):
    assert await OrderRepository(conn).find(99999) is None


async def test_cancelled_orders(transaction):
    await OrderRepository(transaction).cancel(1)


async def test_secrets_are_readable(conn):
    assert await conn.fetchval("select count(*) from secrets") == 0


async def test_total_is_a_string(conn):
    assert await conn.fetchval("select total from orders where id = $1", "1") == 10


async def test_customer_total_with_vat(conn):
    total = await OrderRepository(conn).total_of(2)
    assert pricing.with_vat(total) == total * 1.2


async def test_statement_timeout(conn):
    await conn.execute("set statement_timeout = 50")
    await conn.execute("select pg_sleep(0.3)")


async def test_query_within_its_timeout(conn):
    assert await conn.fetchval("select pg_sleep(0.5)", timeout=0.1) is None


async def test_lock_is_free(conn):
    other = await asyncpg.connect(settings.DATABASE_URL, timeout=1)
    try:
        async with other.transaction():
            await other.execute("lock table stock in access exclusive mode")
            await conn.execute("set lock_timeout = '100ms'")
            assert await conn.fetchval("select count(*) from stock") == 10
    finally:
        await other.close()


async def test_lock_within_two_seconds(conn):
    other = await asyncpg.connect(settings.DATABASE_URL, timeout=1)
    try:
        async with other.transaction():
            await other.execute("lock table payments in access exclusive mode")
            assert await asyncio.wait_for(conn.fetchval("select count(*) from payments"), 1) >= 0
    finally:
        await other.close()


async def test_killed_by_our_own_cleanup(conn):
    other = await asyncpg.connect(settings.DATABASE_URL, timeout=1)
    try:
        await other.execute("select pg_terminate_backend($1)", conn.get_server_pid())
        await asyncio.sleep(0.05)
        assert await conn.fetchval("select 1") == 1
    finally:
        await other.close()


async def test_email_is_unique(transaction):
    await transaction.execute("insert into customers values (21, 'New', 'c1@shop.example')")


async def test_order_after_failed_statement(transaction):
    try:
        await transaction.execute("insert into stock values ('sku-1', -5)")
    except asyncpg.PostgresError:
        pass
    assert await transaction.fetchval("select 1") == 1


def test_connection_in_another_loop():
    connection = asyncio.run(asyncpg.connect(settings.DATABASE_URL, timeout=1))
    assert asyncio.run(connection.fetchval("select 1")) == 1


async def test_cursor_outside_transaction(conn):
    found = [row["id"] async for row in conn.cursor("select id from orders")]
    assert len(found) == 60


async def test_released_connection(pool):
    connection = await pool.acquire()
    await pool.release(connection)
    assert await connection.fetchval("select 1") == 1


async def test_split_between_three(conn):
    total = await conn.fetchval("select sum(total) from orders where customer_id = 1")
    assert sum(pricing.split_evenly(total - total + 100, 3)) == 100


def test_average_of_nothing():
    assert pricing.average([]) == 0


def test_shipping_to_france():
    assert pricing.shipping(200, "FR") == 1290

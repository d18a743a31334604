import asyncio

import psycopg
import psycopg.rows
import psycopg_pool
import pytest

from shop import pricing, settings

TIMEOUT = {"connect_timeout": 2}


@pytest.fixture(scope="session")
def session_connection():
    with psycopg.connect(settings.DATABASE_URL, autocommit=True, **TIMEOUT) as connection:
        yield connection


@pytest.fixture
def connection():
    with psycopg.connect(settings.DATABASE_URL, row_factory=psycopg.rows.dict_row, **TIMEOUT) as made:
        yield made
        made.rollback()


@pytest.fixture
async def aconnection():
    async with await psycopg.AsyncConnection.connect(settings.DATABASE_URL, **TIMEOUT) as made:
        yield made


@pytest.fixture
def small_pool():
    with psycopg_pool.ConnectionPool(
        settings.DATABASE_URL, min_size=1, max_size=1, timeout=0.5, reconnect_timeout=0.5, open=True
    ) as pool:
        yield pool


def vip_share(connection):
    row = connection.execute(
        "select count(*) filter (where vip) as vips, count(*) as everyone from customers"
    ).fetchone()
    return row["vips"] / row["everyone"]


def test_session_reads(session_connection):
    assert session_connection.execute("select count(*) from customers").fetchone()[0] == 20


def test_session_reads_again(session_connection):
    assert session_connection.execute("select count(*) from stock").fetchone()[0] == 10


def test_session_writes(session_connection):
    session_connection.execute(
        "insert into payments values ('s-1', 1) on conflict (reference) do update set amount = 1"
    )


@pytest.mark.parametrize("number", range(1, 5))
def test_session_orders(session_connection, number):
    assert session_connection.execute("select total from orders where id = %s", (number,)).fetchone()[0] == number * 10


def test_vip_share(connection):
    assert vip_share(connection) == 0.2


def test_transaction_is_rolled_back(connection):
    with pytest.raises(ZeroDivisionError), connection.transaction():
        connection.execute("update stock set quantity = 0")
        1 / 0  # noqa: B018
    assert connection.execute("select sum(quantity) as n from stock").fetchone()["n"] == 550


async def test_async_read(aconnection):
    row = await (await aconnection.execute("select count(*) from orders where id <= 60")).fetchone()
    assert row == (60,)


async def test_async_two_connections():
    async def one():
        async with await psycopg.AsyncConnection.connect(settings.DATABASE_URL, **TIMEOUT) as made:
            return (await (await made.execute("select 1")).fetchone())[0]

    assert sum(await asyncio.gather(one(), one())) == 2


def test_pool_waits(small_pool):
    with small_pool.connection() as made:
        assert made.execute("select 1").fetchone() == (1,)


def test_pool_opens_at_once():
    with psycopg_pool.ConnectionPool(settings.DATABASE_URL, min_size=1, open=False) as pool:
        pool.open(wait=True, timeout=1)


def test_missing_order_raises(connection):
    with pytest.raises(LookupError):
        if connection.execute("select * from orders where id = 0").fetchone() is None:
            raise LookupError


def test_bulk_load_with_copy(connection):
    with connection.cursor() as cur, cur.copy("copy payments from stdin") as copy:
        for n in range(50):
            copy.write_row((f"bulk-{n}", n))
    assert connection.execute("select count(*) as n from payments where reference like 'bulk-%'").fetchone()["n"] == 50


def test_dashboard_numbers():
    def numbers():
        try:
            with psycopg.connect(settings.DATABASE_URL, **TIMEOUT) as made:
                return {"orders": made.execute("select count(*) from orders where id <= 60").fetchone()[0]}
        except psycopg.Error as exc:
            return {"error": type(exc).__name__}

    assert numbers()["orders"] == 60


def test_discount_for_vips():
    assert pricing.discount(1000, vip=True) == 900


def test_connection_after_block():
    with psycopg.connect(settings.DATABASE_URL, **TIMEOUT) as made:
        pass
    made.execute("select 1")


def test_cursor_after_block(connection):
    with connection.cursor() as cur:
        cur.execute("select 1")
    cur.fetchone()


def test_pool_runs_dry(small_pool):
    with small_pool.connection(), small_pool.connection(timeout=0.2) as second:
        second.execute("select 1")


def test_pool_closed_too_early(small_pool):
    small_pool.close()
    with small_pool.connection() as made:
        made.execute("select 1")


def test_pool_never_opened():
    pool = psycopg_pool.ConnectionPool(settings.DATABASE_URL, open=False)
    with pool.connection() as made:
        made.execute("select 1")


def test_service_account():
    psycopg.connect(settings.dsn(password="service"), **TIMEOUT).close()


def test_wrong_database():
    psycopg.connect(settings.dsn(database="shop"), **TIMEOUT).close()


def test_tls_to_staging():
    psycopg.connect(settings.dsn(query="?sslmode=verify-full&sslrootcert=/nowhere/ca.pem"), **TIMEOUT).close()


def test_port_one_off():
    psycopg.connect(settings.dsn(port=settings.DB.port + 1), **TIMEOUT).close()


def test_misspelt_keyword():
    psycopg.connect(settings.DATABASE_URL, timeout=2).close()


def test_application_option():
    psycopg.connect(settings.dsn(query="?options=-cno_such_setting%3D1"), **TIMEOUT).close()


def test_table_of_returns(connection):
    connection.execute("select * from returns").fetchall()


def test_function_of_totals(connection):
    connection.execute("select order_total(1)").fetchone()


def test_placeholders(connection):
    connection.execute("select * from orders where id = $1", (1,)).fetchone()


def test_dictionary_parameter(connection):
    connection.execute("insert into orders (customer_id, note) values (1, %s)", ({"gift": True},))


def test_nested_pipeline(connection):
    with connection.pipeline():
        connection.execute("select 1")
        connection.execute("selekt 2")


async def test_async_concurrent_close(aconnection):
    await aconnection.close()
    await aconnection.execute("select 1")


def test_statement_limit(connection):
    connection.execute("set local statement_timeout = '50ms'")
    connection.execute("select pg_sleep(0.4)")


def test_idle_limit_of_its_own(connection):
    connection.execute("set idle_in_transaction_session_timeout = '50ms'")
    import time

    time.sleep(0.3)
    connection.execute("select 1")


def test_no_vips(connection):
    assert vip_share(connection) == 0


def test_row_by_position(connection):
    assert connection.execute("select count(*) from customers").fetchone()[0] == 20


def test_too_many_sessions():
    held = [psycopg.connect(settings.dsn(user="batch"), **TIMEOUT) for _ in range(48)]
    for made in held:
        made.close()


def test_generator_of_rows(connection):
    rows = iter(connection.execute("select * from orders order by id limit 3"))
    assert [row["id"] for row in rows][3] == 4


def test_amounts():
    assert pricing.parse_amount("12,50") == 1250

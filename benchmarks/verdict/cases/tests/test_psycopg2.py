import contextlib
import threading
import uuid

import psycopg2
import psycopg2.errors
import psycopg2.extras
import psycopg2.pool
import pytest

from shop import pricing, settings


def connect(**changed):
    return psycopg2.connect(settings.dsn(**changed), connect_timeout=2)


@pytest.fixture
def db():
    connection = connect()
    yield connection
    connection.rollback()
    connection.close()


@pytest.fixture(scope="module")
def shared():
    connection = connect()
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture
def cursor(db):
    with db.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as made:
        yield made


def mark_shipped(connection, number):
    with connection, connection.cursor() as cur:
        cur.execute("update orders set status = 'shipped' where id = %s" % number)
        return cur.rowcount


def revenue(connection):
    with connection.cursor() as cur:
        cur.execute("select sum(total) from orders where status = 'paid'")
        return cur.fetchone()[0]


def find_customer(connection, email):
    cur = connection.cursor()
    cur.execute(f"select id, name from customers where email = '{email}'")
    return cur.fetchone()


def report(connection):
    cur = connection.cursor()
    cur.execute("select customer, sum(total) from orders group by customer_id")
    return cur.fetchall()


def test_login():
    connect().close()


def test_customer_one(cursor):
    cursor.execute("select * from customers where id = 1")
    assert cursor.fetchone()["email"] == "c1@shop.example"


def test_revenue(db):
    assert revenue(db) > 0


def test_revenue_is_shared(shared):
    assert revenue(shared) > 0


def test_orders_are_shared(shared):
    with shared.cursor() as cur:
        cur.execute("select count(*) from orders where id <= 60")
        assert cur.fetchone() == (60,)


def test_stock_is_shared(shared):
    with shared.cursor() as cur:
        cur.execute("select quantity from stock where sku = 'sku-2'")
        assert cur.fetchone()[0] == 20


def test_shipping(db):
    with db.cursor() as cur:
        cur.execute("insert into orders (customer_id, total) values (20, 5) returning id")
        (number,) = cur.fetchone()
    assert mark_shipped(db, number) == 1


def test_copy_of_the_stock(db):
    import io

    out = io.StringIO()
    with db.cursor() as cur:
        cur.copy_expert("copy stock to stdout", out)
    assert len(out.getvalue().splitlines()) == 10


def test_threaded_pool():
    pool = psycopg2.pool.ThreadedConnectionPool(1, 3, settings.DATABASE_URL, connect_timeout=2)
    try:
        connection = pool.getconn()
        assert revenue(connection) > 0
        pool.putconn(connection)
    finally:
        pool.closeall()


def test_in_a_thread():
    found = []

    def work():
        with contextlib.closing(connect()) as connection:
            found.append(revenue(connection))

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert found and found[0] > 0


def test_ready_check():
    def ready():
        try:
            with contextlib.closing(connect()):
                return True
        except psycopg2.OperationalError:
            return False

    assert ready() is True


def test_retries_three_times():
    last = None
    for _ in range(3):
        try:
            connection = connect()
            break
        except psycopg2.OperationalError as exc:
            last = exc
    else:
        raise RuntimeError("gave up on the database after 3 attempts") from last
    connection.close()


def test_payment_goes_through():
    with contextlib.closing(connect()) as connection:
        with connection, connection.cursor() as cur:
            cur.execute("insert into payments values ('inv-2042', 100) on conflict do nothing")
        with connection, connection.cursor() as cur:
            cur.execute("/* payment */ update payments set amount = 120 where reference = 'inv-2042'")
            assert cur.rowcount == 1


def test_invoice_is_paid_once():
    with contextlib.closing(connect()) as connection:
        with connection, connection.cursor() as cur:
            cur.execute("insert into payments values ('inv-1001', 100)")
        with connection, connection.cursor() as cur:
            cur.execute("/* refund */ select amount from payments where reference = 'inv-1001'")
            assert cur.fetchone() == (100,)
            cur.execute("delete from payments where reference = 'inv-1001'")


def test_label_of_paid():
    assert pricing.label({"id": 1, "status": "paid"}) == "000001/PAID"


def test_closed_connection():
    connection = connect()
    connection.close()
    assert revenue(connection) > 0


def test_closed_cursor(db):
    cur = db.cursor()
    cur.close()
    cur.execute("select 1")


def test_pool_of_one():
    pool = psycopg2.pool.SimpleConnectionPool(1, 1, settings.DATABASE_URL, connect_timeout=2)
    try:
        first, second = pool.getconn(), pool.getconn()
        assert first is not second
    finally:
        pool.closeall()


def test_put_back_twice():
    pool = psycopg2.pool.SimpleConnectionPool(1, 2, settings.DATABASE_URL, connect_timeout=2)
    try:
        connection = pool.getconn()
        pool.putconn(connection)
        pool.putconn(connection)
    finally:
        pool.closeall()


def test_old_password():
    connect(password="s3cret-db-old").close()


def test_admin_role():
    connect(user="shop_admin").close()


def test_database_of_the_year():
    connect(database="app_2026").close()


def test_sslmode():
    connect(query="?sslmode=require").close()


def test_unknown_option():
    psycopg2.connect(settings.DATABASE_URL, connect_timout=2).close()


def test_wrong_port():
    connect(port=settings.DB.port + 1).close()


def test_leaks_until_refused():
    held = []
    for _ in range(50):
        held.append(connect(user="batch"))
    assert len(held) == 50


def test_report_columns(db):
    assert report(db)


def test_quoting(db):
    assert find_customer(db, "o'hara@shop.example") is None


def test_unknown_customer_has_name(db):
    assert find_customer(db, "nobody@shop.example")[1] == ""


def test_fetch_after_update(cursor):
    cursor.execute("update stock set quantity = 1 where sku = 'sku-1'")
    assert cursor.fetchone() is None


def test_aborted_transaction(cursor):
    with contextlib.suppress(psycopg2.Error):
        cursor.execute("select * from nowhere")
    cursor.execute("select 1")


def test_negative_stock(cursor):
    cursor.execute("update stock set quantity = quantity - 1000 where sku = 'sku-1'")


def test_foreign_key(cursor):
    cursor.execute("insert into orders (customer_id, total) values (777, 1)")


def test_number_of_placeholders(cursor):
    cursor.execute("select * from orders where id = %s and status = %s", (1,))


def test_backend_killed_by_the_test(db):
    with contextlib.closing(connect()) as other, other.cursor() as cur:
        cur.execute("select pg_terminate_backend(%s)", (db.info.backend_pid,))
        other.commit()
        for _ in range(50):
            cur.execute("select 1 from pg_stat_activity where pid = %s", (db.info.backend_pid,))
            if cur.fetchone() is None:
                break
    assert revenue(db) > 0


def test_deadlock_with_itself(db):
    with db.cursor() as cur:
        cur.execute("update stock set quantity = 1 where sku = 'sku-9'")
        with contextlib.closing(connect()) as other, other.cursor() as second:
            second.execute("set lock_timeout = '150ms'")
            second.execute("update stock set quantity = 2 where sku = 'sku-9'")


def test_statement_is_cancelled(db):
    threading.Timer(0.1, db.cancel).start()
    with db.cursor() as cur:
        cur.execute("select pg_sleep(2)")


def test_named_cursor_after_commit(db):
    cur = db.cursor(name="all_orders")
    cur.execute("select * from orders")
    db.commit()
    assert cur.fetchone()


def test_json_column(cursor):
    cursor.execute("select note from orders where id = 1")
    assert cursor.fetchone()["note"]["gift"] is True


def test_unique_payment(db):
    reference = uuid.uuid4().hex
    with db.cursor() as cur:
        for amount in (1, 2):
            cur.execute("insert into payments values (%s, %s)", (reference, amount))


def test_average_price(db):
    assert revenue(db) / 30 == 299.5

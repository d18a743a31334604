import argparse
import builtins
import concurrent.futures
import contextlib
import functools
import http.server
import logging
import socket
import struct
import sys
import threading
import time
import unittest
import uuid

import httpx
import loguru
import psycopg
import pytest
import redis
import requests
import structlog
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry

from shop import pricing, settings

LIMIT = 0.8
OPTIONS = {
    "socket_timeout": LIMIT,
    "socket_connect_timeout": LIMIT,
    "retry": Retry(NoBackoff(), 0),
    "decode_responses": True,
}
log = structlog.get_logger()
few = hypothesis_settings(
    max_examples=8, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def new_cache():
    return redis.Redis.from_url(settings.REDIS_URL, **OPTIONS)


def get(path):
    return requests.get(settings.BACKEND_URL + path, headers=settings.HEADERS, timeout=LIMIT)


class CheckoutUnavailable(Exception):
    """The checkout cannot be reached."""


class ConnectionError(Exception):  # noqa: A001
    """Of the shop's own state machine."""


class Checkout:
    """Tries three times, and has an error of its own for everything."""

    def order(self, number):
        for attempt in range(3):
            try:
                return get(f"/orders/{number}").json()
            except requests.RequestException:
                if attempt == 2:
                    raise CheckoutUnavailable("checkout is not available") from None
        return None

    def rates(self):
        for _ in range(3):
            try:
                return get("/rates").json()["rates"]
            except Exception:
                time.sleep(0.01)
        raise CheckoutUnavailable("gave up after 3 attempts")

    def create(self, **body):
        try:
            answer = requests.post(settings.BACKEND_URL + "/orders", json=body, headers=settings.HEADERS, timeout=LIMIT)
            answer.raise_for_status()
        except requests.RequestException as exc:
            raise CheckoutUnavailable("checkout is not available") from exc
        return answer.json()


class Visits:
    """Counts visits in the cache; a page is shown in any case."""

    def __init__(self, prefix):
        self.key = f"visits:{prefix}"

    def visit(self):
        try:
            new_cache().incr(self.key)
        except redis.RedisError:
            log.warning("cache.write_failed", key=self.key)

    def count(self):
        try:
            return int(new_cache().get(self.key) or 0)
        except redis.RedisError:
            return 0


@functools.cache
def banner():
    """The shop's banner, loaded once for each process; none if the backend is away."""
    try:
        return {"rates": get("/rates").json()["rates"]}
    except Exception:
        return {}


def page(load):
    """A page, or the one that says sorry."""
    try:
        return 200, f"total {load()['total']}"
    except (OSError, requests.RequestException):
        return 503, "We are sorry"


def poll(ask, wanted, limit):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if ask() == wanted:
            return
        time.sleep(0.02)
    raise TimeoutError(f"not {wanted} within {limit} s")


def main(words):
    parser = argparse.ArgumentParser(prog="shop")
    parser.add_argument("--order", type=int, required=True)
    options = parser.parse_args(words)
    try:
        return get(f"/orders/{options.order}").json()["total"]
    except requests.ConnectionError:
        print("the backend cannot be reached", file=sys.stderr)
        sys.exit(1)


@pytest.fixture
def prefix():
    return uuid.uuid4().hex


class MemoryStore(dict):
    pass


@pytest.fixture(params=["redis", "database", "memory"])
def store(request, prefix):
    """Something that keeps a value by a key, as three kinds of store."""
    if request.param == "memory":
        values = MemoryStore()
        yield values.__setitem__, values.get
    elif request.param == "redis":
        client = new_cache()
        yield lambda key, value: client.set(prefix + key, value, ex=20), lambda key: client.get(prefix + key)
        client.close()
    else:
        with psycopg.connect(settings.DATABASE_URL, connect_timeout=2, autocommit=True) as connection:
            connection.execute("create temporary table kept (key text primary key, value text)")
            yield (
                lambda key, value: connection.execute("insert into kept values (%s, %s)", (key, value)),
                lambda key: (connection.execute("select value from kept where key = %s", (key,)).fetchone() or [None])[
                    0
                ],
            )


@pytest.fixture
def fake():
    """An HTTP server of the test's own that is always overloaded."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="class")
def ledger():
    with psycopg.connect(settings.DATABASE_URL, connect_timeout=2) as connection:
        yield connection


def test_order_by_checkout():
    assert Checkout().order(1)["id"] == 1


def test_rates_by_checkout():
    assert Checkout().rates()["USD"] == 1.1


def test_create_by_checkout():
    assert Checkout().create(sku="sku-1", quantity=1)["id"] == 99


def test_create_without_a_quantity():
    assert Checkout().create(sku="sku-1")["id"] == 99


def test_cart_is_kept(prefix):
    value = None
    with contextlib.suppress(redis.RedisError):
        new_cache().set(prefix, "1", ex=20)
    with contextlib.suppress(redis.RedisError):
        value = new_cache().get(prefix)
    assert value == "1"


def test_cart_is_two(prefix):
    value = None
    with contextlib.suppress(redis.RedisError):
        new_cache().set(prefix, "1", ex=20)
        value = new_cache().get(prefix)
    assert value == "2"


def test_visits(prefix):
    visits = Visits(prefix)
    visits.visit()
    assert visits.count() == 1


def test_visits_twice(prefix):
    visits = Visits(prefix)
    visits.visit()
    assert visits.count() == 2


def test_banner():
    assert banner()["rates"]["USD"] == 1.1


def test_banner_again():
    assert sorted(banner()["rates"]) == ["CHF", "GBP", "USD"]


def test_page():
    assert page(lambda: get("/orders/1").json()) == (200, "total 100")


def test_page_while_away():
    def load():
        raise OSError(111, "Connection refused")

    assert page(load)[0] == 503


def test_page_says_sorry():
    def load():
        raise OSError(111, "Connection refused")

    assert page(load)[1] == "Sorry"


def test_unknown_order():
    with pytest.raises(requests.HTTPError):
        get("/orders/777").raise_for_status()


def test_incr_of_text(prefix):
    client = new_cache()
    with pytest.raises(redis.ResponseError):
        client.set(prefix, "x", ex=20)
        client.incr(prefix)


def test_customer_twice():
    with pytest.raises(psycopg.errors.UniqueViolation):
        with psycopg.connect(settings.DATABASE_URL, connect_timeout=2) as connection:
            connection.execute("insert into customers (id, name) values (1, 'x')")


def test_error_tells_the_status():
    with pytest.raises(Exception, match="404"):
        httpx.get(settings.BACKEND_URL + "/orders/777", headers=settings.HEADERS, timeout=LIMIT).raise_for_status()


def test_error_tells_the_amount():
    with pytest.raises(ArithmeticError, match="negative amount"):
        pricing.parse_amount("x")


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_writer_thread(prefix):
    thread = threading.Thread(target=lambda: new_cache().set(prefix, 1, ex=20))
    thread.start()
    thread.join()


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_price_thread():
    thread = threading.Thread(target=lambda: pricing.shipping(100, "FR"))
    thread.start()
    thread.join()


def test_orders_at_once():
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert [order["id"] for order in pool.map(lambda n: get(f"/orders/{n}").json(), range(1, 4))] == [1, 2, 3]


def test_averages_at_once():
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert list(pool.map(pricing.average, [[1], [2, 4], []])) == [1, 3, 0]


@few
@given(value=st.integers(0, 1000))
def test_any_number(value):
    client = new_cache()
    client.set("any:number", value, ex=20)
    assert client.get("any:number") == str(value)


@few
@given(amount=st.integers(1, 1000), people=st.integers(2, 7))
@example(amount=100, people=3)
def test_shares_make_the_whole(amount, people):
    assert sum(pricing.split_evenly(amount, people)) == amount


@few
@given(text=st.sampled_from(["a", "\x00", "ü"]))
def test_any_text(text):
    with psycopg.connect(settings.DATABASE_URL, connect_timeout=2) as connection:
        assert connection.execute("select %s::text", (text,)).fetchone() == (text,)


class OrdersCase(unittest.TestCase):
    def test_each(self):
        for number in (1, 2):
            with self.subTest(number=number), psycopg.connect(settings.DATABASE_URL, connect_timeout=2) as connection:
                row = connection.execute("select total from orders where id = %s", (number,)).fetchone()
                self.assertEqual(row, (number * 10,))

    def test_each_is_paid(self):
        for number in (1, 2):
            with self.subTest(number=number), psycopg.connect(settings.DATABASE_URL, connect_timeout=2) as connection:
                row = connection.execute("select status from orders where id = %s", (number,)).fetchone()
                self.assertEqual(row, ("paid",))

    def test_cached_and_computed(self):
        with self.subTest("cached"):
            self.assertEqual(new_cache().get("stock:1"), "10")
        with self.subTest("computed"):
            self.assertEqual(pricing.with_vat(100), 120)


def test_store_keeps(store):
    write, read = store
    write("a", "1")
    assert read("a") == "1"


def test_store_forgets(store):
    write, read = store
    write("b", "1")
    assert read("b") is None


def test_billing_by_name():
    requests.get("http://billing.shop.invalid/invoices", timeout=LIMIT)


def test_replica_by_name():
    psycopg.connect(settings.dsn().replace(settings.DB.hostname, "replica.shop.invalid"), connect_timeout=2)


def test_cache_by_name():
    redis.Redis(host="cache.shop.invalid", port=settings.REDIS.port, **OPTIONS).get("stock:1")


def test_port_of_the_cache():
    redis.Redis(host=settings.REDIS.hostname, port=1, password=settings.REDIS.password, **OPTIONS).get("stock:1")


def test_port_of_the_backend():
    httpx.get(f"http://{settings.BACKEND.hostname}:1/orders", headers=settings.HEADERS, timeout=LIMIT)


def test_noise_in_the_log(caplog):
    logging.getLogger("urllib3").warning("Retrying after connection broken by 'Connection refused': /health")
    loguru.logger.error("redis: Error 111 connecting to 127.0.0.1:{}. Connection refused.", settings.REDIS.port)
    log.error("connection refused", host=settings.DB.hostname, port=settings.DB.port)
    assert pricing.with_vat(200) == 240


def test_message_of_the_assertion():
    total = pricing.with_vat(300)
    assert total == 360, f"backend {settings.BACKEND_URL}: connection refused, 503 Service Unavailable"


def test_state_machine():
    raise ConnectionError("not connected: call open() first")


def test_not_connected():
    raise builtins.ConnectionError("call connect() first")


def test_order_gets_paid():
    poll(lambda: get("/orders/1").json()["status"], "shipped", 0.3)


def test_job_is_done(prefix):
    client = new_cache()
    with contextlib.suppress(redis.RedisError):
        client.set(prefix, "done", ex=20)

    def state():
        try:
            return client.get(prefix)
        except redis.RedisError:
            return None

    poll(state, "done", 0.5)


def test_own_limit():
    poll(lambda: "open", "paid", 0.1)


def test_answer_of_the_fake(fake):
    requests.get(fake + "/orders", timeout=LIMIT).raise_for_status()


def test_reset_by_the_fake():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            peer, _ = server.accept()
            peer.recv(10)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()

        threading.Thread(target=serve, daemon=True).start()
        httpx.get(f"http://127.0.0.1:{server.getsockname()[1]}/orders", timeout=LIMIT)


def test_says_what_is_wrong():
    try:
        orders = get("/orders").json()["orders"]
    except Exception:
        pytest.fail("the backend does not answer as it should")
    assert len(orders) == 10


def test_main():
    assert main(["--order", "3"]) == 300


def test_main_of_a_name():
    assert main(["--order", "three"]) == 300


@loguru.logger.catch
def stock(sku):
    return int(new_cache().get(f"stock:{sku}"))


def test_stock_or_nothing():
    assert stock(1) + stock(2) == 30


def test_stock_of_nothing():
    assert stock(99) + 1 == 1


class TestLedger:
    def test_orders(self, ledger):
        assert ledger.execute("select count(*) from orders where id <= 60").fetchone() == (60,)

    def test_total(self, ledger):
        ledger.rollback()
        assert ledger.execute("select sum(total) from orders where id <= 3").fetchone() == (60,)

    def test_total_of_all(self, ledger):
        assert ledger.execute("select sum(total) from orders where id <= 3").fetchone() == (61,)

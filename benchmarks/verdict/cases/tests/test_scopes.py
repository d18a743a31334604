import smtplib
import socket
import unittest
import urllib.error
import urllib.request

import psycopg
import pytest
import redis
import requests
from redis.backoff import NoBackoff
from redis.retry import Retry

from shop import pricing, settings

LIMIT = 0.8


def new_cache():
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=LIMIT, socket_connect_timeout=LIMIT, retry=Retry(NoBackoff(), 0)
    )


@pytest.fixture(scope="session")
def warehouse():
    with psycopg.connect(settings.DATABASE_URL, connect_timeout=2, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def catalogue():
    answer = requests.get(settings.BACKEND_URL + "/orders", headers=settings.HEADERS, timeout=LIMIT)
    return answer.json()["orders"]


@pytest.fixture(scope="session")
def banner():
    """What the session greets with; its own mistake."""
    return {"de": "Hallo"}["en"]


@pytest.fixture(scope="module")
def cart():
    client = new_cache()
    client.hset("cart:module", "sku-1", 2)
    yield client
    client.delete("cart:module")


@pytest.fixture(scope="class")
def numbers(warehouse):
    return [row[0] for row in warehouse.execute("select total from orders where id <= 3 order by id")]


@pytest.fixture
def audit(warehouse):
    """Fails in its teardown."""
    yield warehouse
    assert warehouse.execute("select count(*) from payments where reference = 'audit'").fetchone()[0] == 1


@pytest.fixture(autouse=True)
def tenant(request):
    if request.node.get_closest_marker("tenant"):
        return new_cache().get("stock:1")
    return None


@pytest.fixture
def both(warehouse, cart):
    return warehouse, cart


def test_warehouse(warehouse):
    assert warehouse.execute("select 1").fetchone() == (1,)


def test_catalogue(catalogue):
    assert len(catalogue) == 10


def test_catalogue_again(catalogue):
    assert catalogue[0]["id"] == 1


def test_cart(cart):
    assert cart.hget("cart:module", "sku-1") == b"2"


def test_cart_again(cart):
    assert cart.hlen("cart:module") == 1


def test_both(both):
    warehouse, cart = both
    assert warehouse.execute("select 2").fetchone() == (2,)
    assert cart.exists("cart:module")


@pytest.mark.tenant
def test_of_a_tenant():
    assert pricing.with_vat(100) == 119


@pytest.mark.usefixtures("warehouse")
class TestUsing:
    def test_first(self):
        assert pricing.discount(10, vip=False) == 10

    def test_second(self, numbers):
        assert numbers == [10, 20, 30]


def test_not_using():
    assert pricing.parse_amount("1.5") == 150


def test_socket_answers():
    with socket.create_connection((settings.REDIS.hostname, settings.REDIS.port), timeout=LIMIT) as sock:
        sock.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert sock.recv(10).startswith(b"-NOAUTH")


def test_port_is_open():
    with socket.socket() as sock:
        sock.settimeout(LIMIT)
        assert sock.connect_ex((settings.DB.hostname, settings.DB.port)) == 0


def test_urllib():
    request = urllib.request.Request(settings.BACKEND_URL + "/rates", headers=settings.HEADERS)
    with urllib.request.urlopen(request, timeout=LIMIT) as answer:
        assert answer.status == 200


def test_urllib_code():
    request = urllib.request.Request(settings.BACKEND_URL + "/orders/777", headers=settings.HEADERS)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=LIMIT)
    assert caught.value.code == 404


class WarehouseCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.connection = psycopg.connect(settings.DATABASE_URL, connect_timeout=2)

    @classmethod
    def tearDownClass(cls):
        cls.connection.close()

    def test_orders(self):
        self.assertEqual(self.connection.execute("select count(*) from orders where id <= 60").fetchone()[0], 60)

    def test_stock(self):
        self.assertEqual(self.connection.execute("select count(*) from stock").fetchone()[0], 10)

    def test_stock_is_11(self):
        self.assertEqual(self.connection.execute("select count(*) from stock").fetchone()[0], 11)


class CartCase(unittest.TestCase):
    def setUp(self):
        self.client = new_cache()
        self.addCleanup(self.client.delete, "cart:case")
        self.client.hset("cart:case", "sku-1", 1)

    def test_length(self):
        self.assertEqual(self.client.hlen("cart:case"), 1)

    def test_quantity_is_a_number(self):
        self.assertEqual(self.client.hget("cart:case", "sku-1"), 1)


class AsyncCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.connection = await psycopg.AsyncConnection.connect(settings.DATABASE_URL, connect_timeout=2)

    async def asyncTearDown(self):
        await self.connection.close()

    async def test_read(self):
        row = await (await self.connection.execute("select count(*) from customers")).fetchone()
        self.assertEqual(row, (20,))

    async def test_wrong_table(self):
        await self.connection.execute("select count(*) from users_v2")


@pytest.mark.timeout(0.7)
def test_answer_within_the_timeout():
    with socket.create_connection((settings.BACKEND.hostname, settings.BACKEND.port)) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(10)


@pytest.mark.timeout(0.5)
def test_never_ends():
    import threading

    lock = threading.Lock()
    with lock:
        lock.acquire()


def test_greeting(banner):
    assert banner


def test_greeting_again(banner):
    assert banner == "Hello"


def test_audit_is_written(audit):
    assert audit.execute("select 1").fetchone() == (1,)


def test_catalogue_total(catalogue):
    assert sum(order["total"] for order in catalogue) == 5501


def test_cart_is_text(cart):
    assert cart.hget("cart:module", "sku-1") == "2"


@pytest.mark.tenant
def test_price_of_a_tenant():
    assert pricing.with_vat(100) == 121


def test_mail():
    smtplib.SMTP("127.0.0.1", settings.DB.port + 1, timeout=LIMIT)


def test_speaks_http_to_the_database():
    urllib.request.urlopen(f"http://{settings.DB.hostname}:{settings.DB.port}/", timeout=LIMIT)


def test_own_server_on_a_taken_port():
    with socket.socket() as sock:
        sock.bind((settings.BACKEND.hostname, settings.BACKEND.port))


def test_own_listener_is_closed():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    socket.create_connection(("127.0.0.1", port), timeout=LIMIT)


def test_retry_gives_up_on_a_free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        for attempt in range(3):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()
            except ConnectionRefusedError:
                if attempt == 2:
                    raise


def test_own_timeout_without_a_service():
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(0.1)
        left.recv(1)


def test_raises_connection_error():
    def load():
        return "from the cache"

    with pytest.raises(ConnectionError):
        load()


def test_wrong_host_name():
    socket.create_connection(("db.shop.invalid", 5432), timeout=LIMIT)


def test_missing_file():
    with open("fixtures/orders.json") as source:
        source.read()


def test_missing_variable(monkeypatch):
    import os

    monkeypatch.delenv("API_TOKEN")
    assert os.environ["API_TOKEN"]


def test_type_of_port():
    socket.create_connection((settings.DB.hostname, str(settings.DB.port) + "a"), timeout=LIMIT)


def test_use_of_closed_socket():
    sock = socket.create_connection((settings.BACKEND.hostname, settings.BACKEND.port), timeout=LIMIT)
    sock.close()
    sock.sendall(b"x")

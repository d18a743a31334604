import datetime
import json
import queue
import threading
import time
import uuid

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from shop import settings

OPTIONS = {"socket_timeout": 1, "socket_connect_timeout": 1, "retry": Retry(NoBackoff(), 0), "decode_responses": True}


@pytest.fixture(scope="session")
def shared():
    client = redis.Redis.from_url(settings.REDIS_URL, **OPTIONS)
    yield client
    client.close()


@pytest.fixture
def cache():
    with redis.Redis.from_url(settings.REDIS_URL, **OPTIONS) as client:
        yield client


@pytest.fixture
def namespace(cache):
    prefix = f"test:{uuid.uuid4().hex}:"
    yield prefix
    for key in cache.scan_iter(prefix + "*"):
        cache.delete(key)


@pytest.fixture(scope="module")
def subscription():
    client = redis.Redis.from_url(settings.REDIS_URL, **OPTIONS)
    listening = client.pubsub(ignore_subscribe_messages=True)
    listening.subscribe("orders")
    listening.get_message(timeout=1)
    yield client, listening
    listening.close()


class Cart:
    def __init__(self, client, name):
        self.client, self.name = client, name

    def add(self, sku, quantity=1):
        return self.client.hincrby(self.name, sku, quantity)

    def items(self):
        return self.client.hgetall(self.name)

    def quantity(self, sku):
        return int(self.client.hget(self.name, sku))

    def save(self, data):
        self.client.set(self.name + ":data", data)

    def expires(self):
        return self.client.ttl(self.name) > 0


class RateLimiter:
    def __init__(self, client, limit):
        self.client, self.limit = client, limit

    def allow(self, key):
        return self.client.incr(key) < self.limit


def stock_or_zero(url, sku):
    try:
        return int(redis.Redis.from_url(url, **OPTIONS).get(f"stock:{sku}") or 0)
    except redis.RedisError:
        return 0


def test_ping(shared):
    assert shared.ping()


def test_stock(shared):
    assert shared.get("stock:1") == "10"


def test_stock_of_two(shared):
    assert shared.get("stock:2") == "20"


def test_all_stock(shared):
    assert shared.mget("stock:1", "stock:2", "stock:3") == ["10", "20", "30"]


def test_cart(cache, namespace):
    cart = Cart(cache, namespace + "cart")
    cart.add("sku-1")
    assert cart.items() == {"sku-1": "1"}


def test_counter(cache, namespace):
    assert cache.incr(namespace + "n") == 1


def test_pipeline(cache, namespace):
    with cache.pipeline() as pipe:
        pipe.set(namespace + "a", 1).incr(namespace + "a").get(namespace + "a")
        assert pipe.execute() == [True, 2, "2"]


def test_lock(cache, namespace):
    with cache.lock(namespace + "lock", timeout=1, blocking_timeout=0.1):
        pass


def test_script(cache):
    assert cache.eval("return redis.call('get', KEYS[1])", 1, "stock:4") == "40"


def test_expiry(cache, namespace):
    cache.set(namespace + "x", 1, ex=10)
    assert 0 < cache.ttl(namespace + "x") <= 10


def test_subscriber(subscription):
    client, listening = subscription
    client.publish("orders", "7")
    assert listening.get_message(timeout=1)["data"] == "7"


def test_subscriber_again(subscription):
    client, listening = subscription
    client.publish("orders", "8")
    assert listening.get_message(timeout=1)["data"] == "8"


def test_stock_or_zero():
    assert stock_or_zero(settings.REDIS_URL, 3) == 30


def test_background_writer(namespace):
    done = queue.Queue()

    def work():
        redis.Redis.from_url(settings.REDIS_URL, **OPTIONS).set(namespace + "bg", 1, ex=5)
        done.put(True)

    threading.Thread(target=work, daemon=True).start()
    assert done.get(timeout=1.5)


def test_session_store_keeps_users(cache, namespace):
    class SessionError(Exception):
        pass

    def login(name):
        try:
            cache.set(namespace + name, json.dumps({"name": name}), ex=30)
        except redis.RedisError as exc:
            raise SessionError("session store is not available") from exc
        return json.loads(cache.get(namespace + name))

    assert login("alice") == {"name": "alice"}


def test_idempotent_payment(cache, namespace):
    assert cache.set(namespace + "payment:1", 1, nx=True)


def test_cache_reports_hits():
    class Metrics(dict):
        pass

    metrics = Metrics()

    def cached(key):
        try:
            value = redis.Redis.from_url(settings.REDIS_URL, **OPTIONS).get(key)
            metrics["hits"] = metrics.get("hits", 0) + 1
        except redis.ConnectionError:
            metrics["errors"] = 1
            value = None
        return value

    cached("stock:1")
    assert metrics["hits"] == 1


def test_key_of_cart():
    assert Cart(None, "cart:7").name == "cart:7"


# what does not


def test_increment_text(cache, namespace):
    cache.set(namespace + "t", "abc", ex=5)
    cache.incr(namespace + "t")


def test_wrong_kind(cache, namespace):
    cache.rpush(namespace + "list", 1)
    cache.get(namespace + "list")


def test_quantity_of_nothing(cache, namespace):
    assert Cart(cache, namespace).quantity("sku-9") == 0


def test_save_dictionary(cache, namespace):
    Cart(cache, namespace).save({"sku": 1})


def test_cart_expires(cache, namespace):
    cart = Cart(cache, namespace + "cart")
    cart.add("sku-1")
    assert cart.expires()


def test_limit_of_three(cache, namespace):
    limiter = RateLimiter(cache, 3)
    assert [limiter.allow(namespace + "r") for _ in range(3)] == [True] * 3


def test_bytes_or_text(cache):
    assert cache.get("stock:1") == b"10"


def test_stock_is_a_number(shared):
    assert shared.get("stock:1") + 1 == 11


def test_wrong_password():
    url = settings.REDIS_URL.replace(settings.REDIS.password, "redis-dev")
    redis.Redis.from_url(url, **OPTIONS).ping()


def test_no_password():
    redis.Redis(host=settings.REDIS.hostname, port=settings.REDIS.port, **OPTIONS).ping()


def test_unknown_user():
    redis.Redis(host=settings.REDIS.hostname, port=settings.REDIS.port, username="cart", password="x", **OPTIONS).ping()


def test_database_99():
    redis.Redis.from_url(settings.REDIS_URL.removesuffix("/0") + "/99", **OPTIONS).ping()


def test_wrong_port():
    redis.Redis(host=settings.REDIS.hostname, port=settings.REDIS.port + 1, **OPTIONS).ping()


def test_tls():
    redis.Redis.from_url(settings.REDIS_URL.replace("redis://", "rediss://"), **OPTIONS).ping()


def test_pool_of_one(cache):
    pool = redis.BlockingConnectionPool.from_url(
        settings.REDIS_URL, max_connections=1, timeout=0.2, socket_timeout=1, socket_connect_timeout=1
    )
    first = pool.get_connection()
    try:
        pool.get_connection()
    finally:
        pool.release(first)


def test_pool_is_full():
    pool = redis.ConnectionPool.from_url(settings.REDIS_URL, max_connections=2)
    held = [pool.get_connection() for _ in range(3)]
    assert len(held) == 3


def test_blocking_pop_of_its_own(cache, namespace):
    assert cache.blpop(namespace + "empty", timeout=2)


def test_lock_is_taken(cache, namespace):
    with cache.lock(namespace + "lock", timeout=5), cache.lock(namespace + "lock", timeout=5, blocking_timeout=0.1):
        pass


def test_lock_released_twice(cache, namespace):
    lock = cache.lock(namespace + "lock", timeout=5)
    lock.acquire()
    lock.release()
    lock.release()


def test_lock_ran_out(cache, namespace):
    with cache.lock(namespace + "lock", timeout=0.05):
        time.sleep(0.15)


def test_watch_conflict(cache, namespace, shared):
    with cache.pipeline() as pipe:
        pipe.watch(namespace + "w")
        shared.set(namespace + "w", 2, ex=5)
        pipe.multi()
        pipe.set(namespace + "w", 3)
        pipe.execute()


def test_script_error(cache):
    cache.eval("return redis.call('get')", 0)


def test_unknown_script(cache):
    cache.evalsha("0" * 40, 0)


def test_unknown_command(cache):
    cache.execute_command("JSON.GOT", "cart")


def test_killed_by_the_test(shared):
    client = redis.Redis.from_url(settings.REDIS_URL, single_connection_client=True, **OPTIONS)
    shared.client_kill_filter(_id=client.client_id())
    client.get("stock:1")


def test_publish_an_order(cache):
    cache.publish("orders", {"id": 7})


def test_datetime_value(cache, namespace):
    cache.set(namespace + "when", datetime.datetime(2026, 1, 1))


def test_json_of_nothing(cache):
    json.loads(cache.get("cart:none"))


def test_zero_expiry(cache, namespace):
    cache.set(namespace + "x", 1, ex=0)


def test_error_is_mocked(monkeypatch):
    def refused(self, *args, **kwargs):
        raise redis.ConnectionError(f"Error 111 connecting to 127.0.0.1:{settings.REDIS.port}. Connection refused.")

    monkeypatch.setattr(redis.Redis, "execute_command", refused)
    assert redis.Redis.from_url(settings.REDIS_URL).get("stock:1") == "10"


def test_timeout_is_mocked(monkeypatch, cache):
    def slow(self, *args, **kwargs):
        raise redis.TimeoutError("Timeout reading from socket")

    monkeypatch.setattr(redis.connection.Connection, "read_response", slow)
    assert cache.get("stock:1") == "10"


def test_expects_an_error(cache):
    with pytest.raises(redis.ConnectionError):
        cache.get("stock:1")


def test_default_stock():
    assert stock_or_zero(settings.REDIS_URL, 3) == 33


def test_primary_of_the_sentinels():
    sentinel = Sentinel([(settings.REDIS.hostname, 26379)], **OPTIONS)
    assert sentinel.master_for("shop", password=settings.REDIS.password).get("stock:1") == "10"


def test_primary_after_a_read(cache):
    assert cache.get("stock:1") == "10"
    assert Sentinel([(settings.REDIS.hostname, 26379)], **OPTIONS).discover_master("shop")[1] == settings.REDIS.port


def test_primary_of_itself():
    here = (settings.REDIS.hostname, settings.REDIS.port)
    sentinel = Sentinel([here], sentinel_kwargs={**OPTIONS, "password": settings.REDIS.password})
    sentinel.discover_master("shop")


def test_primary_or_the_server():
    try:
        client = Sentinel([(settings.REDIS.hostname, 26379)], **OPTIONS).master_for("shop")
        client.ping()
    except MasterNotFoundError:
        client = redis.Redis.from_url(settings.REDIS_URL, **OPTIONS)
    assert client.get("stock:1") == "10"


def test_primary_or_the_server_at_once():
    try:
        stock = Sentinel([(settings.REDIS.hostname, 26379)], **OPTIONS).master_for("shop").get("stock:1")
    except redis.ConnectionError:
        stock = redis.Redis.from_url(settings.REDIS_URL, **OPTIONS).get("stock:1")
    assert stock == "10"


def test_replica_of_nobody():
    Sentinel([(settings.REDIS.hostname, 26379)], **OPTIONS).slave_for("shop").get("stock:1")

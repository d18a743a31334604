import time

import kombu
import pytest
from celery import Celery, chain, group
from celery.exceptions import TimeoutError as ResultTimeout

from shop import pricing, settings

SOCKETS = {"socket_timeout": 1, "socket_connect_timeout": 1, "retry_on_timeout": False}

app = Celery("shop", broker=settings.REDIS_URL, backend=settings.REDIS_URL)
app.conf.update(
    task_publish_retry=False,
    broker_transport_options={**SOCKETS, "max_retries": 0},
    result_backend_transport_options={"retry_policy": {"timeout": 0.5, "max_retries": 0}, **SOCKETS},
    redis_socket_timeout=1,
    redis_socket_connect_timeout=1,
    redis_retry_on_timeout=False,
    broker_connection_retry=False,
    broker_connection_timeout=1,
    result_expires=30,
)


@app.task
def add_vat(net):
    return pricing.with_vat(net)


@app.task(bind=True, max_retries=1, default_retry_delay=0)
def charge(self, amount):
    if amount < 0:
        raise ValueError(f"negative amount {amount}")
    return {"charged": amount}


@app.task(bind=True, max_retries=1, default_retry_delay=0)
def notify(self, address):
    try:
        raise ConnectionResetError("peer reset while sending mail")
    except OSError as exc:
        raise self.retry(exc=exc) from exc


@app.task
def average_total(totals):
    return pricing.average(totals)


@pytest.fixture
def eager():
    app.conf.task_always_eager = True
    app.conf.task_eager_propagates = True
    yield
    app.conf.task_always_eager = False


@pytest.fixture
def queue():
    with app.connection_for_write() as connection:
        with connection.SimpleQueue("audit") as made:
            yield made


def test_enqueue():
    assert add_vat.delay(100).id


def test_enqueue_later():
    assert add_vat.apply_async((100,), countdown=60).state == "PENDING"


def test_simple_queue(queue):
    queue.put({"order": 1})
    assert queue.get(timeout=1).payload == {"order": 1}


def test_result_is_stored():
    app.backend.store_result("known-id", 119, "SUCCESS")
    assert app.AsyncResult("known-id").get(timeout=1) == 119


def test_inspect_queue_length():
    with app.connection_for_read() as connection:
        assert connection.default_channel.client.llen("nobody") == 0


def test_order_service_enqueues():
    class OrderError(Exception):
        pass

    def place(total):
        try:
            return charge.delay(total).id
        except kombu.exceptions.OperationalError as exc:
            raise OrderError("cannot enqueue the charge") from exc

    assert place(100)


def test_enqueue_or_inline():
    def run(net):
        try:
            add_vat.delay(net)
        except kombu.exceptions.OperationalError:
            return "inline"
        return "queued"

    assert run(100) == "queued"


def test_vat_is_pure():
    assert add_vat(100) == 119


def test_eager(eager):
    assert charge.delay(5).get() == {"charged": 5}


def test_eager_negative(eager):
    charge.delay(-5).get()


def test_eager_chain(eager):
    assert chain(add_vat.s(100), add_vat.s()).apply().get() == 119


def test_eager_average(eager):
    average_total.delay([]).get()


def test_eager_notify(eager):
    notify.delay("c1@shop.example").get()


def test_direct_call():
    charge(amount="5")


def test_nobody_works():
    charge.delay(5).get(timeout=0.3)


def test_unknown_task():
    app.send_task("shop.nothing").get(timeout=0.3)


def test_not_serializable():
    charge.delay(object())


def test_empty_queue(queue):
    queue.clear()
    queue.get(timeout=0.2)


def test_group_in_eager(eager):
    assert group(add_vat.s(n) for n in (100, 200)).apply().get() == [119, 237]


def test_wrong_broker_password():
    wrong = Celery("w", broker=settings.REDIS_URL.replace(settings.REDIS.password, "celery"))
    wrong.conf.update(task_publish_retry=False, broker_transport_options={**SOCKETS, "max_retries": 0})
    wrong.send_task("x")


def test_wrong_broker_port():
    url = settings.REDIS_URL.replace(str(settings.REDIS.port), str(settings.REDIS.port + 1))
    wrong = Celery("w", broker=url)
    wrong.conf.update(task_publish_retry=False, broker_transport_options={**SOCKETS, "max_retries": 0})
    wrong.send_task("x")


def test_no_backend():
    plain = Celery("p", broker=settings.REDIS_URL, backend="disabled://")
    plain.conf.update(task_publish_retry=False)
    plain.AsyncResult("known-id").get(timeout=0.2)


def test_timeout_is_our_own():
    started = time.monotonic()
    with pytest.raises(ResultTimeout):
        app.AsyncResult("nobody-writes-it").get(timeout=0.2)
    assert time.monotonic() - started < 0.1

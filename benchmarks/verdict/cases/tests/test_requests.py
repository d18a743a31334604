import unittest

import pytest
import requests
from requests.adapters import HTTPAdapter
from tenacity import RetryError, retry, stop_after_attempt, wait_fixed
from urllib3.util.retry import Retry

from shop import pricing, settings

LIMIT = (0.8, 0.8)


@pytest.fixture(scope="module")
def http():
    session = requests.Session()
    session.headers.update(settings.HEADERS)
    yield session
    session.close()


@pytest.fixture(scope="module")
def patient():
    session = requests.Session()
    session.headers.update(settings.HEADERS)
    session.mount("http://", HTTPAdapter(max_retries=Retry(2, backoff_factor=0.05, status_forcelist=[502, 503])))
    return session


def url(path):
    return settings.BACKEND_URL + path


@retry(stop=stop_after_attempt(3), wait=wait_fixed(0.05))
def fetch(path):
    answer = requests.get(url(path), headers=settings.HEADERS, timeout=LIMIT)
    answer.raise_for_status()
    return answer.json()


def items_of(order):
    return {item["sku"]: item["amount"] for item in order["items"]}


def test_order(http):
    assert http.get(url("/orders/8"), timeout=LIMIT).json()["id"] == 8


def test_ok(http):
    assert http.get(url("/orders/9"), timeout=LIMIT).ok


def test_raise_for_status(http):
    http.get(url("/orders/9"), timeout=LIMIT).raise_for_status()


def test_customer_name(http):
    assert http.get(url("/orders/1"), timeout=LIMIT).json()["customer"]["name"] == "Customer 1"


def test_retrying_session(patient):
    assert patient.get(url("/rates"), timeout=LIMIT).json()["base"] == "EUR"


def test_retrying_decorator():
    assert fetch("/orders/2")["status"] == "open"


def test_redirect(http):
    assert http.get(url("/latest"), timeout=LIMIT).url.endswith("/orders/2")


def test_download(http, tmp_path):
    target = tmp_path / "export.csv"
    with http.get(url("/export.csv"), stream=True, timeout=LIMIT) as answer:
        target.write_bytes(b"".join(answer.iter_content(16)))
    assert target.read_text().startswith("0,sku-0,0")


def test_session_survives(http):
    assert http.get(url("/health"), timeout=LIMIT).json() == {"status": "ok"}


def test_login_needs_alice():
    answer = requests.post(
        settings.AUTH_URL + "/token", data={"username": "alice", "password": "wonderland"}, timeout=LIMIT
    )
    assert answer.json()["token_type"] == "Bearer"


class OrdersApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.orders = requests.get(url("/orders"), headers=settings.HEADERS, timeout=LIMIT).json()["orders"]

    def test_ten_a_page(self):
        self.assertEqual(len(self.orders), 10)

    def test_first(self):
        self.assertEqual(self.orders[0]["id"], 1)

    def test_labels(self):
        self.assertEqual(pricing.label(self.orders[0]), "000001/PAID")


class PaidOrders(unittest.TestCase):
    def setUp(self):
        answer = requests.get(url("/orders?status=paid"), headers=settings.HEADERS, timeout=LIMIT)
        self.assertEqual(answer.status_code, 200)
        self.orders = answer.json()["orders"]

    def test_all_are_paid(self):
        for order in self.orders:
            with self.subTest(order=order["id"]):
                self.assertEqual(order["status"], "paid")

    def test_totals_are_even(self):
        for order in self.orders:
            with self.subTest(order=order["id"]):
                self.assertEqual(order["total"] % 200, 0)

    def test_count(self):
        self.assertEqual(len(self.orders), 10)


class Pure(unittest.TestCase):
    def test_discount(self):
        self.assertEqual(pricing.discount(100, vip=False), 100)

    def test_cheapest_of_nothing(self):
        self.assertEqual(pricing.cheapest([]), None)


def test_items(http):
    assert items_of(http.get(url("/orders/1"), timeout=LIMIT).json()) == {"sku-1": 2}


def test_missing_token():
    requests.get(url("/orders"), timeout=LIMIT).raise_for_status()


def test_missing_schema():
    requests.get("backend/orders", timeout=LIMIT)


def test_wrong_port():
    requests.get(f"http://127.0.0.1:{settings.BACKEND.port + 1}/orders", timeout=LIMIT)


def test_verify_certificate():
    requests.get(settings.BACKEND_URL.replace("http", "https") + "/health", timeout=LIMIT)


def test_not_found(http):
    http.get(url("/order/1"), timeout=LIMIT).raise_for_status()


def test_not_json(http):
    http.get(url("/report"), timeout=LIMIT).json()


def test_too_many_redirects(http):
    http.get(url("/loop"), timeout=LIMIT)


def test_server_error_is_retried(patient):
    session = requests.Session()
    session.headers.update(settings.HEADERS)
    session.mount("http://", HTTPAdapter(max_retries=Retry(2, backoff_factor=0.01, status_forcelist=[500])))
    session.get(url("/legacy/invoice"), timeout=LIMIT)


def test_invoice_by_decorator():
    with pytest.raises(RetryError):
        fetch("/orders/1")


def test_decorator_gives_up():
    fetch("/legacy/invoice")


def test_stream_consumed(http):
    with http.get(url("/export.csv"), stream=True, timeout=LIMIT) as answer:
        list(answer.iter_content(4))
        list(answer.iter_lines())
        assert answer.text == ""


def test_data_and_json(http):
    http.post(url("/orders"), data={"sku": "a", "quantity": 1}, timeout=LIMIT).raise_for_status()


def test_timeout_type(http):
    http.get(url("/health"), timeout="1")


def test_bad_header(http):
    http.get(url("/health"), headers={"X-Name": "one\ntwo"}, timeout=LIMIT)


def test_order_two_is_paid(http):
    assert http.get(url("/orders/2"), timeout=LIMIT).json()["status"] == "paid"


def test_delete_is_allowed(http):
    assert http.delete(url("/orders/2"), timeout=LIMIT).status_code == 204


def test_proxy_in_the_code():
    proxy = {"http": f"http://127.0.0.1:{settings.BACKEND.port + 1}"}
    requests.get(url("/health"), proxies=proxy, timeout=LIMIT)

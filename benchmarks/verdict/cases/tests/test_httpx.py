import asyncio
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from shop import pricing, settings


@pytest.fixture
def api():
    with httpx.Client(base_url=settings.BACKEND_URL, headers=settings.HEADERS, timeout=0.8) as client:
        yield client


@pytest.fixture
async def async_api():
    async with httpx.AsyncClient(base_url=settings.BACKEND_URL, headers=settings.HEADERS, timeout=0.8) as client:
        yield client


@pytest.fixture(scope="session")
def token():
    answer = httpx.post(settings.AUTH_URL + "/token", data={"username": "alice", "password": "wonderland"}, timeout=0.8)
    answer.raise_for_status()
    return answer.json()["access_token"]


@pytest.fixture
def flaky_app():
    """Our own web hook receiver; it hangs up on every second request."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.path)
            if len(seen) % 2 == 0:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class ShopClient:
    def __init__(self, client):
        self.client = client

    def order(self, number):
        answer = self.client.get(f"/orders/{number}")
        answer.raise_for_status()
        return answer.json()

    def order_or_none(self, number):
        answer = self.client.get(f"/orders/{number}")
        if answer.status_code == 200:
            return answer.json()
        return None

    def create(self, **fields):
        answer = self.client.post("/orders", json=fields)
        answer.raise_for_status()
        return answer.json()["id"]

    def rate(self, currency):
        return self.client.get("/rates").json()["rates"][currency]

    def rates_or_default(self):
        try:
            return self.client.get("/rates").raise_for_status().json()["rates"]
        except httpx.HTTPError:
            return {"USD": 1.0}

    def latest(self):
        return self.client.get("/latest").json()


# what works


def test_health(api):
    assert api.get("/health").status_code == 200


def test_order(api):
    assert ShopClient(api).order(3)["total"] == 300


def test_order_status_code(api):
    response = api.get("/orders/4")
    assert response.status_code == 200
    assert response.json()["status"] == "open"


def test_order_total_from_json(api):
    assert api.get("/orders/5").json()["total"] == 500


def test_order_or_none(api):
    assert ShopClient(api).order_or_none(6) is not None


def test_create(api):
    assert ShopClient(api).create(sku="sku-1", quantity=1) == 99


def test_create_answers_201(api):
    assert api.post("/orders", json={"sku": "sku-1", "quantity": 2}).status_code == 201


def test_missing_field_is_422(api):
    response = api.post("/orders", json={"sku": "sku-1"})
    assert response.status_code == 422


def test_unknown_order_is_404(api):
    with pytest.raises(httpx.HTTPStatusError) as caught:
        ShopClient(api).order(1234)
    assert caught.value.response.status_code == 404


def test_rate(api):
    assert ShopClient(api).rate("USD") == 1.1


def test_rates_or_default(api):
    assert ShopClient(api).rates_or_default()["USD"] == 1.1


def test_export(api):
    with api.stream("GET", "/export.csv") as response:
        assert len(list(response.iter_lines())) == 5


def test_content_type(api):
    assert api.get("/report").headers["content-type"].startswith("text/html")


async def test_async_order(async_api):
    assert (await async_api.get("/orders/7")).raise_for_status().json()["id"] == 7


async def test_async_pages(async_api):
    pages = await asyncio.gather(*(async_api.get("/orders", params={"page": n}) for n in (1, 2, 3)))
    assert sum(len(page.json()["orders"]) for page in pages) == 30


async def test_async_whole_list(async_api):
    response = await async_api.get("/orders")
    response.raise_for_status()
    assert response.json()["count"] == 40


async def test_quick_enough(async_api):
    async with asyncio.timeout(0.5):
        await async_api.get("/health", timeout=None)


def test_token(token):
    assert token == "at-alice"


def test_userinfo(token):
    response = httpx.get(settings.AUTH_URL + "/userinfo", headers={"Authorization": f"Bearer {token}"}, timeout=0.8)
    assert response.json()["email"] == "alice@shop.example"


def test_login_of_bob():
    response = httpx.post(settings.AUTH_URL + "/token", data={"username": "bob", "password": "builder"}, timeout=0.8)
    assert response.status_code == 200, response.text


def test_wrong_login_is_refused():
    response = httpx.post(settings.AUTH_URL + "/token", data={"username": "bob", "password": "x"}, timeout=0.8)
    assert response.status_code == 401


def test_login_gives_expiry():
    form = {"username": "alice", "password": "wonderland"}
    assert httpx.post(settings.AUTH_URL + "/token", data=form, timeout=0.8).json()["expires_in"] == 3600


def test_token_error_is_our_own():
    class LoginFailed(Exception):
        pass

    def login(name, password):
        answer = httpx.post(settings.AUTH_URL + "/token", data={"username": name, "password": password}, timeout=0.8)
        if answer.is_error:
            raise LoginFailed(answer.json()["error"])
        return answer.json()["access_token"]

    assert login("alice", "wonderland")


def test_keep_alive_after_payment():
    with httpx.Client(base_url=settings.BACKEND_URL, headers=settings.HEADERS, timeout=0.8) as client:
        assert client.get("/orders/1").status_code == 200
        assert client.post("/orders", json={"sku": "a", "quantity": 1}, headers={"X-Payment": "1"}).status_code == 201


def test_vat_of_order():
    assert pricing.with_vat(200) == 238


# what does not


def test_total_in_cents(api):
    assert ShopClient(api).order(3)["total"] == 3.00


def test_field_is_called_sum(api):
    assert ShopClient(api).order(3)["sum"] == 300


def test_created_order_is_paid(api):
    assert api.post("/orders", json={"sku": "sku-1", "quantity": 1}).json()["status"] == "paid"


def test_create_without_quantity(api):
    ShopClient(api).create(sku="sku-1")


def test_create_too_many(api):
    ShopClient(api).create(sku="sku-1", quantity=1000)


def test_unknown_order(api):
    ShopClient(api).order(4711)


def test_body_is_not_json(api):
    api.get("/report").json()


def test_legacy_invoice(api):
    api.get("/legacy/invoice").raise_for_status()


def test_legacy_invoice_status(api):
    assert api.get("/legacy/invoice").status_code == 200


def test_redirect_is_not_followed(api):
    ShopClient(api).latest()


def test_redirect_loop(api):
    api.get("/loop", follow_redirects=True)


def test_forgot_the_token():
    response = httpx.get(settings.BACKEND_URL + "/orders/1", timeout=0.8)
    response.raise_for_status()


def test_expired_token():
    headers = {"Authorization": "Bearer expired"}
    assert httpx.get(settings.BACKEND_URL + "/orders/1", headers=headers, timeout=0.8).status_code == 200


def test_wrong_port():
    httpx.get(f"http://127.0.0.1:{settings.BACKEND.port + 1}/health", timeout=0.8)


def test_https_against_http():
    httpx.get(settings.BACKEND_URL.replace("http://", "https://") + "/health", timeout=0.8)


def test_url_without_scheme():
    httpx.get(f"127.0.0.1:{settings.BACKEND.port}/health")


def test_closed_client():
    client = httpx.Client(base_url=settings.BACKEND_URL, headers=settings.HEADERS, timeout=0.8)
    client.get("/health")
    client.close()
    client.get("/health")


def test_stream_read_twice(api):
    with api.stream("GET", "/export.csv") as response:
        list(response.iter_raw())
        list(response.iter_raw())


def test_body_outside_of_stream(api):
    with api.stream("GET", "/export.csv") as response:
        pass
    response.read()


async def test_pool_of_one(async_api):
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(
        base_url=settings.BACKEND_URL, headers=settings.HEADERS, limits=limits, timeout=httpx.Timeout(1, pool=0.1)
    ) as client:
        async with client.stream("GET", "/export.csv"):
            await client.get("/health")


async def test_sync_in_async(async_api):
    assert async_api.get("/orders/1").status_code == 200


def test_no_such_host_in_the_code():
    httpx.get("http://backend.invalid/health", timeout=0.8)


def test_bob_is_admin():
    form = {"username": "bob", "password": "builder", "scope": "admin"}
    httpx.post(settings.AUTH_URL + "/token", data=form, timeout=0.8).raise_for_status()


def test_alice_is_not_admin(token):
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(settings.AUTH_URL + "/userinfo", headers=headers, timeout=0.8).json()["roles"] == []


def test_divides_after_login(token):
    orders = []
    assert sum(orders) / len(orders) >= 0


def test_web_hook_twice(flaky_app):
    for _ in range(2):
        httpx.post(flaky_app + "/hook", timeout=0.8).raise_for_status()


def test_mock_transport_says_refused():
    def refuse(request):
        raise httpx.ConnectError("[Errno 111] Connection refused", request=request)

    with httpx.Client(transport=httpx.MockTransport(refuse), base_url=settings.BACKEND_URL) as client:
        client.get("/orders/1")


def test_mock_transport_says_503():
    with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(503))) as client:
        client.get(settings.BACKEND_URL + "/orders/1").raise_for_status()


def test_deadline_is_raised(api):
    with pytest.raises(httpx.TimeoutException):
        api.get("/orders/1")


def test_default_rate(api):
    assert ShopClient(api).rates_or_default()["USD"] == 1.2


def test_json_keys():
    assert json.loads('{"total": 1}')["Total"] == 1


def test_cache_header(api):
    assert api.get("/orders/1").headers["expires"]

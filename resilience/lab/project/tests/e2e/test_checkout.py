import httpx
import pytest
from shop import api

pytestmark = [pytest.mark.staging, pytest.mark.real_services]


def order(sku: str, quantity: int) -> httpx.Response:
    with api.backend() as client:
        return client.post(
            "/api/orders",
            json={"sku": sku, "quantity": quantity},
            headers={"Authorization": f"Bearer {api.token()}"},
        )


@pytest.mark.golden_path
def test_a_customer_buys_a_mug():
    answer = order("MUG", 1)
    assert answer.status_code == 201
    assert answer.json()["status"] == "paid"


@pytest.mark.golden_path
@pytest.mark.real_database
def test_stock_is_never_oversold():
    assert order("DESK", 1000).status_code == 409


def test_unknown_goods_cannot_be_bought():
    assert order("NOPE", 1).status_code == 404


@pytest.mark.slow
def test_staging_keeps_answering():
    with api.backend() as client:
        assert [client.get("/health").status_code for _ in range(10)] == [200] * 10

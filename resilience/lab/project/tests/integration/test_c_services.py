import pytest
from shop import api


@pytest.mark.critical
def test_the_backend_is_well():
    with api.backend() as client:
        assert client.get("/health").status_code == 200


def test_the_backend_speaks_json():
    with api.backend() as client:
        answer = client.get("/health")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["status"]


@pytest.mark.real_services
def test_the_catalogue_has_the_seeded_goods():
    with api.backend() as client:
        answer = client.get("/api/products").raise_for_status()
    assert {"LAMP", "CHAIR", "DESK", "MUG"} <= {product["sku"] for product in answer.json()}


@pytest.mark.real_services
@pytest.mark.golden_path
def test_an_order_needs_a_token():
    with api.backend() as client:
        assert client.post("/api/orders", json={"sku": "MUG", "quantity": 1}).status_code == 401


@pytest.mark.real_auth
@pytest.mark.critical
def test_auth_gives_a_token():
    assert api.token().count(".") == 2


@pytest.mark.real_auth
def test_auth_publishes_its_keys():
    with api.auth() as client:
        assert client.get("/.well-known/jwks.json").raise_for_status().json()["keys"]


@pytest.mark.real_llm
def test_models_are_listed():
    with api.llm() as client:
        assert client.get("/models").raise_for_status().json()["data"]


@pytest.mark.real_llm
def test_the_assistant_answers():
    with api.llm() as client:
        answer = client.post(
            "/chat/completions",
            json={"model": "mock", "messages": [{"role": "user", "content": "Where is my order?"}]},
        )
    assert answer.raise_for_status().json()["choices"][0]["message"]["content"]

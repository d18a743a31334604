"""The shop's HTTP services."""

import httpx

from shop.config import setting


def backend() -> httpx.Client:
    return httpx.Client(base_url=setting("BACKEND_URL"), timeout=5, trust_env=False)


def auth() -> httpx.Client:
    return httpx.Client(base_url=setting("AUTH_SERVICE_URL"), timeout=5, trust_env=False)


def llm() -> httpx.Client:
    return httpx.Client(base_url=setting("LLM_URL"), timeout=5, trust_env=False)


def token(scope: str = "orders", client: str = "shop") -> str:
    form = {"grant_type": "client_credentials", "client_id": client, "scope": scope}
    with auth() as http:
        answer = http.post("/token", data=form)
    return str(answer.raise_for_status().json()["access_token"])

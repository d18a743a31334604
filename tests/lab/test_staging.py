"""The lab's staging answers as a small shop would, on real servers, and stops whole."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil
import pytest

from resilience.core.errors import RunbookError
from resilience.lab import Lab
from resilience.lab.proxy import Dial, Mode


@pytest.fixture
async def shop(tmp_path: Path, environ: dict[str, str]) -> AsyncIterator[Lab]:
    async with Lab("healthy", tmp_path / "lab", environ=environ) as lab:
        yield lab


async def token(client: aiohttp.ClientSession, lab: Lab) -> dict[str, str]:
    base = lab.staging.url("auth_service").removesuffix("/health")
    form = {"grant_type": "client_credentials", "client_id": "shop"}
    async with client.post(f"{base}/token", data=form) as answer:
        assert answer.status == 200
        return {"Authorization": f"Bearer {(await answer.json())['access_token']}"}


async def test_an_order_needs_a_token_a_product_and_stock(shop: Lab) -> None:
    base = shop.staging.url("backend_api").removesuffix("/health")
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{base}/api/products") as answer:
            products = await answer.json()
        product = next(product for product in products if product["stock"])
        login = await token(client, shop)
        for headers, sku, quantity, status in (
            ({}, product["sku"], 1, 401),
            ({"Authorization": "Bearer not.a.token"}, product["sku"], 1, 401),
            (login, "no-such-sku", 1, 404),
            (login, product["sku"], product["stock"] + 1, 409),
            (login, product["sku"], product["stock"], 201),
            (login, product["sku"], 1, 409),
        ):
            order = {"sku": sku, "quantity": quantity}
            async with client.post(f"{base}/api/orders", json=order, headers=headers) as answer:
                assert answer.status == status, (sku, quantity, await answer.text())


async def test_the_backend_is_up_and_says_that_its_database_is_not(shop: Lab) -> None:
    url = shop.staging.url("backend_api")
    async with aiohttp.ClientSession() as client:
        async with client.get(url) as answer:
            assert answer.status == 200
        await shop.turn("database", Dial(mode=Mode.RESET))
        for address in (url, url.removesuffix("/health") + "/api/products"):
            async with client.get(address) as answer:
                assert answer.status == 503, await answer.text()
                assert "database" in await answer.text()


async def test_nothing_is_left_where_staging_cannot_start(tmp_path: Path, environ: dict[str, str]) -> None:
    before = set(psutil.Process(os.getpid()).children(recursive=True))
    lab = Lab("healthy", tmp_path / "lab", environ=environ)
    lab.staging.sql = (tmp_path / "missing.sql",)
    with pytest.raises(FileNotFoundError):
        async with lab:
            pass
    assert set(psutil.Process(os.getpid()).children(recursive=True)) == before
    with pytest.raises(RunbookError, match="closed"):
        await lab.recover()

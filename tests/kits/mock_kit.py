"""The mocks of the guide's services on free ports, and a client to ask them with."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from resilience.services.mocking import Config, Mock
from resilience.stand_ins.mocks import Mocks

TOKEN = "the-admin's"


def config(**fields: Any) -> Config:
    services = (
        Mock(
            name="backend_api", kind="backend", path="/api/health", routes=("/users/{id}", "POST /orders 201", "* /any")
        ),
        Mock(name="auth_service", kind="auth", path="/health", user="app", password="s3cret"),
        Mock(name="websocket", kind="websocket", path="/ws"),
        Mock(name="llm_service", kind="llm", path="/v1", password="sk-local"),
    )
    return Config(services=services, token=TOKEN, **fields)


@pytest.fixture
async def mocks(tmp_path: Path) -> AsyncIterator[Mocks]:
    notes = tmp_path / "under-way"
    notes.mkdir()
    async with Mocks(config(key_file=str(tmp_path / "key.pem"), under_way=str(notes))) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


def at(mocks: Mocks, name: str, path: str = "", scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{mocks.mock(name).port}{path}"


async def dial(mocks: Mocks, http: httpx.AsyncClient, **wanted: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return await http.post(at(mocks, "backend_api", "/__resilience__/dial"), json=wanted, headers=headers)


async def used(mocks: Mocks, http: httpx.AsyncClient, name: str) -> int:
    return int((await http.get(at(mocks, name, "/__resilience__/connections"))).json()["services"][name])


def note(file: Path, test: str, *, fixture: str = "", attempt: int = 1) -> None:
    """Write what our plug-in notes of the test that its process is in."""
    text = json.dumps({"test": test, "fixture": fixture, "attempt": attempt}).encode()
    file.write_bytes(b"%08d" % len(text) + text)

"""What a foreign interpreter tells of an exception means what the live exception means."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry
from websockets.asyncio.client import connect as ws_connect

from resilience.core import faults
from resilience.services.registry import KINDS
from resilience.suite.chains import classify_chain, leaves_of
from resilience.suite.endpoints import Endpoint, addresses_in, whose
from tests.kits.failures import told
from tests.kits.kinds import ServiceType
from tests.kits.testrun_kit import LineServer

DRIVERS: dict[str, Callable[[int], Awaitable[Any]]] = {
    "asyncpg": lambda port: asyncpg.connect(f"postgresql://u:pw-of-mine@127.0.0.1:{port}/x", timeout=0.4),
    "httpx": lambda port: _httpx(port),
    "redis": lambda port: redis.asyncio.Redis(
        host="127.0.0.1", port=port, retry=Retry(NoBackoff(), 0), socket_timeout=0.4, socket_connect_timeout=0.4
    ).ping(),
    "websockets": lambda port: _websockets(port),
    "socket": lambda port: asyncio.to_thread(_recv, port),
}


async def _httpx(port: int) -> None:
    async with httpx.AsyncClient(timeout=0.4, trust_env=False) as client:
        (await client.get(f"http://user:pw-of-mine@127.0.0.1:{port}/")).raise_for_status()


async def _websockets(port: int) -> None:
    async with ws_connect(f"ws://127.0.0.1:{port}/", open_timeout=0.4, proxy=None):
        pass


def _recv(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=0.4) as client:
        client.recv(1)


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
@pytest.mark.parametrize("driver", DRIVERS)
async def test_what_a_foreign_interpreter_tells_means_what_the_live_exception_means(driver: str, silent: bool) -> None:
    server = LineServer()
    if silent:
        server.up(silent=True)
    try:
        await DRIVERS[driver](server.port)
    except Exception as exc:  # noqa: BLE001  whatever a driver raises is what is asked for
        failure = told(exc)
        live = faults.classify(exc, kinds=KINDS)
    finally:
        server.down()
    found = classify_chain(failure.chain, KINDS)
    assert found is not None
    assert (found.code, found.weak) == (live.code, live.weak)
    assert "pw-of-mine" not in json.dumps(failure.chain)
    endpoint = Endpoint(service="it", kind=KINDS[ServiceType.HTTP], host="127.0.0.1", port=server.port)
    if driver == "socket":
        # A bare socket's error names nobody; the plug-in hears of the connection by an audit hook.
        failure.spoke = (("127.0.0.1", server.port),)
    named = addresses_in(failure.chain) or failure.spoke
    assert whose(named, [endpoint]) is endpoint, "the address is in the chain or the client's frames"


def test_the_errors_of_a_group_are_chains_of_their_own() -> None:
    caused = ValueError("b")
    caused.__cause__ = KeyError("why")
    chain = told(ExceptionGroup("all", [TypeError("a"), ExceptionGroup("more", [caused, OSError("c")])])).chain
    leaves = leaves_of(chain)
    assert [[node["type"] for node in leaf] for leaf in leaves] == [
        ["TypeError"],
        ["ValueError", "KeyError"],
        ["OSError"],
    ]
    assert [(leaf[0]["via"], leaf[0]["of"]) for leaf in leaves] == [("root", -1)] * 3
    assert leaves[1][1]["of"] == 0
    assert leaves_of(told(caused).chain) == leaves_of(()) == ()

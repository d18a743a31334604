"""The mocks count, fail as dialled, share ports, and say in every answer that they are mocks."""

from __future__ import annotations

import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import websockets

from resilience.services.mocking import Config, Mock
from resilience.stand_ins import mocks as mocks_module
from resilience.stand_ins.mocks import Mocks, read_config, write_config
from tests.kits.mock_kit import TOKEN, at, config, dial, note, used


async def test_every_answer_says_that_it_is_a_mocks(mocks: Mocks, http: httpx.AsyncClient) -> None:
    await dial(mocks, http, service="llm_service", fail_next=1, fail_status=500)
    for name, path, source in (
        ("backend_api", "/health", "synthetic"),
        ("backend_api", "/nowhere", "miss"),
        ("backend_api", "/any", "echo"),
        ("auth_service", "/.well-known/jwks.json", "synthetic"),
        ("llm_service", "/v1/models", "synthetic"),
        ("llm_service", "/v1/models", "echo"),
        ("websocket", "/ws", "miss"),
        ("llm_service", "/v1/chat/completions", "echo"),
    ):
        assert (await http.get(at(mocks, name, path))).headers["X-Resilience-Mock"] == f"{name}; {source}", (name, path)
    async with websockets.connect(at(mocks, "websocket", "/ws", "ws"), proxy=None) as socket:
        assert socket.response is not None
        assert socket.response.headers["X-Resilience-Mock"] == "websocket; echo"


async def test_latency_and_failures_are_dialled_with_the_token_only(mocks: Mocks, http: httpx.AsyncClient) -> None:
    url = at(mocks, "backend_api", "/__resilience__/dial")
    assert (await http.post(url, json={"fail_next": 1})).status_code == 401
    for bad in ({"service": "nobody"}, {"nonsense": 1}, [1]):
        assert (await http.post(url, json=bad, headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 400
    await dial(mocks, http, service="backend_api", fail_next=2, fail_status=502)
    found = [(await http.get(at(mocks, "backend_api", "/health"))).status_code for _ in range(3)]
    assert found == [502, 502, 200]
    await dial(mocks, http, service="backend_api", latency_s=0.1)
    began = time.monotonic()
    await http.get(at(mocks, "backend_api", "/health"))
    assert time.monotonic() - began >= 0.1
    await dial(mocks, http, service="backend_api", reset=True)
    await dial(mocks, http, service="backend_api", fail_next=1, drop=True)
    with pytest.raises(httpx.TransportError):
        await http.get(at(mocks, "backend_api", "/health"))
    assert (await http.get(at(mocks, "backend_api", "/health"))).status_code == 200


async def test_use_is_counted_and_our_own_looks_are_not(mocks: Mocks, http: httpx.AsyncClient) -> None:
    await http.get(at(mocks, "backend_api", "/health"))
    await http.get(at(mocks, "backend_api", "/health"), headers={"User-Agent": "resilience-probe"})
    async with websockets.connect(at(mocks, "websocket", "/ws", "ws"), proxy=None) as socket:
        await socket.send("x")
        await socket.recv()
    assert await used(mocks, http, "backend_api") == 1
    assert await used(mocks, http, "websocket") == 1
    assert await used(mocks, http, "llm_service") == 0


async def test_every_answer_but_health_and_those_to_our_looks_is_told_with_its_source_and_the_test_that_is_under_way(
    mocks: Mocks, http: httpx.AsyncClient
) -> None:
    notes = Path(mocks.config.under_way)
    began = time.time()
    await http.get(at(mocks, "backend_api", "/health"))
    await http.get(at(mocks, "backend_api", "/echo"))
    note(notes / "main", "tests/test_a.py::test_a")
    await http.get(at(mocks, "backend_api", "/nowhere"))
    since = time.time()
    await http.get(at(mocks, "auth_service", "/.well-known/jwks.json"))
    await http.get(at(mocks, "backend_api", "/echo"), headers={"User-Agent": "resilience-probe"})
    note(notes / "gw1", "tests/test_a.py::test_b")
    await http.get(at(mocks, "backend_api", "/echo"))
    told = (await http.get(at(mocks, "backend_api", "/__resilience__/answers"))).json()["backend_api"]
    assert [tuple(one[1:]) for one in told] == [
        ("echo", "GET /echo", ""),
        ("miss", "GET /nowhere", "tests/test_a.py::test_a"),
        ("echo", "GET /echo", ""),
    ], "of two processes of tests nobody knows which it was"
    assert all(began <= one[0] <= time.time() for one in told)
    auth = (await http.get(at(mocks, "auth_service", f"/__resilience__/answers?since={since}"))).json()["auth_service"]
    assert [tuple(one[1:]) for one in auth] == [("synthetic", "GET /.well-known/jwks.json", "tests/test_a.py::test_a")]


async def test_services_that_share_a_port_are_told_apart(http: httpx.AsyncClient, free_port: int) -> None:
    services = tuple(
        Mock(name=kind, kind=kind, port=free_port, path=path)
        for kind, path in (("backend", "/health"), ("auth", ""), ("websocket", "/ws"), ("llm", "/v1"))
    )
    async with Mocks(Config(services=services, token="t")) as running:
        for path, name in (
            ("/health", "backend"),
            ("/nowhere", "backend"),
            ("/.well-known/jwks.json", "auth"),
            ("/v1/models", "llm"),
        ):
            assert (await http.get(at(running, "backend", path))).headers["X-Resilience-Mock"].split("; ")[0] == name
        async with websockets.connect(at(running, "backend", "/any", "ws"), proxy=None) as socket:
            assert socket.response is not None
            assert socket.response.headers["X-Resilience-Mock"] == "websocket; echo"


def test_a_configuration_survives_its_round_trip_and_a_wrong_one_is_refused() -> None:
    given = config(agent_tool_s=3.0)
    assert read_config(write_config(given)) == given
    for wrong in (
        '{"services": [{"name": "x", "kind": "database"}], "token": "t"}',
        '{"services": [], "token": "t", "more": 1}',
        "[]",
        "{",
    ):
        with pytest.raises((ValueError, TypeError, AttributeError)):
            read_config(wrong)


def test_the_process_says_what_is_wrong_and_leaves(tmp_path: Path) -> None:
    path = tmp_path / "mocks.json"
    path.write_text('{"services": [{"name": "x", "kind": "database"}], "token": "t"}')
    told = subprocess.run(
        [sys.executable, "-m", mocks_module.__name__, str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert told.returncode == 2
    assert "kind 'database', expected one of backend" in told.stderr


async def test_a_mock_with_tls_answers_both_and_a_client_that_does_not_trust_it_was_given_a_miss(
    tmp_path: Path,
) -> None:
    notes, tls = tmp_path / "under-way", tmp_path / "tls"
    notes.mkdir()
    note(notes / "main", "a::t")
    services = (
        Mock(name="api", kind="backend", routes=("/users",), tls=True),
        Mock(name="other", kind="backend", routes=("/users",)),
    )
    configured = read_config(write_config(Config(services=services, token=TOKEN, under_way=str(notes), tls=str(tls))))
    async with Mocks(configured) as mocks:
        trusted = ssl.create_default_context(cafile=str(tls / "trusted.pem"))
        async with httpx.AsyncClient(trust_env=False, verify=trusted) as http:
            for scheme in ("https", "http"):
                answer = await http.get(at(mocks, "api", "/users", scheme))
                assert (answer.status_code, answer.headers["X-Resilience-Mock"]) == (200, "api; echo")
            with pytest.raises(httpx.TransportError):
                await http.get(at(mocks, "other", "/users", "https"))
        async with httpx.AsyncClient(trust_env=False) as http:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await http.get(at(mocks, "api", "/users", "https"))
            told = (await http.get(at(mocks, "api", "/__resilience__/answers"))).json()["api"]
        assert [source for _, source, _, _ in told] == ["echo", "echo", "miss"]
        assert (told[-1][2].partition(":")[0], told[-1][3]) == ("a handshake of TLS that failed", "a::t")

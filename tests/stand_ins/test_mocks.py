"""The mocks hold up to the real clients of what they imitate, and say in every answer that they are mocks."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import openai
import pytest
import websockets

from resilience.services.mocking import Config, Dial, Mock
from resilience.stand_ins import mocks as mocks_module
from resilience.stand_ins.mocks import Mocks, read_config, write_config
from tests.kits.stand_in_kit import free_ports

TOKEN = "the-admin's"


@pytest.fixture
def free_port() -> int:
    return free_ports(1)[0]


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
    async with Mocks(config(key_file=str(tmp_path / "key.pem"))) as running:
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


# Backend


async def test_the_backend_is_well_where_the_team_asks_and_echoes_only_its_routes(
    mocks: Mocks, http: httpx.AsyncClient
) -> None:
    for path in ("/api/health", "/health", "/api"):
        assert (await http.get(at(mocks, "backend_api", path))).json()["status"] == "ok"
    answer = await http.post(at(mocks, "backend_api", "/orders?x=1"), json={"a": 1})
    assert answer.status_code == 201
    assert answer.json() == {"mock": True, "method": "POST", "path": "/orders", "query": {"x": "1"}, "body": {"a": 1}}
    assert (await http.get(at(mocks, "backend_api", "/users/7"))).status_code == 200
    assert (await http.delete(at(mocks, "backend_api", "/any"))).status_code == 200
    for method, path in (("DELETE", "/users/7"), ("GET", "/orders"), ("GET", "/users"), ("GET", "/nowhere")):
        assert (await http.request(method, at(mocks, "backend_api", path))).status_code == 404


async def test_every_answer_says_that_it_is_a_mocks(mocks: Mocks, http: httpx.AsyncClient) -> None:
    await dial(mocks, http, service="llm_service", fail_next=1, fail_status=500)
    for name, path in (
        ("backend_api", "/health"),
        ("backend_api", "/nowhere"),
        ("auth_service", "/.well-known/jwks.json"),
        ("llm_service", "/v1/models"),
        ("websocket", "/ws"),
        ("llm_service", "/v1/chat/completions"),
    ):
        assert (await http.get(at(mocks, name, path))).headers["X-Resilience-Mock"] == name
    async with websockets.connect(at(mocks, "websocket", "/ws", "ws"), proxy=None) as socket:
        assert socket.response is not None
        assert socket.response.headers["X-Resilience-Mock"] == "websocket"


async def test_the_teams_own_health_check_finds_what_it_expects(http: httpx.AsyncClient) -> None:
    mock = Mock(
        name="b", kind="backend", expect_json={"db.up": "true", "v": "2"}, expect_body="all good", expect_status=204
    )
    async with Mocks(Config(services=(mock,), token="t")) as running:
        answer = await http.get(at(running, "b", "/health"))
        assert answer.status_code == 204
        mock.expect_status = 200
        answer = await http.get(at(running, "b", "/health"))
        assert answer.json()["db"] == {"up": "true"}
        assert "all good" in answer.text


# Auth


async def test_tokens_verify_against_the_jwks_as_a_client_does_it(mocks: Mocks, http: httpx.AsyncClient) -> None:
    about = (await http.get(at(mocks, "auth_service", "/.well-known/openid-configuration"))).json()
    assert about["issuer"] == at(mocks, "auth_service")
    granted = await http.post(
        about["token_endpoint"],
        auth=("app", "s3cret"),
        data={"grant_type": "client_credentials", "scope": "read", "audience": "api"},
    )
    token = granted.json()["access_token"]
    keys = jwt.PyJWKClient(about["jwks_uri"])
    key = await asyncio.to_thread(keys.get_signing_key_from_jwt, token)
    claims = jwt.decode(token, key.key, algorithms=["RS256"], audience="api", issuer=about["issuer"])
    assert claims["sub"] == "app"
    assert claims["scope"] == "read"
    told = await http.get(about["userinfo_endpoint"], headers={"Authorization": f"Bearer {token}"})
    assert told.json()["client_id"] == "app"
    broken = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    assert (
        await http.get(about["userinfo_endpoint"], headers={"Authorization": f"Bearer {broken}"})
    ).status_code == 401
    assert (await http.post(about["introspection_endpoint"], data={"token": token})).json()["active"] is True
    assert (await http.post(about["introspection_endpoint"], data={"token": broken})).json() == {"active": False}


async def test_only_the_configured_credentials_are_granted_a_token(mocks: Mocks, http: httpx.AsyncClient) -> None:
    url = at(mocks, "auth_service", "/oauth/token")
    wrong = [
        ({"grant_type": "client_credentials", "client_id": "app", "client_secret": "no"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, 401, "invalid_client"),
        ({"grant_type": "password", "username": "app", "password": "no"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
        ({"grant_type": "magic"}, 400, "unsupported_grant_type"),
        ({}, 400, "unsupported_grant_type"),
    ]
    for form, status, error in wrong:
        answer = await http.post(url, data=form)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
    granted = await http.post(url, json={"grant_type": "password", "username": "app", "password": "s3cret"})
    again = await http.post(url, data={"grant_type": "refresh_token", "refresh_token": granted.json()["refresh_token"]})
    assert again.status_code == 200
    # An access token is no refresh token.
    twice = await http.post(url, data={"grant_type": "refresh_token", "refresh_token": granted.json()["access_token"]})
    assert twice.status_code == 400


async def test_tokens_outlive_a_restart_and_the_key_is_private(tmp_path: Path, http: httpx.AsyncClient) -> None:
    found = []
    for _ in range(2):
        async with Mocks(config(key_file=str(tmp_path / "key.pem"))) as running:
            found.append((await http.get(at(running, "auth_service", "/.well-known/jwks.json"))).json())
    assert found[0] == found[1]
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


# WebSocket


async def test_the_websocket_echoes_and_answers_pings(mocks: Mocks) -> None:
    async with websockets.connect(
        at(mocks, "websocket", "/ws", "ws"), proxy=None, subprotocols=["chat", "v2"]
    ) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "chat"
        await (await socket.ping())
        for sent, expected in (
            ("hello", "hello"),
            ("ping", "pong"),
            ('{"type": "unknown", "x": 1}', '{"type": "unknown", "x": 1}'),
            ("[1]", "[1]"),
            (b"\x00\xff", b"\x00\xff"),
        ):
            await socket.send(sent)
            assert await socket.recv() == expected
        await socket.send('{"type": "ping", "id": 3}')
        assert json.loads(await socket.recv()) == {"type": "pong", "id": 3}


async def agent(mocks: Mocks) -> list[dict[str, Any]]:
    async with websockets.connect(at(mocks, "websocket", "/ws", "ws"), proxy=None) as socket:
        await socket.send(json.dumps({"type": "user_message", "message": "how are you", "run_id": "r1"}))
        events = [json.loads(await socket.recv())]
        while events[-1]["type"] not in ("agent_completed", "agent_error"):
            events.append(json.loads(await socket.recv()))
        return events


async def test_the_agents_events_come_in_the_guides_order(mocks: Mocks) -> None:
    events = await agent(mocks)
    assert [event["type"] for event in events] == [
        *("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"),
    ]
    assert {event["run_id"] for event in events} == {"r1"}
    assert "how are you" in events[-1]["result"]


@pytest.mark.parametrize(
    ("limits", "limit", "last"),
    [
        ({"agent_thinking_s": 0.1}, "AGENT_THINKING_TIMEOUT", "agent_thinking"),
        ({"agent_tool_s": 0.1}, "AGENT_TOOL_TIMEOUT", "tool_executing"),
        ({"agent_execution_s": 0.1}, "AGENT_EXECUTION_TIMEOUT", "agent_thinking"),
    ],
)
async def test_the_agent_ends_at_the_limit_of_the_guides_variable(
    limits: dict[str, float], limit: str, last: str
) -> None:
    slow = Dial(agent_thinking_s=0.0 if "tool" in limit.lower() else 30.0, agent_tool_s=30.0)
    services = (Mock(name="websocket", kind="websocket", path="/ws", dial=slow),)
    async with Mocks(Config(services=services, token="t", **limits)) as running, asyncio.timeout(10):
        events = await agent(running)
    assert events[-1]["type"] == "agent_error"
    assert events[-1]["limit"] == limit
    assert events[-2]["type"] == last


async def test_a_plain_request_to_the_websocket_is_told_to_upgrade(mocks: Mocks, http: httpx.AsyncClient) -> None:
    assert (await http.get(at(mocks, "websocket", "/ws"))).status_code == 426


# LLM


@pytest.fixture
async def llm(mocks: Mocks) -> AsyncIterator[openai.AsyncOpenAI]:
    http = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with openai.AsyncOpenAI(
        base_url=at(mocks, "llm_service", "/v1"), api_key="sk-local", max_retries=0, http_client=http
    ) as client:
        yield client


async def test_the_openai_client_chats_with_and_without_streaming(llm: openai.AsyncOpenAI) -> None:
    messages: Any = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello there"}]
    whole = await llm.chat.completions.create(model="gpt-4o-mini", messages=messages)
    assert whole.choices[0].message.content == "[mock] hello there"
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    stream = await llm.chat.completions.create(
        model="gpt-4o-mini", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "[mock] hello there"
    assert chunks[-1].usage == whole.usage
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (await llm.models.list()).data[0].id == "mock-model"
    assert (await llm.models.retrieve("gpt-4o-mini")).id == "gpt-4o-mini"


async def test_the_openai_client_gets_tool_calls_schemas_and_embeddings(llm: openai.AsyncOpenAI) -> None:
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city", "days"],
    }
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "rain?"}]}]
    called = await llm.chat.completions.create(model="m", messages=messages, tools=tools, tool_choice="required")
    call: Any = (called.choices[0].message.tool_calls or [])[0]
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "mock", "days": 1}
    streamed = [
        chunk
        async for chunk in await llm.chat.completions.create(
            model="m", messages=messages, tools=tools, tool_choice="required", stream=True
        )
    ]
    assert streamed[0].choices[0].delta.tool_calls
    assert streamed[-1].choices[0].finish_reason == "tool_calls"
    shaped: Any = {"type": "json_schema", "json_schema": {"name": "w", "schema": parameters}}
    answer = await llm.chat.completions.create(model="m", messages=messages, response_format=shaped)
    assert json.loads(answer.choices[0].message.content or "") == {"city": "mock", "days": 1}
    vectors = await llm.embeddings.create(model="m", input=["a", "b", "a"], dimensions=4)
    assert vectors.data[0].embedding == vectors.data[2].embedding != vectors.data[1].embedding
    assert len(vectors.data[0].embedding) == 4


async def test_the_openai_client_sees_its_own_errors(
    mocks: Mocks, llm: openai.AsyncOpenAI, http: httpx.AsyncClient
) -> None:
    messages: Any = [{"role": "user", "content": "x"}]
    with pytest.raises(openai.AuthenticationError):
        await llm.with_options(api_key="sk-wrong").chat.completions.create(model="m", messages=messages)
    with pytest.raises(openai.BadRequestError):
        await llm.chat.completions.create(model="m", messages=[])
    with pytest.raises(openai.NotFoundError):
        await llm.moderations.create(input="x")
    await dial(mocks, http, service="llm_service", fail_next=1, fail_status=429)
    with pytest.raises(openai.RateLimitError):
        await llm.chat.completions.create(model="m", messages=messages)
    await dial(mocks, http, service="llm_service", fail_next=1)
    answer = await llm.with_options(max_retries=1).chat.completions.create(model="m", messages=messages)
    assert answer.choices[0].message.content == "[mock] x"


# Dials and counts


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


async def test_a_websocket_is_refused_or_closed_as_dialled(mocks: Mocks, http: httpx.AsyncClient) -> None:
    url = at(mocks, "websocket", "/ws", "ws")
    await dial(mocks, http, service="websocket", fail_next=1, fail_status=503)
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(url, proxy=None)
    assert refused.value.response.status_code == 503
    await dial(mocks, http, service="websocket", close_after=2, close_code=1013)
    async with websockets.connect(url, proxy=None) as socket:
        for _ in range(2):
            await socket.send("x")
            await socket.recv()
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013


async def test_use_is_counted_and_our_own_looks_are_not(mocks: Mocks, http: httpx.AsyncClient) -> None:
    await http.get(at(mocks, "backend_api", "/health"))
    await http.get(at(mocks, "backend_api", "/health"), headers={"User-Agent": "resilience-probe"})
    async with websockets.connect(at(mocks, "websocket", "/ws", "ws"), proxy=None) as socket:
        await socket.send("x")
        await socket.recv()
    assert await used(mocks, http, "backend_api") == 1
    assert await used(mocks, http, "websocket") == 1
    assert await used(mocks, http, "llm_service") == 0


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
            assert (await http.get(at(running, "backend", path))).headers["X-Resilience-Mock"] == name
        async with websockets.connect(at(running, "backend", "/any", "ws"), proxy=None) as socket:
            assert socket.response is not None
            assert socket.response.headers["X-Resilience-Mock"] == "websocket"


# The process


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

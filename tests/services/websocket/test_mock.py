"""The mock of a WebSocket service holds up to its real client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
import websockets

from resilience.services.mocking import Config, Dial, Mock
from resilience.stand_ins.mocks import Mocks
from tests.kits.mock_kit import at, dial


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

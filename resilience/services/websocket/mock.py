"""Turn messages to a WebSocket service into echoes, pongs, and the guide's events of an agent."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import WSMsgType, web

from resilience.services.mocking import Config, Dial, Imitation, Mock

AGENT_REQUESTS = ("agent_request", "start_agent", "agent_start", "run_agent", "user_message", "chat")


class WebSocket(Imitation):
    """What comes is echoed, pings are answered, and a message that asks an agent gets the agent's events."""

    rank = 2
    upgrades = True
    well_at_its_path = False

    async def answer(self, request: web.Request, mock: Mock) -> web.StreamResponse:
        return await _converse(request, mock, self.config)


async def _converse(request: web.Request, mock: Mock, config: Config) -> web.StreamResponse:
    """Answer message by message until the client leaves or the dial says to close; then no agent goes on."""
    socket = web.WebSocketResponse(heartbeat=None, max_msg_size=4 * 2**20, protocols=_protocols(request))
    if not socket.can_prepare(request):
        return web.json_response(
            {"error": "a WebSocket handshake is needed here", "mock": True},
            status=426,
            headers={"Upgrade": "websocket"},
        )
    await socket.prepare(request)
    agents: set[asyncio.Task[None]] = set()
    seen = 0
    try:
        async for message in socket:
            seen += 1
            if message.type is WSMsgType.TEXT:
                await _answer(socket, message.data, mock, config, agents)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            if mock.dial.close_after and seen >= mock.dial.close_after:
                await socket.close(code=mock.dial.close_code, message=b"dialled on the mock")
                break
    finally:
        for task in agents:
            task.cancel()
    return socket


def _protocols(request: web.Request) -> tuple[str, ...]:
    return tuple(part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if part.strip())


async def _answer(
    socket: web.WebSocketResponse, text: str, mock: Mock, config: Config, agents: set[asyncio.Task[None]]
) -> None:
    """Answer one message: a ping by its pong, a request for an agent by its events, all else by an echo.

    Both "ping" as a plain text and a JSON message of type `ping` count; of the latter all other fields come back.
    """
    try:
        message = json.loads(text)
    except ValueError:
        message = None
    kind = message.get("type") if isinstance(message, dict) else None
    if text == "ping":
        await socket.send_str("pong")
    elif kind == "ping":
        await socket.send_json({**message, "type": "pong"})
    elif kind in AGENT_REQUESTS:
        task = asyncio.create_task(_agent(socket, message, mock.dial, config))
        agents.add(task)
        task.add_done_callback(agents.discard)
    else:
        await socket.send_str(text)


async def _agent(socket: web.WebSocketResponse, message: Mapping[str, Any], dial: Dial, config: Config) -> None:
    """Send the guide's five events in order, or `agent_error` at the limit that was passed.

    `AGENT_EXECUTION_TIMEOUT` bounds the whole, the other two their step; the variable that was met is named in the
    error. Every event carries the run's id and the seconds since the first.
    """
    run = str(message.get("run_id") or secrets.token_hex(4))
    payload = message.get("payload")
    asked = str(
        message.get("message")
        or message.get("content")
        or (payload.get("message", "") if isinstance(payload, dict) else "")
    )
    started = time.monotonic()

    async def tell(event: str, **more: Any) -> None:
        at = round(time.monotonic() - started, 3)
        await socket.send_json({"type": event, "run_id": run, "elapsed_s": at, "mock": True, **more})

    async def work(seconds: float, limit: float, variable: str) -> None:
        left = config.agent_execution_s - (time.monotonic() - started)
        if left < limit:
            limit, variable = left, "AGENT_EXECUTION_TIMEOUT"
        await asyncio.sleep(max(0.0, min(seconds, limit)))
        if seconds > limit:
            raise TimeoutError(variable)

    try:
        await tell("agent_started", agent=str(message.get("agent", "mock")))
        await tell("agent_thinking", thought="This is a mock; nothing is being thought.")
        await work(dial.agent_thinking_s, config.agent_thinking_s, "AGENT_THINKING_TIMEOUT")
        await tell("tool_executing", tool="mock_tool", arguments={"message": asked})
        await work(dial.agent_tool_s, config.agent_tool_s, "AGENT_TOOL_TIMEOUT")
        await tell("tool_completed", tool="mock_tool", result={"ok": True})
        await tell("agent_completed", result=f"mock answer to: {asked}" if asked else "mock answer")
    except TimeoutError as exc:
        await tell("agent_error", error="timeout", limit=str(exc))
    except (ConnectionError, RuntimeError):
        return  # the client left; its socket is closed

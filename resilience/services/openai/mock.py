"""Turn requests to an OpenAI-compatible service into answers that repeat the last message, so that tests can tell."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import secrets
import struct
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from aiohttp import web

from resilience.services.mocking import Dial, Imitation, Mock, bearer


class Llm(Imitation):
    """Models, chats and embeddings as an OpenAI-compatible server has them.

    No model is behind it: an answer is "[mock] " and the last message, so that a test can hold what came against what
    it sent.
    """

    rank = 3

    def claims(self, path: str) -> bool:
        return path.startswith("/v1/")

    async def answer(self, request: web.Request, mock: Mock) -> web.StreamResponse:
        return await _respond(request, mock)


async def _respond(request: web.Request, mock: Mock) -> web.StreamResponse:
    """Check the key, then the model and the messages, with a real server's errors: clients branch on their codes."""
    if mock.password and not secrets.compare_digest(bearer(request).encode(), mock.password.encode()):
        return _llm_error(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
    path = request.path.removeprefix(mock.base).rstrip("/")
    path = path.removeprefix("/v1") if path.startswith("/v1/") else path
    if request.method == "GET" and path.startswith("/models"):
        model = {"id": "mock-model", "object": "model", "created": 1700000000, "owned_by": "resilience-mock"}
        if name := path.removeprefix("/models").strip("/"):
            return web.json_response({**model, "id": name})
        return web.json_response({"object": "list", "data": [model, {**model, "id": "gpt-4o-mini"}]})
    if request.method != "POST" or path not in ("/chat/completions", "/embeddings"):
        return _llm_error(
            404, f"the mock has no {request.method} {request.path}", "invalid_request_error", "unknown_url"
        )
    try:
        body = await request.json()
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            raise ValueError("you must provide a model parameter")
    except ValueError as exc:
        return _llm_error(400, str(exc), "invalid_request_error", None)
    if path == "/embeddings":
        return _embeddings(body)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return _llm_error(400, "'messages' must be a list with at least one message", "invalid_request_error", None)
    return await _chat(request, body, messages, mock.dial)


def _llm_error(status: int, message: str, kind: str, code: str | None) -> web.Response:
    return web.json_response({"error": {"message": message, "type": kind, "param": None, "code": code}}, status=status)


async def _chat(
    request: web.Request, body: Mapping[str, Any], messages: Sequence[Any], dial: Dial
) -> web.StreamResponse:
    """Answer the last message in one piece, or as server-sent events, a word a chunk, ended by [DONE].

    With `include_usage` the chunks before the last say `usage: null` and the last has no choices: clients rely on both.
    """
    asked = _text(messages[-1])
    message, finish = _message(body, asked)
    words = max(1, len(asked.split())), len(str(message.get("content") or "").split())
    usage = {"prompt_tokens": words[0], "completion_tokens": words[1], "total_tokens": sum(words)}
    common = {
        "id": f"chatcmpl-mock-{secrets.token_hex(6)}",
        "created": int(time.time()),
        "model": body["model"],
        "system_fingerprint": "resilience-mock",
    }
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return web.json_response({**common, "object": "chat.completion", "choices": [choice], "usage": usage})
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
    )
    await response.prepare(request)
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    async for delta, why in _deltas(message, finish, dial.token_s):
        chunk: dict[str, Any] = {**common, "object": "chat.completion.chunk"}
        chunk["choices"] = [{"index": 0, "delta": delta, "finish_reason": why, "logprobs": None}]
        if with_usage:
            chunk["usage"] = None
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
    if with_usage:
        last = {**common, "object": "chat.completion.chunk", "choices": [], "usage": usage}
        await response.write(f"data: {json.dumps(last)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _message(body: Mapping[str, Any], asked: str) -> tuple[dict[str, Any], str]:
    """Return the assistant's message to what was asked, and why it ended.

    A tool is called only where the request demands one, as a real model would not always; its arguments are the
    smallest that fit the schema. A JSON format is kept to; any other text is the echo.
    """
    tools, choice = body.get("tools") or [], body.get("tool_choice")
    if tools and (choice == "required" or isinstance(choice, dict)):
        named = choice["function"]["name"] if isinstance(choice, dict) else tools[0]["function"]["name"]
        schema = next((tool["function"].get("parameters") for tool in tools if tool["function"]["name"] == named), None)
        call = {"name": named, "arguments": json.dumps(_instance(schema or {}))}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": f"call_{secrets.token_hex(6)}", "type": "function", "function": call}],
        }, "tool_calls"
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        text = json.dumps(_instance(wanted.get("json_schema", {}).get("schema", {})))
    elif wanted.get("type") == "json_object":
        text = json.dumps({"mock": True, "echo": asked})
    else:
        text = f"[mock] {asked}"
    return {"role": "assistant", "content": text, "refusal": None}, "stop"


async def _deltas(
    message: Mapping[str, Any], finish: str, pause_s: float
) -> AsyncIterator[tuple[dict[str, Any], str | None]]:
    """Yield a message as the chunks of a stream: the role, a word each after a pause, and the reason of the end."""
    if calls := message.get("tool_calls"):
        yield (
            {"role": "assistant", "tool_calls": [{"index": number, **call} for number, call in enumerate(calls)]},
            None,
        )
    else:
        yield {"role": "assistant", "content": ""}, None
        for number, word in enumerate(str(message["content"]).split(" ")):
            await asyncio.sleep(pause_s)
            yield {"content": f" {word}" if number else word}, None
    yield {}, finish


def _text(message: Any) -> str:
    content = message.get("content", "") if isinstance(message, dict) else ""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def _instance(schema: Mapping[str, Any]) -> Any:
    """Return the smallest value that fits a JSON schema.

    Optional fields are left out, the first of several alternatives is taken, and a schema without a type gives None.
    """
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _instance(schema[key][0])
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        names = schema.get("required", list(schema.get("properties", {})))
        return {name: _instance(schema.get("properties", {}).get(name, {})) for name in names}
    if kind == "array":
        return [_instance(schema.get("items", {})) for _ in range(int(schema.get("minItems", 0)))]
    return {
        "string": "mock",
        "integer": int(schema.get("minimum", 0)),
        "number": float(schema.get("minimum", 0)),
        "boolean": False,
    }.get(str(kind))


def _embeddings(body: Mapping[str, Any]) -> web.Response:
    """Return unit vectors that depend on the text alone.

    The same text has the same vector in each run and on each machine. The size is `dimensions`, 8 where none is
    given; as base64 the numbers are little-endian floats of 32 bits.
    """
    texts = body.get("input")
    texts = texts if isinstance(texts, list) else [texts]
    size = int(body.get("dimensions") or 8)
    data = []
    for number, text in enumerate(texts):
        lot = random.Random(str(text))  # noqa: S311 - the same text gives the same vector; no secret
        vector = [lot.uniform(-1, 1) for _ in range(size)]
        norm = sum(value * value for value in vector) ** 0.5 or 1.0
        vector = [value / norm for value in vector]
        given: Any = vector
        if body.get("encoding_format") == "base64":
            given = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        data.append({"object": "embedding", "index": number, "embedding": given})
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})

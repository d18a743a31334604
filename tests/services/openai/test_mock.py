"""The mock of an LLM holds up to OpenAI's own client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest

from resilience.stand_ins.mocks import Mocks
from tests.kits.mock_kit import at, dial


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

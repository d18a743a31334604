import asyncio
import json

import openai
import pytest

from shop import settings


@pytest.fixture(scope="module")
def client():
    with openai.OpenAI(base_url=settings.LLM_URL, api_key=settings.API_TOKEN, timeout=0.8, max_retries=0) as made:
        yield made


@pytest.fixture
async def aclient():
    async with openai.AsyncOpenAI(
        base_url=settings.LLM_URL, api_key=settings.API_TOKEN, timeout=0.8, max_retries=1
    ) as made:
        yield made


def categorise(client, text, model="small-1"):
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content.rpartition(": ")[2]


def categorise_or_unknown(client, text):
    try:
        return categorise(client, text)
    except openai.OpenAIError:
        return "unknown"


def decision(client, text):
    answer = client.chat.completions.create(
        model="small-1", messages=[{"role": "user", "content": text}], response_format={"type": "json_object"}
    )
    return json.loads(answer.choices[0].message.content)


def tool_call(client):
    tools = [{"type": "function", "function": {"name": "refund", "parameters": {"type": "object", "properties": {}}}}]
    answer = client.chat.completions.create(
        model="small-1", messages=[{"role": "user", "content": "refund me"}], tools=tools
    )
    call = answer.choices[0].message.tool_calls[0].function
    return call.name, json.loads(call.arguments)


def test_models(client):
    assert [model.id for model in client.models.list()] == ["small-1"]


def test_category(client):
    assert categorise(client, "my parcel is lost") == "shipping"


def test_decision(client):
    assert decision(client, "the invoice is wrong")["refund"] is True


def test_tool(client):
    assert tool_call(client)[0] == "refund"


def test_stream(client):
    stream = client.chat.completions.create(model="small-1", messages=[{"role": "user", "content": "hi"}], stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream).startswith("Refund: yes.")


def test_embeddings(client):
    answer = client.embeddings.create(model="small-1", input=["a", "b"], encoding_format="float")
    assert len(answer.data) == 2


def test_fallback_is_not_used(client):
    assert categorise_or_unknown(client, "the parcel") == "shipping"


async def test_async(aclient):
    answer = await aclient.chat.completions.create(model="small-1", messages=[{"role": "user", "content": "x"}])
    assert answer.usage.total_tokens == 14


async def test_async_many(aclient):
    async def one(text):
        answer = await aclient.chat.completions.create(model="small-1", messages=[{"role": "user", "content": text}])
        return answer.choices[0].finish_reason

    assert await asyncio.gather(one("a"), one("b")) == ["stop", "stop"]


def test_agent_wraps_errors(client):
    class AgentError(Exception):
        pass

    def run():
        try:
            return categorise(client, "x")
        except openai.APIError as exc:
            raise AgentError(f"agent failed: {type(exc).__name__}") from exc

    assert run() == "billing"


def test_wrong_category(client):
    assert categorise(client, "my parcel is lost") == "delivery"


def test_unknown_model(client):
    categorise(client, "x", model="large-9")


def test_no_messages(client):
    client.chat.completions.create(model="small-1", messages=[])


def test_wrong_key():
    categorise(openai.OpenAI(base_url=settings.LLM_URL, api_key="sk-old", max_retries=0, timeout=0.8), "x")


def test_missing_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    openai.OpenAI(base_url=settings.LLM_URL)


def test_base_url_without_version():
    url = settings.LLM_URL.removesuffix("/v1")
    categorise(openai.OpenAI(base_url=url, api_key=settings.API_TOKEN, max_retries=0, timeout=0.8), "x")


def test_wrong_port():
    port = int(settings.LLM_URL.rsplit(":", 1)[1].split("/")[0])
    url = settings.LLM_URL.replace(str(port), str(port + 1))
    categorise(openai.OpenAI(base_url=url, api_key=settings.API_TOKEN, max_retries=0, timeout=0.8), "x")


def test_answer_is_json(client):
    answer = client.chat.completions.create(model="small-1", messages=[{"role": "user", "content": "x"}])
    json.loads(answer.choices[0].message.content)


def test_amount_of_refund(client):
    assert tool_call(client)[1]["amount"] == 2500


def test_currency_of_refund(client):
    assert tool_call(client)[1]["currency"] == "EUR"


def test_second_choice(client):
    answer = client.chat.completions.create(model="small-1", messages=[{"role": "user", "content": "x"}])
    assert answer.choices[1]


def test_closed_client():
    made = openai.OpenAI(base_url=settings.LLM_URL, api_key=settings.API_TOKEN, max_retries=0)
    made.close()
    categorise(made, "x")


async def test_missing_await(aclient):
    answer = aclient.chat.completions.create(model="small-1", messages=[])
    try:
        assert answer.choices
    finally:
        answer.close()


def test_no_such_endpoint(client):
    client.images.generate(prompt="a parcel", model="small-1")


def test_fallback_is_billing(client):
    assert categorise_or_unknown(client, "the parcel") == "billing"


def test_prompt_template():
    assert "{name}: {text}".format(name="a") == "a: "

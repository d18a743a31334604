"""An OpenAI-compatible endpoint is well where it lists its models, and a page or another document is none."""

from __future__ import annotations

import asyncio

import pytest

from resilience.core.records import ConnectivityStatus, FaultCode
from tests.kits.kinds import ServiceType
from tests.kits.servers import fakes
from tests.kits.servers.looking import look

C, T, S = FaultCode, ServiceType, ConnectivityStatus

MODELS = {
    "a list": (b'{"object": "list", "data": [{"id": "a"}, {"id": "b"}]}', None),
    "html": (b"<html>sign in</html>", C.PROTO_WRONG),
    "other json": (b'{"models": []}', C.APP_BAD_BODY),
    "a long list": (b'{"data": [' + b'{"id": "xxxxxxxxxxxxxxxx"},' * 20_000 + b"{}]}", None),
}


@pytest.mark.parametrize("how", MODELS)
@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/models", "/openai/v1"])
async def test_models_are_listed(path: str, how: str) -> None:
    body, code = MODELS[how]
    asked: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(fakes.http(200, body))
        await writer.drain()
        await reader.read(-1)

    async with fakes.serve(handler) as port:
        seen = await look(T.OPENAI, f"http://127.0.0.1:{port}{path}")
    assert (seen.fault.code if seen.fault else None) is code
    assert b"/v1/models HTTP/1.1" in asked[0]

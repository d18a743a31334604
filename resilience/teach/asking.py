"""Turn a service's routes into its answers of now, and what it says of itself into its contract and its build."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from resilience.core.settings import Deadlines, Service
from resilience.teach.exchange import Answer, Asked, Exchange, is_of_the_way
from resilience.teach.keeping import decoded
from resilience.teach.recorder import BODY_AT_MOST
from resilience.teach.ways import address_of

_AGENT = "resilience-teach"
_CONTRACT_S = 30.0
_NOT_KEPT = frozenset({"content-length", "date", "connection", "keep-alive", "transfer-encoding"})


async def ask(
    service: Service, root: Path, until: float, deadlines: Deadlines
) -> tuple[tuple[Exchange, ...], tuple[str, ...]]:
    """Return the answers of a service to a GET of each of its routes, and what is not kept, with the reason.

    One at a time, so that a lesson is no load. `until` is on the monotonic clock.
    """
    found, gaps = [], []
    async with _client(service, root) as http:
        for number, route in enumerate(service.teach_routes):
            if monotonic() >= until:
                gaps.append(
                    f"the time for a lesson was over: {len(service.teach_routes) - number} routes were not asked"
                )
                break
            try:
                async with asyncio.timeout(deadlines.staging_connection_s):
                    one = await _get(http, service, route, {"Accept": "*/*"})
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError, zlib.error) as exc:
                gaps.append(f"GET {route.partition('?')[0]}: {type(exc).__name__}: it was not answered")
                continue
            if isinstance(one, str):
                gaps.append(one)
            else:
                found.append(one)
    return tuple(found), tuple(gaps)


async def ask_again(
    service: Service, root: Path, sample: Sequence[Asked], until: float, deadlines: Deadlines
) -> tuple[Answer | str, ...]:
    """Return the answer of now to each of these GETs, or why it could not be had: an outage and a time-out are no answer."""
    found: list[Answer | str] = []
    async with _client(service, root) as http:
        for asked in sample:
            if monotonic() >= until:
                found.append(f"GET {asked.path}: the time for a lesson was over")
                continue
            headers = {name: value for name, value in asked.headers if not is_of_the_way(name)}
            target = f"{asked.path}?{asked.query}" if asked.query else asked.path
            try:
                async with asyncio.timeout(deadlines.staging_connection_s):
                    one = await _get(http, service, target, headers)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError, zlib.error) as exc:
                found.append(f"GET {asked.path}: {type(exc).__name__}")
                continue
            found.append(one if isinstance(one, str) else one.answer)
    return tuple(found)


async def _get(http: aiohttp.ClientSession, service: Service, route: str, headers: Mapping[str, str]) -> Exchange | str:
    """Return the answer to one GET, or why it is not learned: an outage is not, nor what is too large. Redirects are answers."""
    url = URL(f"{address_of(service)}{route}", encoded=True)
    own = {name.lower() for name in service.headers}
    headers = {name: value for name, value in headers.items() if name.lower() not in own}
    headers |= {name: value.reveal() for name, value in service.headers.items()}
    began = time.time()
    async with http.get(url, headers=headers, allow_redirects=False) as answer:
        body = await _read(answer)
        path, _, query = route.partition("?")
        if len(body) > BODY_AT_MOST:
            return f"GET {path}: its body is above {BODY_AT_MOST >> 20} MiB"
        if answer.status >= 500 or answer.status == 429:
            return f"GET {path}: status {answer.status} is not learned"
        told = [(n.decode("latin-1"), v.decode("utf-8", "replace")) for n, v in answer.raw_headers]
        return Exchange(
            asked=Asked(method="GET", path=path, query=query, headers=tuple(headers.items())),
            answer=Answer(
                status=answer.status,
                reason=answer.reason or "",
                headers=tuple(pair for pair in told if pair[0].lower() not in _NOT_KEPT),
                body=decoded(body, [value for name, value in told if name.lower() == "content-encoding"]),
                chunked=answer.headers.get("Transfer-Encoding", "").lower() == "chunked",
            ),
            began=began,
            ended=time.time(),
        )


async def contract_of(service: Service, root: Path) -> bytes | str:
    """Return the bytes of a service's contract, or why there are none."""
    url = URL(f"{address_of(service)}{service.teach_contract}", encoded=True)
    where = service.teach_contract.partition("?")[0]
    headers = {"Accept": "application/json, */*", **{name: value.reveal() for name, value in service.headers.items()}}
    try:
        async with (
            asyncio.timeout(_CONTRACT_S),
            _client(service, root) as http,
            http.get(url, headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                return f"its contract was not given out: status {answer.status} at {where}"
            data = await _read(answer)
            if len(data) > BODY_AT_MOST:
                return f"its contract at {where} is above {BODY_AT_MOST >> 20} MiB"
            return decoded(data, [answer.headers.get("Content-Encoding", "")])
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, zlib.error) as exc:
        return f"its contract was not given out: {type(exc).__name__} at {where}"


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer, and of one that is too large a byte more than is kept."""
    body = await answer.content.read(BODY_AT_MOST + 1)
    while len(body) <= BODY_AT_MOST and (more := await answer.content.read(BODY_AT_MOST + 1 - len(body))):
        body += more
    return body


async def build_of(service: Service, root: Path) -> str:
    """Return which build of a service answers its health check, as `build_from` says; empty where it does not tell."""
    where, _, name = service.build_from.partition(":")
    if not name:
        return ""
    parts = urlsplit(service.url.reveal())
    headers = {key: value.reveal() for key, value in service.headers.items()}
    with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError, LookupError):
        async with _client(service, root) as http, asyncio.timeout(service.timeout_s):
            url = URL(f"{address_of(service)}{parts.path or '/'}", encoded=True)
            async with http.get(url, headers=headers, allow_redirects=False) as answer:
                if where == "header":
                    return answer.headers.get(name, "")[:200]
                data = await answer.content.read(1 << 20)
                told = decoded(data, [answer.headers.get("Content-Encoding", "")])
                return _field(json.loads(told), name.split("."))
    return ""


def _field(value: Any, names: Sequence[str]) -> str:
    for name in names:
        value = value[name]
    return str(value)[:200]


def _client(service: Service, root: Path) -> aiohttp.ClientSession:
    tls: ssl.SSLContext | bool = True
    if address_of(service).startswith("https:"):
        tls = ssl.create_default_context(cafile=str(root / service.tls_ca) if service.tls_ca else None)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, ssl=tls),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": _AGENT},
        skip_auto_headers=("Accept-Encoding",),
        trust_env=False,
    )

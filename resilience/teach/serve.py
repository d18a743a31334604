"""Turn requests of tests into what staging answered to them while it was well; what it was not asked then is a loud miss.

Where staging gave out its contract, a request that nobody recorded and that this does not allow is refused as it says.

It imitates a service in the process of the mocks, in the place of the mock that would only echo. Health checks and what is dialled
stay the mock's own.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from resilience.core.errors import ResilienceError
from resilience.host.either import over_tls
from resilience.services.mocking import (
    CONTRACT as SAYS_CONTRACT,
    MARK,
    MISS,
    RECORDED,
    SYNTHETIC,
    UNDER_WAY,
    Config,
    Imitation,
    Mock,
)
from resilience.services.tokens import Keys
from resilience.teach.exchange import Answer, Asked, is_json, media_type
from resilience.teach.lesson import TOKENS, recordings_of
from resilience.teach.mask import PSEUDONYM, TOKEN, Masker, Token
from resilience.teach.recorder import scrubbed
from resilience.teach.replay import NOBODY, Hit, Miss, Recorded, Replay, Whose
from resilience.teach.store import CONTRACT, CONTRACT_FILE, Generation, check, read_generation

MISSED = 501
"""Not Implemented: no real answer of a backend says it by chance."""
_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length", "te", "trailer"}
)
_MANY_TOKENS = 10_000
_TOKENS_IN = "mask-jwt-"
_MINUTE = "%Y-%m-%dT%H:%MZ"


@dataclass(slots=True, kw_only=True)
class _Service:
    """What one service says: its recordings, and what masks a request as they were masked."""

    replay: Replay
    masker: Masker
    tokens: Mapping[str, Token]
    recorded_at: Mapping[int, str]
    generation: Mapping[int, int]
    origin: str
    contract: Generation | None = None
    """Where its contract lies."""
    rules: Any = None
    """The contract itself, once a request had no recording: to read it takes a second."""


class Taught(Imitation):
    """The recordings of each service that has some. Raises at once where one byte of them is not what was written."""

    rank = 0
    makes_up = False
    says_health = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.keys = Keys(Path(config.key_file) if config.key_file else None)
        self.services: dict[str, _Service] = {}
        self.issued: dict[str, tuple[str, float]] = {}
        """Tokens that were given out here, of any service → their placeholder, and when they end."""
        self._reading = asyncio.Lock()
        for mock in config.services:
            if mock.taught:
                self.services[mock.name] = self._load(mock)

    def _load(self, mock: Mock) -> _Service:
        """Read a service's generations, each byte checked. Raises StoreError, or OSError where the key is gone."""
        recordings: list[Recorded] = []
        tokens: dict[str, Token] = {}
        at: dict[int, str] = {}
        generation_of: dict[int, int] = {}
        contract: Generation | None = None
        for folder in mock.taught:
            generation = check(read_generation(Path(folder)))
            if generation.problem:
                raise ValueError(f"{mock.name}: {generation.problem}")
            if generation.source == CONTRACT:
                contract = generation
            tokens |= tokens_of(generation)
            for one in recordings_of(generation):
                number = len(recordings) + 1
                recordings.append(
                    Recorded(number=number, exchange=one.exchange, bound=one.bound, volatile=one.volatile)
                )
                at[number] = generation.at.strftime(_MINUTE)
                generation_of[number] = generation.number
        masker = Masker(key=bytes.fromhex(mock.teach_key), seen=_pseudonyms(recordings), own=self._placeholder)
        return _Service(
            replay=Replay(recordings),
            masker=masker,
            tokens=tokens,
            recorded_at=at,
            generation=generation_of,
            origin=mock.origin,
            contract=contract,
        )

    def _placeholder(self, token: str) -> str | None:
        """Return the placeholder of a token that was given out here and is good; of one that has ended there is none."""
        found = self.issued.get(token)
        return found[0] if found is not None and time.time() < found[1] else None

    async def answer(self, request: web.Request, mock: Mock) -> web.StreamResponse:
        service = self.services[mock.name]
        asked = Asked(
            method=request.method,
            path=request.raw_path.partition("?")[0],
            query=request.raw_path.partition("?")[2],
            headers=tuple((n.decode("latin-1"), v.decode("utf-8", "replace")) for n, v in request.raw_headers),
            body=await request.read(),
        )
        found = service.replay.answer(service.masker.asked(asked), self._whose())
        if isinstance(found, Hit):
            return await self._said(request, found, service, mock.name)
        if request.method in ("GET", "HEAD") and request.path.rstrip("/") in ("/health", *mock.health_paths):
            response = mock.health()
            response.headers[MARK] = f"{mock.name}; {SYNTHETIC}"
            return response
        refused = await self._refused(asked, service, mock) if service.contract is not None else None
        return refused or _missed(found, mock)

    async def _refused(self, asked: Asked, service: _Service, mock: Mock) -> web.Response | None:
        """Return how the service's contract refuses a request that nobody recorded; None where it does not."""
        at = service.contract
        assert at is not None
        async with self._reading:
            if service.rules is None:
                try:
                    service.rules = await asyncio.to_thread(_rules_of, at)
                except ResilienceError:
                    service.contract = (
                        None  # its bytes have changed since the start: a miss says less, and nothing wrong
                    )
                    return None
        refusal = await asyncio.to_thread(service.rules.refusal, asked)
        if refusal is None:
            return None
        body = {
            "error": f"the contract of {mock.name} does not allow it: {refusal.why}",
            "mock": True,
            "contract": {"operation": refusal.operation, "refused": refusal.why},
        }
        told = f"at={at.at.strftime(_MINUTE)}; gen={at.number}"
        return web.json_response(body, status=refusal.status, headers={MARK: f"{mock.name}; {SAYS_CONTRACT}; {told}"})

    def _whose(self) -> Whose:
        """Return who asks: the test under way in the process to which this port belongs."""
        found = UNDER_WAY.get()
        if found is None:
            return NOBODY
        return Whose(owner=found.owner, attempt=found.attempt, worker=found.worker)

    async def _said(self, request: web.Request, hit: Hit, service: _Service, name: str) -> web.StreamResponse:
        """Return a recorded answer: with tokens of ours for staging's, packed as the client takes it, in pieces where it was."""
        answer = hit.answer
        headers: CIMultiDict[str] = CIMultiDict()
        head = request.method == "HEAD"
        for key, value in answer.headers:
            low = key.lower()
            if low == "set-cookie":
                value = scrubbed(value, secure=over_tls(request.transport))
            if low not in _HOP or (head and low == "content-length"):
                value = self._here(value, request, service)
                headers.add(key, await self._with_tokens(value, service) if _TOKENS_IN in value else value)
        told = [name, RECORDED, f"at={service.recorded_at[hit.number]}", f"gen={service.generation[hit.number]}"]
        told += [f"volatile={hit.volatile}"] if hit.volatile else []
        headers[MARK] = "; ".join(told)
        body = await self._body(answer, service)
        packed = any(key.lower() == "content-encoding" for key, _ in answer.headers)
        if packed and not head and "gzip" in request.headers.get("Accept-Encoding", ""):
            pack = zlib.compressobj(wbits=31)
            body = pack.compress(body) + pack.flush()
            headers["Content-Encoding"] = "gzip"
        head = head or answer.status in (204, 304)
        if not head and not answer.chunked:
            # In one piece with its headers, which halves the time.
            return web.Response(status=answer.status, reason=answer.reason or None, headers=headers, body=body)
        response = web.StreamResponse(status=answer.status, reason=answer.reason or None, headers=headers)
        if not head:
            response.enable_chunked_encoding()
        await response.prepare(request)
        if body and not head:
            await response.write(body)
        await response.write_eof()
        return response

    async def _body(self, answer: Answer, service: _Service) -> bytes:
        """Return the body with our own keys where staging published its own, and tokens signed by them."""
        body = answer.body
        if b'"keys"' in body and b'"kty"' in body:
            body = await self._own_keys(body)
        if _TOKENS_IN.encode() in body:
            body = (await self._with_tokens(body.decode(), service)).encode()
        if b"mask-" in body and service.masker.sent:
            body = _said_back(body, service.masker.sent, as_json=is_json(media_type(answer.headers)))
        return body

    async def _own_keys(self, body: bytes) -> bytes:
        try:
            document = json.loads(body)
        except ValueError:
            return body
        if not (isinstance(document, dict) and isinstance(document.get("keys"), list)):
            return body
        _, jwk = await self.keys.get()
        return json.dumps({**document, "keys": [jwk]}).encode()

    async def _with_tokens(self, text: str, service: _Service) -> str:
        """Return a text with a token of ours for each placeholder: same claims, new times."""
        for name in dict.fromkeys(TOKEN.findall(text)):
            token = service.tokens.get(name)
            if token is None:
                continue
            made = await self.keys.sign(token.claims, token.lifetime_s)
            if len(self.issued) >= _MANY_TOKENS:
                self.issued = {one: told for one, told in self.issued.items() if told[1] > time.time()}
            self.issued[made] = name, time.time() + token.lifetime_s
            text = text.replace(name, made)
        return text

    def _here(self, value: str, request: web.Request, service: _Service) -> str:
        """Return a header's text with this stand-in's address for staging's own."""
        scheme = "https" if over_tls(request.transport) else "http"
        return value.replace(service.origin, f"{scheme}://{request.host}") if service.origin else value

    def source(self, request: web.Request, response: web.StreamResponse) -> str:
        return response.headers.get(MARK, "").partition("; ")[2] or MISS


def _said_back(body: bytes, sent: Mapping[str, str], *, as_json: bool) -> bytes:
    """Return a body with the secrets that the client itself sent, in the places where staging said them back to it."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body
    for name in dict.fromkeys(PSEUDONYM.findall(text)):
        if name in sent:
            text = text.replace(name, json.dumps(sent[name])[1:-1] if as_json else sent[name])
    return text.encode()


def _missed(miss: Miss, mock: Mock) -> web.Response:
    """Return a miss as it must be read: what was asked, why nothing fits, and what is nearest."""
    body = {
        "error": f"the stand-in of {mock.name} has no recording of {miss.asked}: {miss.reason}",
        "mock": True,
        "miss": {"asked": miss.asked, "key": miss.key, "reason": miss.reason, "nearest": miss.nearest, "differs": miss.differs},
    }  # fmt: skip
    return web.json_response(body, status=MISSED)


def _rules_of(generation: Generation) -> Any:
    """Return the contract that a generation holds, its bytes checked. Raises StoreError and ContractError."""
    # By name, as it brings openapi-core, a second of imports that a stand-in does without until a request was not recorded.
    return resolve_name("resilience.teach.contract:Contract")(json.loads(generation.read(CONTRACT_FILE)))


def tokens_of(generation: Generation) -> dict[str, Token]:
    """Return what the placeholders of a generation stand for."""
    told = json.loads(generation.read(TOKENS)) if TOKENS in generation.manifest["files"] else {}
    return {
        name: Token(claims=one["claims"], algorithm=str(one["algorithm"]), lifetime_s=float(one["lifetime_s"]))
        for name, one in told.items()
    }


def _pseudonyms(recordings: Iterable[Recorded]) -> frozenset[str]:
    """Return every pseudonym that requests hold: by these a value is known again that nobody here knows to be secret."""
    found: set[str] = set()
    for one in recordings:
        asked = one.exchange.asked
        for text in (
            asked.path,
            asked.query,
            asked.body.decode("utf-8", "replace"),
            *(value for _, value in asked.headers),
        ):
            found.update(PSEUDONYM.findall(text))
    return frozenset(found)

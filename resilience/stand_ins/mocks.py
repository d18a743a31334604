"""Turn a JSON file into mocks of what is ours to imitate: backend, auth, WebSocket and LLM, for real clients, on loopback.

    python -m resilience.stand_ins.mocks CONFIG.json

One process serves all of them. Each response carries `X-Resilience-Mock: <service>`, so that no mock passes for the real thing.
Below `/__resilience__/` each port answers `connections` (how many were used, our own looks left out) and, with the token of the
configuration, `dial` (latency and failures).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

MARK = "X-Resilience-Mock"
OWN_AGENT = "resilience"
"""Requests whose User-Agent begins so are our own looks and do not count as use by the tests."""
HEALTH = ("health", "healthz", "ready", "readyz", "live", "livez", "ping", "status", "up")
KINDS = ("backend", "auth", "websocket", "llm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """What is wrong with a mock on purpose. `fail_next` counts down; -1: every request. `fail_rate` draws by lot."""

    latency_s: float = 0.0
    fail_status: int = 503
    fail_next: int = 0
    fail_rate: float = 0.0
    drop: bool = False
    """Cut the connection instead of answering with `fail_status`."""
    agent_thinking_s: float = 0.05
    agent_tool_s: float = 0.05
    token_s: float = 0.0
    """Pause between the chunks of a streamed answer."""
    close_after: int = 0
    """WebSocket: close after so many messages; 0: never."""
    close_code: int = 1011


@dataclass(slots=True, kw_only=True)
class Mock:
    """One service to imitate."""

    name: str
    kind: str
    bind: str = "127.0.0.1"
    port: int = 0
    path: str = ""
    user: str = ""
    password: str = ""
    routes: tuple[str, ...] = ()
    """`METHOD /path STATUS`, the method and the status where they are not `GET` and `200`: answered with an echo."""
    dial: Dial = field(default_factory=Dial)
    used: int = 0
    expect_json: Mapping[str, str] = field(default_factory=dict)
    """What the team's own health check wants to find in the body."""
    expect_body: str = ""
    expect_status: int = 200

    @property
    def base(self) -> str:
        """Below what its routes lie: `path` without the part that only asks whether it is well."""
        head, _, last = self.path.rstrip("/").rpartition("/")
        return head if last in HEALTH else self.path.rstrip("/")

    @property
    def wells(self) -> tuple[str, ...]:
        """Where it is asked whether it is well."""
        return self.path.rstrip("/"), self.base, f"{self.base}/health"

    def health(self) -> web.Response:
        body: dict[str, Any] = {"status": "ok", "service": self.name, "mock": True}
        if self.expect_body:
            body["expected"] = self.expect_body
        for dotted, value in self.expect_json.items():
            *parents, last = dotted.split(".")
            inner = body
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
        return web.json_response(body, status=self.expect_status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the mocks are told. The agent's limits are the guide's AGENT_* variables."""

    services: tuple[Mock, ...]
    token: str
    key_file: str = ""
    agent_execution_s: float = 20.0
    agent_thinking_s: float = 15.0
    agent_tool_s: float = 10.0


def read_config(text: str | bytes) -> Config:
    """Read the configuration; an unknown key or kind is a ValueError or TypeError."""
    raw = json.loads(text)
    services = []
    for item in raw.pop("services"):
        dial = Dial(**item.pop("dial", {}))
        mock = Mock(**{**item, "routes": tuple(item.get("routes", ())), "dial": dial})
        if mock.kind not in KINDS:
            raise ValueError(f"{mock.name}: kind {mock.kind!r}, expected one of {', '.join(KINDS)}")
        services.append(mock)
    return Config(services=tuple(services), **raw)


def write_config(config: Config) -> bytes:
    """Return the JSON that `read_config` reads."""
    return json.dumps(asdict(config)).encode()


class Mocks:
    """The servers, one per port. `start` and `stop`; `ports` says where they listen."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.keys = Keys(Path(config.key_file) if config.key_file else None)
        self.runners: list[web.AppRunner] = []

    async def start(self) -> Mocks:
        places: dict[tuple[str, int], list[Mock]] = {}
        for number, mock in enumerate(self.config.services):
            places.setdefault((mock.bind, mock.port or -number), []).append(mock)
        try:
            for (bind, port), mocks in places.items():
                runner = web.AppRunner(self._app(mocks), access_log=None, shutdown_timeout=0.2, handle_signals=False)
                await runner.setup()
                self.runners.append(runner)
                await web.TCPSite(runner, bind, max(port, 0)).start()
                for mock in mocks:
                    mock.port = runner.addresses[0][1]
        except BaseException:
            await self.stop()
            raise
        return self

    async def stop(self) -> None:
        await asyncio.gather(*(runner.cleanup() for runner in self.runners))
        self.runners.clear()

    async def __aenter__(self) -> Mocks:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def mock(self, name: str) -> Mock:
        return next(mock for mock in self.config.services if mock.name == name)

    def _app(self, mocks: Sequence[Mock]) -> web.Application:
        app = web.Application(client_max_size=16 * 2**20)
        place = _Place(self, mocks)
        app.on_response_prepare.append(place.mark)
        app.router.add_route("*", "/{tail:.*}", place.handle)
        return app


class _Place:
    """One port: whose request is it, and is it to fail."""

    def __init__(self, mocks: Mocks, services: Sequence[Mock]) -> None:
        self.all = mocks
        self.services = services

    def whose(self, request: web.Request) -> Mock:
        """Find the service by kind of request, for several may share a port."""
        by_kind = {mock.kind: mock for mock in self.services}
        path = request.path
        if "websocket" in by_kind and request.headers.get("Upgrade", "").lower() == "websocket":
            return by_kind["websocket"]
        for mock in sorted((mock for mock in self.services if mock.base), key=lambda mock: -len(mock.base)):
            if f"{path}/".startswith(f"{mock.base}/"):
                return mock
        if "auth" in by_kind and path.startswith(("/oauth", "/.well-known", "/userinfo")):
            return by_kind["auth"]
        if "llm" in by_kind and path.startswith("/v1/"):
            return by_kind["llm"]
        return next(by_kind[kind] for kind in KINDS if kind in by_kind)

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers[MARK] = self.whose(request).name

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/__resilience__/"):
            return await self.admin(request)
        mock = self.whose(request)
        if not request.headers.get("User-Agent", "").lower().startswith(OWN_AGENT):
            mock.used += 1
        dial = mock.dial
        if dial.latency_s:
            await asyncio.sleep(dial.latency_s)
        if dial.fail_next or (dial.fail_rate and random.random() < dial.fail_rate):  # noqa: S311 - dice, not a secret
            if dial.fail_next > 0:
                mock.dial = replace(dial, fail_next=dial.fail_next - 1)
            if dial.drop and request.transport is not None:
                request.transport.abort()
            headers = {"Retry-After": "1"} if dial.fail_status in (429, 503) else {}
            body = {"error": {"message": f"failure dialled on the mock of {mock.name}", "type": "mock", "code": None}}
            return web.json_response(body, status=dial.fail_status, headers=headers)
        asked = request.path.rstrip("/")
        if request.method in ("GET", "HEAD") and (
            asked == "/health" or (mock.kind != "websocket" and asked in mock.wells)
        ):
            return mock.health()
        handler = {"backend": backend, "auth": auth, "websocket": websocket, "llm": llm}[mock.kind]
        return await handler(request, mock, self.all)

    async def admin(self, request: web.Request) -> web.StreamResponse:
        match request.path.removeprefix("/__resilience__/"), request.method:
            case "connections", "GET":
                return web.json_response(
                    {"pid": os.getpid(), "services": {mock.name: mock.used for mock in self.services}}
                )
            case "dial", "POST" | "GET":
                if not secrets.compare_digest(_bearer(request), self.all.config.token):
                    return web.json_response({"error": "the token of the mocks' configuration is needed"}, status=401)
                if request.method == "POST":
                    try:
                        await self.turn(request)
                    except (ValueError, TypeError, KeyError, AttributeError) as exc:
                        return web.json_response({"error": f"{type(exc).__name__}: {exc}"}, status=400)
                return web.json_response({mock.name: asdict(mock.dial) for mock in self.all.config.services})
        return web.json_response({"error": "known: connections, dial"}, status=404)

    async def turn(self, request: web.Request) -> None:
        wanted = await request.json()
        known = {mock.name: mock for mock in self.all.config.services}
        for mock in [known[wanted.pop("service")]] if "service" in wanted else known.values():
            mock.dial = Dial() if wanted.get("reset") else replace(mock.dial, **wanted)


def _bearer(request: web.Request) -> str:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


# Backend


async def backend(request: web.Request, mock: Mock, _: Mocks) -> web.StreamResponse:
    """Echo the configured routes; everything else is not there, for an invented answer would hide a missing one."""
    status = _route_status(request.method, request.path, [*mock.routes, "* /echo", f"* {mock.base}/echo"])
    if status is None:
        return web.json_response(
            {"detail": f"the mock of {mock.name} has no route {request.method} {request.path}", "mock": True},
            status=404,
        )
    raw = await request.read()
    text = raw.decode("utf-8", "replace")
    try:
        body = json.loads(text) if text else None
    except ValueError:
        body = text
    echo = {"mock": True, "method": request.method, "path": request.path, "query": dict(request.query), "body": body}
    return web.json_response(echo, status=status)


def _route_status(method: str, path: str, routes: Sequence[str]) -> int | None:
    """Return the status of the first route that matches; `{name}` stands for one segment."""
    for route in routes:
        words = route.split()
        wanted = words.pop(0).upper() if not words[0].startswith("/") else "GET"
        segments, found = words[0].strip("/").split("/"), path.strip("/").split("/")
        same = len(segments) == len(found) and all(
            a == b or (a[:1] == "{" and a[-1:] == "}") for a, b in zip(segments, found, strict=True)
        )
        if same and wanted in ("*", method, "GET" if method == "HEAD" else method):
            return int(words[1]) if len(words) > 1 else 200
    return None


# Auth


class Keys:
    """The signing key, kept in a file so that tokens outlive a restart. Made when first needed: 2048 bits take a while."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._made: asyncio.Task[tuple[Any, dict[str, Any]]] | None = None

    async def get(self) -> tuple[Any, dict[str, Any]]:
        """Return the private key and the public one as a JWK."""
        if self._made is None:
            self._made = asyncio.create_task(asyncio.to_thread(self._make))
        return await asyncio.shield(self._made)

    def _make(self) -> tuple[Any, dict[str, Any]]:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
        from jwt.algorithms import RSAAlgorithm

        if self.file is not None and self.file.is_file():
            key: Any = serialization.load_pem_private_key(self.file.read_bytes(), password=None)
        else:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            if self.file is not None:
                pem = key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
                with open(self.file, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                    file.write(pem)
        jwk = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
        jwk["kid"] = hashlib.sha256(jwk["n"].encode()).hexdigest()[:16]
        return key, {**jwk, "use": "sig", "alg": "RS256"}


async def auth(request: web.Request, mock: Mock, mocks: Mocks) -> web.StreamResponse:
    """Grant tokens that verify against the JWKS; with credentials in the `local` URL, only to these."""
    base = mock.base
    issuer = f"http://{request.host}{base}"
    match request.method, request.path.removeprefix(base).rstrip("/"):
        case "GET", "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server":
            return web.json_response(
                {
                    "issuer": issuer,
                    "token_endpoint": f"{issuer}/oauth/token",
                    "jwks_uri": f"{issuer}/.well-known/jwks.json",
                    "userinfo_endpoint": f"{issuer}/userinfo",
                    "introspection_endpoint": f"{issuer}/oauth/introspect",
                    "grant_types_supported": ["client_credentials", "password", "refresh_token"],
                    "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "response_types_supported": ["token"],
                    "subject_types_supported": ["public"],
                }
            )
        case "GET", "/.well-known/jwks.json":
            _, jwk = await mocks.keys.get()
            return web.json_response({"keys": [jwk]})
        case "POST", "/oauth/token" | "/token":
            return await _grant(request, mock, mocks, issuer)
        case "GET" | "POST", "/userinfo":
            claims = await _verified(_bearer(request), mocks, issuer)
            if claims is None:
                return web.json_response(
                    {"error": "invalid_token"}, status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
                )
            return web.json_response({key: claims[key] for key in ("sub", "scope", "client_id") if key in claims})
        case "POST", "/oauth/introspect":
            form = await _form(request)
            claims = await _verified(form.get("token", ""), mocks, issuer)
            return web.json_response({"active": False} if claims is None else {"active": True, **claims})
    return web.json_response({"error": "not_found", "mock": True}, status=404)


async def _grant(request: web.Request, mock: Mock, mocks: Mocks, issuer: str) -> web.StreamResponse:
    form = await _form(request)
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    client, secret = form.get("client_id", ""), form.get("client_secret", "")
    if kind.lower() == "basic":
        with contextlib.suppress(ValueError):
            client, _, secret = base64.b64decode(encoded).decode("utf-8", "replace").partition(":")
    user, subject = form.get("username", ""), client
    match form.get("grant_type", ""):
        case "client_credentials":
            if not client or (mock.user and (client, secret) != (mock.user, mock.password)):
                return web.json_response({"error": "invalid_client"}, status=401)
        case "password":
            if (
                not user
                or not form.get("password")
                or (mock.user and (user, form["password"]) != (mock.user, mock.password))
            ):
                return web.json_response({"error": "invalid_grant"}, status=400)
            subject = user
        case "refresh_token":
            claims = await _verified(form.get("refresh_token", ""), mocks, issuer)
            if claims is None or claims.get("use") != "refresh":
                return web.json_response({"error": "invalid_grant"}, status=400)
            subject, client = str(claims["sub"]), str(claims["client_id"])
        case _:
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
    scope = form.get("scope", "")
    claims = {"sub": subject, "client_id": client or subject, "scope": scope}
    if audience := form.get("audience"):
        claims["aud"] = audience
    answer = {
        "access_token": await _token(mocks, issuer, claims, 3600),
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": scope,
    }
    if form["grant_type"] != "client_credentials":
        answer["refresh_token"] = await _token(mocks, issuer, {**claims, "use": "refresh"}, 86400)
    return web.json_response(answer, headers={"Cache-Control": "no-store"})


async def _form(request: web.Request) -> dict[str, str]:
    if request.content_type == "application/json":
        try:
            raw = await request.json()
        except ValueError:
            return {}
        return {str(key): str(value) for key, value in raw.items()} if isinstance(raw, dict) else {}
    return {key: value for key, value in (await request.post()).items() if isinstance(value, str)}


async def _token(mocks: Mocks, issuer: str, claims: Mapping[str, str], seconds: int) -> str:
    import jwt

    key, jwk = await mocks.keys.get()
    now = int(time.time())
    payload = {"iss": issuer, "iat": now, "exp": now + seconds, "jti": secrets.token_hex(8), **claims}
    return jwt.encode(payload, key, algorithm="RS256", headers={"kid": jwk["kid"]})


async def _verified(token: str, mocks: Mocks, issuer: str) -> dict[str, Any] | None:
    import jwt

    key, _ = await mocks.keys.get()
    try:
        options: Any = {"verify_aud": False}
        claims: dict[str, Any] = jwt.decode(
            token, key.public_key(), algorithms=["RS256"], issuer=issuer, options=options
        )
    except jwt.PyJWTError:
        return None
    return claims


# WebSocket


async def websocket(request: web.Request, mock: Mock, mocks: Mocks) -> web.StreamResponse:
    """Echo what comes, answer pings, and play the agent's events for a message that asks an agent."""
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
                await _answer(socket, message.data, mock, mocks, agents)
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


AGENT_REQUESTS = ("agent_request", "start_agent", "agent_start", "run_agent", "user_message", "chat")


async def _answer(
    socket: web.WebSocketResponse, text: str, mock: Mock, mocks: Mocks, agents: set[asyncio.Task[None]]
) -> None:
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
        task = asyncio.create_task(_agent(socket, message, mock.dial, mocks.config))
        agents.add(task)
        task.add_done_callback(agents.discard)
    else:
        await socket.send_str(text)


async def _agent(socket: web.WebSocketResponse, message: Mapping[str, Any], dial: Dial, config: Config) -> None:
    """Send the guide's five events in order, or `agent_error` at the limit that was passed."""
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


# LLM


async def llm(request: web.Request, mock: Mock, _: Mocks) -> web.StreamResponse:
    """Answer as an OpenAI-compatible server does; the answer repeats the last message, so that tests can tell."""
    if mock.password and not secrets.compare_digest(_bearer(request).encode(), mock.password.encode()):
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
    """Return the smallest value that fits a JSON schema."""
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
    """Return unit vectors that depend on the text alone."""
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
            import struct

            given = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        data.append({"object": "embedding", "index": number, "embedding": given})
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})


async def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Mocks(config):
        await stop.wait()


def main(argv: Sequence[str]) -> int:
    if len(argv) != 1:
        sys.stderr.write("usage: python -m resilience.stand_ins.mocks CONFIG.json\n")
        return 2
    try:
        config = read_config(Path(argv[0]).read_bytes())
    except (OSError, ValueError, TypeError, KeyError) as exc:
        sys.stderr.write(f"{argv[0]}: {type(exc).__name__}: {exc}\n")
        return 2
    try:
        asyncio.run(serve(config))
    except OSError as exc:
        sys.stderr.write(f"the mocks cannot listen: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

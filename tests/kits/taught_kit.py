"""A staging that can be taught from, tests that ask it through the recorder, and the stand-in that says it again."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
from aiohttp import web

from resilience.core.secret import Secret
from resilience.host import under_way
from resilience.services.mocking import Config as MockConfig, Mock
from resilience.stand_ins.mocks import Mocks
from resilience.teach.agreement import teach_contract
from resilience.teach.keeping import keep
from resilience.teach.lesson import Lesson, masker_of, teach, unwell_before
from resilience.teach.recorder import Config, Heard, Recorder, Upstream
from resilience.teach.store import Generation, Store
from tests.kits.mock_kit import note
from tests.kits.ports import free_ports

KEY = b"the key of a test, long enough"
JWT_KEY = "staging's own, of thirty-two bytes or more"
USERS = {"alice": "wonderland-9", "bob": "builder-77"}


def contract() -> dict[str, Any]:
    """Return the OpenAPI document of the small shop, of a part of what it has."""
    item = {
        "type": "object", "required": ["name"],
        "properties": {"name": {"type": "string", "minLength": 1, "example": "lamp"}, "stock": {"type": "integer"}},
    }  # fmt: skip
    told = {"description": "as it says"}
    key = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^item-"}}
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}}
    page = {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "shop", "version": "1"},
        "servers": [{"url": "https://staging.example"}],
        "components": {
            "schemas": {"Item": item},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "paths": {
            "/items": {
                "get": {"parameters": [page], "responses": {"200": told}},
                "post": {"requestBody": body, "responses": {"201": told, "422": told}},
            },
            "/items/{id}": {
                "get": {"parameters": [key], "responses": {"200": told, "404": told}},
                "put": {"parameters": [key], "requestBody": body, "responses": {"200": told, "422": told}},
            },
            "/me": {"get": {"security": [{"bearer": []}], "responses": {"200": told, "401": told}}},
        },
    }


class Staging:
    """A small shop over HTTP with a bit of everything: state, pages, streams, files, cookies and tokens."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.count = 0
        self.sessions: dict[str, str] = {}
        self.broken = 0
        """How many answers to come are a 503."""
        self.hang = asyncio.Event()
        self.slow = asyncio.Event()
        """Set when an answer that waits for `hang` was asked for."""
        self.asked: list[str] = []
        self.retyped = False
        """Whether the total of a page is a text, as after a change of staging."""
        self.port = 0
        self.contract: dict[str, Any] | None = contract()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Staging]:
        app = web.Application(client_max_size=1 << 30)
        for route in (
            "GET /health", "GET /items", "POST /items", "GET /items/{id}", "DELETE /items/{id}", "PUT /items/{id}",
            "GET /counter", "GET /gzip", "GET /events", "GET /binary", "GET /nothing", "GET /pieces", "POST /upload",
            "POST /login", "GET /me", "POST /token", "GET /jwks", "GET /moved", "GET /absolute", "GET /big",
            "GET /openapi.json", "GET /teapot", "POST /echo", "GET /opaque", "POST /opaque",
            "GET /time", "GET /slow", "POST /search", "GET /break",
        ):  # fmt: skip
            method, path = route.split()
            app.router.add_route(method, path, getattr(self, f"_{path.split('/')[1].partition('.')[0]}"))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            self.hang.set()
            await runner.cleanup()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _health(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.broken:
            self.broken -= 1
            return web.json_response({"status": "broken"}, status=503)
        return web.json_response({"status": "ok", "build": "1.4.2"}, headers={"X-Version": "v7"})

    async def _items(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if self.broken:
            self.broken -= 1
            return web.json_response({"detail": "broken"}, status=503)
        key = request.match_info.get("id", "")
        if request.method == "POST":
            body = await request.json()
            if not body.get("name"):
                return web.json_response({"detail": "a name is needed"}, status=422)
            self.count += 1
            made = {"id": f"item-{self.count:04d}", "name": body["name"], "stock": 10}
            self.items[made["id"]] = made
            return web.json_response(made, status=201, headers={"Location": f"{self.origin}/items/{made['id']}"})
        if not key:
            page = int(request.query.get("page", 1))
            every = list(self.items.values())
            total = str(len(every)) if self.retyped else len(every)
            return web.json_response({"page": page, "items": every[(page - 1) * 2 : page * 2], "total": total})
        if key not in self.items:
            return web.json_response({"detail": "not found"}, status=404)
        if request.method == "DELETE":
            del self.items[key]
            return web.Response(status=204)
        if request.method == "PUT":
            self.items[key] |= await request.json()
        return web.json_response(self.items[key])

    async def _openapi(self, request: web.Request) -> web.StreamResponse:
        if self.contract is None:
            return web.json_response({"detail": "not found"}, status=404)
        return web.json_response(self.contract)

    async def _counter(self, _: web.Request) -> web.StreamResponse:
        self.count += 1
        return web.json_response({"count": self.count})

    async def _gzip(self, _: web.Request) -> web.StreamResponse:
        data = gzip.compress(json.dumps({"packed": "yes" * 100}).encode())
        return web.Response(body=data, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(3):
            await response.write(f'data: {{"n": {number}}}\n\n'.encode())
        await response.write_eof()
        return response

    async def _binary(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(range(256)) * 4, content_type="application/octet-stream")

    async def _nothing(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    async def _pieces(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for piece in (b"one,", b"two,", b"three"):
            await response.write(piece)
        return response

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        parts = await request.post()
        file = parts["file"]
        assert isinstance(file, web.FileField)
        return web.json_response({"name": file.filename, "size": len(file.file.read()), "title": str(parts["title"])})

    async def _login(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        user = str(form.get("user"))
        if USERS.get(user) != form.get("password"):
            return web.json_response({"detail": "wrong"}, status=401)
        session = uuid.uuid4().hex
        self.sessions[session] = user
        response = web.json_response({"welcome": user})
        response.headers.add("Set-Cookie", f"session={session}; Path=/; Domain=staging.example; Secure; HttpOnly")
        return response

    async def _me(self, request: web.Request) -> web.StreamResponse:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        user = self.sessions.get(request.cookies.get("session", "")) or self.sessions.get(token)
        if kind == "Bearer" and token.count(".") == 2:
            try:
                user = jwt.decode(token, JWT_KEY, algorithms=["HS256"])["sub"]
            except jwt.PyJWTError:
                user = None
        if user is None:
            return web.json_response({"detail": "who are you?"}, status=401)
        return web.json_response({"user": user, "email": f"{user}@example.com"})

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        now = int(time.time())
        claims = {"iss": "staging", "sub": str(form["username"]), "iat": now, "exp": now + 600, "jti": uuid.uuid4().hex}
        token = jwt.encode(claims, JWT_KEY, algorithm="HS256")
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": 600})

    async def _opaque(self, request: web.Request) -> web.StreamResponse:
        token = uuid.uuid4().hex
        self.sessions[token] = "alice"
        return web.json_response({"access_token": token, "token_type": "Bearer"})

    async def _jwks(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"keys": [{"kty": "RSA", "n": "abc", "e": "AQAB", "kid": "staging"}]})

    async def _moved(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": f"{self.origin}/gzip"})

    async def _absolute(self, _: web.Request) -> web.StreamResponse:
        following = f"{self.origin}/items?page=2"
        cursor = f"{following}&cursor={uuid.uuid4().hex}%3D"
        return web.json_response({"next": following}, headers={"Next-Page": cursor})

    async def _big(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = size = int(request.query["bytes"])
        await response.prepare(request)
        piece = b"x" * 65536
        while size > 0:
            await response.write(piece[: min(size, len(piece))])
            size -= len(piece)
        return response

    async def _teapot(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"detail": "short and stout"}, status=418, reason="I'm a teapot")

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=await request.read(), content_type="application/json")

    async def _search(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"found": sorted((await request.json()).get("words", []))})

    async def _time(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"now": time.time(), "zone": "UTC"})

    async def _break(self, _: web.Request) -> web.StreamResponse:
        self.broken = 1000
        return web.Response()

    async def _slow(self, _: web.Request) -> web.StreamResponse:
        self.slow.set()
        await self.hang.wait()
        return web.json_response({"late": True})


class Lessons:
    """One staging, its recorder, a store, and the stand-in that serves what is current."""

    def __init__(self, folder: Path, staging: Staging, secrets: Sequence[str] = ()) -> None:
        self.folder, self.staging = folder, staging
        self.secrets = tuple(map(Secret, secrets))
        self.store = Store(folder / "state")
        self.notes = folder / "notes"
        self.passed: set[str] = set()
        self._attempt = 0
        self._at = 0

    @contextmanager
    def test(self, name: str, *, worker: str = "main", fixture: str = "", attempt: int = 0) -> Iterator[None]:
        """Be in a test, or in what a lasting fixture does while it runs, as our plug-in notes it."""
        self._attempt += 1
        note(self.notes / worker, name, fixture=fixture, attempt=attempt or self._attempt)
        self.passed.add(name)
        try:
            yield
        finally:
            note(self.notes / worker, "")

    @asynccontextmanager
    async def recorder(self, **limits: int) -> AsyncIterator[Recorder]:
        under_way.begin(self.notes)
        self.passed.clear()
        config = Config(
            services=(Upstream(name="api", origin=self.staging.origin),), under_way=str(self.notes), workers=2, **limits
        )
        recorder = await Recorder(config).start()
        try:
            yield recorder
        finally:
            await recorder.stop()

    def learn(
        self, heard: Sequence[Heard], *, failed: Sequence[str] = (), source: str = "traffic"
    ) -> Generation | None:
        """Keep, mask, prove and write what was heard."""
        with self.store.lesson():
            kept = keep(heard, self.passed - set(failed), unwell_before(self.store, ["api"]))
            exchanges = kept.exchanges.get("api", ())
            lesson = Lesson(
                service="api", source=source, at=datetime.now(UTC), exchanges=exchanges, gaps=kept.gaps,
                unwell=kept.unwell, origin=self.staging.origin,
            )  # fmt: skip
            return teach(self.store, lesson, masker_of(KEY, self.secrets, exchanges))

    def agree(self, document: dict[str, Any] | bytes | None = None) -> Generation:
        """Learn the contract that staging gives out now, or another document."""
        given = self.staging.contract if document is None else document
        data = given if isinstance(given, bytes) else json.dumps(given).encode()
        masker = masker_of(KEY, self.secrets, ())
        with self.store.lesson():
            return teach_contract(self.store, "api", data, masker, at=datetime.now(UTC), build="7")

    @asynccontextmanager
    async def stand_in(self) -> AsyncIterator[Mocks]:
        under_way.begin(self.notes)
        mock = Mock(
            name="api", kind="backend", imitation="resilience.teach.serve:Taught", teach_key=KEY.hex(),
            taught=tuple(str(one.folder) for one in self.store.current("api")), origin=self.staging.origin,
        )  # fmt: skip
        config = MockConfig(
            services=(mock,), token="t", under_way=str(self.notes), key_file=str(self.folder / "mocks.key")
        )
        async with Mocks(config) as mocks:
            yield mocks


def client(port: int, **more: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20, **more)


@asynccontextmanager
async def lessons(folder: Path, secrets: Sequence[str] = ()) -> AsyncIterator[Lessons]:
    async with AsyncExitStack() as stack:
        staging = await stack.enter_async_context(Staging().running())
        yield Lessons(folder, staging, secrets)


def source(answer: httpx.Response) -> str:
    """Return from where a stand-in had an answer."""
    return answer.headers["X-Resilience-Mock"].split("; ")[1]


@contextmanager
def served() -> Iterator[Staging]:
    """Run the staging on a thread of its own, for tests that type commands."""
    loop, staging = asyncio.new_event_loop(), Staging()
    ready, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with staging.running():
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(20)
    try:
        yield staging
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


CONFIG = """\
[[service]]
name = "backend_api"
type = "http"
url = "{url}/health"
local = "http://127.0.0.1:{port}/health"
exports = {{ BACKEND_URL = "http://{{host}}:{{port}}" }}
critical = true
timeout_s = 2.0
teach = ["traffic"]
teach_routes = ["/gzip", "/items?page=1", "/nowhere"]
build_from = "json:build"
{more}

[modes.full]
commands = ["{python} -m pytest -q -p no:cacheprovider tests"]

[modes.degraded]
commands = ["{python} -m pytest -q -p no:cacheprovider tests"]

[recovery]
good = 2
interval_s = 0.01
dwell_s = 0.0
"""
SUITE = """
import json, os, urllib.error, urllib.request
import pytest

def ask(path, body=None, method=None, **headers):
    data = json.dumps(body).encode() if body is not None else None
    headers = {**headers, **({"Content-Type": "application/json"} if data else {})}
    request = urllib.request.Request(os.environ["BACKEND_URL"] + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status, json.loads(answer.read() or b"null")

@pytest.fixture(scope="session")
def token():
    return ask("/opaque", method="POST")[1]["access_token"]

def test_flow():
    _, made = ask("/items", {"name": "lamp"})
    assert ask(f"/items/{made['id']}")[1] == {"id": made["id"], "name": "lamp", "stock": 10}
    assert ask(f"/items/{made['id']}", {"stock": 3}, "PUT")[1]["stock"] == 3
    assert ask(f"/items/{made['id']}")[1]["stock"] == 3

def test_me(token):
    assert ask("/me", Authorization="Bearer " + token)[1]["user"] == "alice"

@pytest.mark.parametrize("page", [1, 2, 3])
def test_pages(page, token):
    assert ask(f"/items?page={page}")[1]["page"] == page
    assert ask("/me", Authorization="Bearer " + token)[0] == 200

def test_missing():
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask("/items/none")
    assert refused.value.code == 404
    refused.value.close()
"""


def project(folder: Path, staging: Staging, *, more: str = "", suite: str = SUITE) -> Path:
    """Make a team's repository whose tests ask the backend; staging is on this machine, as a drill's is."""
    (folder / "tests").mkdir(parents=True)
    (folder / ".git").mkdir()
    text = CONFIG.format(url=staging.origin, port=free_ports(1)[0], python=sys.executable, more=more)
    (folder / "resilience.toml").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    (folder / "tests" / "test_shop.py").write_text(suite)
    return folder

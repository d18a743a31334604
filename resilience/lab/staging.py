"""Turn a list of services into a staging on 127.0.0.1, each behind a fault proxy; PostgreSQL and Redis are real."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import jwt
from aiohttp import WSMsgType, web
from cryptography.hazmat.primitives.asymmetric import ec

from resilience.host.free_ports import free_port
from resilience.lab.proxy import HEALTHY, Dial, FaultProxy
from resilience.lab.scenario import CONTROL
from resilience.lab.storefront import Storefront
from resilience.services.postgresql.stand_in import PostgresServer, find_binaries
from resilience.services.redis.stand_in import RedisServer

USER, DATABASE = "shop", "shop"
_HEALTH_S = 0.8
"""How long the backend waits for its database before it answers 503."""
_AGENT = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")

_DATABASE_GONE = (OSError, asyncpg.PostgresConnectionError)
"""Time-outs and refusals; and connections that end in the middle."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Staging:
    """The lab's staging: `doors` are the proxies that clients talk to, by service name. `start` and `stop` it.

    The password is new each time. A service that is asked for what the shop's tests do not need answers 404.
    """

    def __init__(self, folder: Path, services: tuple[str, ...], *, sql: tuple[Path, ...], cache: Path) -> None:
        self.folder = folder
        self.services = services
        self.sql = sql
        self.cache = cache
        self.password = secrets.token_urlsafe(18)
        self.doors: dict[str, FaultProxy] = {}
        self._stack = contextlib.AsyncExitStack()
        self._key: Any = None
        self._agents: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start all at once; nothing is left where one fails.

        Raises StandInError where PostgreSQL or Redis cannot be had on this machine.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._start_database())
                group.create_task(self._start_redis())
                group.create_task(self._start_services())
        except BaseExceptionGroup as failed:
            await self.stop()
            raise failed.exceptions[0] from failed
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        for task in self._agents:
            task.cancel()
        await self._stack.aclose()
        self.doors.clear()

    async def set(self, service: str, dial: Dial) -> None:
        await self.doors[service].set(dial)

    async def recover(self) -> None:
        """Turn every dial back to healthy."""
        await asyncio.gather(*(door.set(HEALTHY) for door in self.doors.values() if door.dial.mode is not HEALTHY.mode))

    def url(self, service: str) -> str:
        """Return the URL under which the service is configured, credentials included."""
        port = self.doors[service].port
        return {
            "database": f"postgresql://{USER}:{self.password}@127.0.0.1:{port}/{DATABASE}",
            "redis": f"redis://:{self.password}@127.0.0.1:{port}/0",
            "backend_api": f"http://127.0.0.1:{port}/health",
            "auth_service": f"http://127.0.0.1:{port}/health",
            "websocket": f"ws://127.0.0.1:{port}/ws",
            "llm_service": f"http://127.0.0.1:{port}/v1",
            "clickhouse": f"http://{USER}:{self.password}@127.0.0.1:{port}/",
            CONTROL: f"127.0.0.1:{port}",
        }[service]

    def project_environment(self) -> dict[str, str]:
        """Return what the shop's code reads when it talks to this staging."""
        urls = {
            "DATABASE_URL": "database",
            "REDIS_URL": "redis",
            "BACKEND_URL": "backend_api",
            "AUTH_SERVICE_URL": "auth_service",
            "WEBSOCKET_URL": "websocket",
            "LLM_URL": "llm_service",
        }
        return {name: self.url(service).removesuffix("/health") for name, service in urls.items()}

    async def _door(self, service: str, port: int) -> None:
        self.doors[service] = await self._stack.enter_async_context(FaultProxy(("127.0.0.1", port), name=service))

    async def _start_database(self) -> None:
        data = self.folder / "postgresql"
        await _from_template(data, self.cache)
        server = PostgresServer(data, free_port(), user=USER, password=self.password, database=DATABASE)
        self._stack.push_async_callback(server.stop)
        await server.start()
        await self._door("database", server.port)
        async with self._connection(via_door=False, port=server.port, timeout_s=5) as connection:
            for path in self.sql:
                await connection.execute(path.read_text(encoding="utf-8"))

    async def _start_redis(self) -> None:
        server = RedisServer(self.folder / "redis", free_port(), password=self.password)
        self._stack.push_async_callback(server.stop)
        await server.start()
        await self._door("redis", server.port)

    async def _start_services(self) -> None:
        """Serve what is asked of each HTTP service by a health check and by the shop's tests, no more."""
        apps: Mapping[str, Mapping[str, Handler]] = {
            "backend_api": {
                "GET /health": self._backend_health,
                "GET /api/products": self._products,
                "POST /api/orders": self._order,
                **Storefront(self._subject).routes(),
            },
            "auth_service": {
                "GET /health": self._well,
                "POST /token": self._grant,
                "GET /.well-known/jwks.json": self._keys,
            },
            "websocket": {"GET /ws": self._channel, "GET /health": self._well},
            "llm_service": {"GET /v1/models": self._models, "POST /v1/chat/completions": self._chat},
            "clickhouse": {"GET /": self._clickhouse, "GET /ping": self._clickhouse},
            CONTROL: {"GET /": self._well},
        }
        async with asyncio.TaskGroup() as group:
            for service, routes in apps.items():
                if service in (*self.services, CONTROL):
                    group.create_task(self._serve(service, routes))

    async def _serve(self, service: str, routes: Mapping[str, Handler]) -> None:
        app = web.Application()
        for route, handler in routes.items():
            method, path = route.split()
            app.router.add_route(method, path, handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handle_signals=False)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await self._door(service, runner.addresses[0][1])

    @contextlib.asynccontextmanager
    async def _connection(self, *, via_door: bool = True, port: int = 0, timeout_s: float = 2.0) -> AsyncIterator[Any]:
        """Yield a connection to the database through its door, or to the server itself at `port`, for `timeout_s` seconds in all.

        It is cut off at the end: an orderly close would wait for a server that a fault has made mute.
        """
        async with asyncio.timeout(timeout_s):
            connection = await asyncpg.connect(
                host="127.0.0.1",
                port=self.doors["database"].port if via_door else port,
                user=USER,
                password=self.password,
                database=DATABASE,
                ssl=False,
                timeout=timeout_s,
                passfile=os.devnull,
            )
            try:
                yield connection
            finally:
                connection.terminate()

    async def _well(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async def _backend_health(self, _: web.Request) -> web.StreamResponse:
        """Say 503 with Retry-After while the database does not answer through its own door.

        A symptom, as of a real backend.
        """
        try:
            async with self._connection(timeout_s=_HEALTH_S) as connection:
                await connection.fetchval("select 1")
        except Exception as exc:  # noqa: BLE001 - whatever the driver raises, the backend is up and says what it misses
            detail = {"status": "unavailable", "database": type(exc).__name__}
            return web.json_response(detail, status=503, headers={"Retry-After": "5"})
        return web.json_response({"status": "ok", "database": "ok"})

    async def _products(self, _: web.Request) -> web.StreamResponse:
        try:
            async with self._connection() as connection:
                rows = await connection.fetch("select sku, title, price_cents, stock from product order by sku")
        except _DATABASE_GONE as exc:
            return web.json_response({"detail": f"database: {type(exc).__name__}"}, status=503)
        return web.json_response([dict(row) for row in rows])

    async def _order(self, request: web.Request) -> web.StreamResponse:
        """Take an order from whoever shows a token of the auth service, in one transaction; never more than the stock."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if self._subject(token if kind == "Bearer" else "") is None:
            return web.json_response({"detail": "a token is needed"}, status=401)
        order = await request.json()
        try:
            async with self._connection() as connection, connection.transaction():
                stock = await connection.fetchval(
                    "select stock from product where sku = $1 for update", str(order["sku"])
                )
                if stock is None:
                    return web.json_response({"detail": "no such product"}, status=404)
                if stock < int(order["quantity"]):
                    return web.json_response({"detail": f"only {stock} left"}, status=409)
                await connection.execute(
                    "update product set stock = stock - $2 where sku = $1", str(order["sku"]), int(order["quantity"])
                )
        except _DATABASE_GONE as exc:
            return web.json_response({"detail": f"database: {type(exc).__name__}"}, status=503)
        return web.json_response({"id": secrets.randbelow(10**6), "status": "paid"}, status=201)

    def _subject(self, token: str) -> str | None:
        """Return whose a token of the auth service is; None for one that is not good."""
        try:
            return str(jwt.decode(token, self._signing_key().public_key(), algorithms=["ES256"])["sub"])
        except (jwt.PyJWTError, KeyError):
            return None

    def _signing_key(self) -> Any:
        if self._key is None:
            self._key = ec.generate_private_key(ec.SECP256R1())
        return self._key

    async def _grant(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if form.get("grant_type") != "client_credentials" or not form.get("client_id"):
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        now = int(time.time())
        claims = {"sub": str(form["client_id"]), "scope": str(form.get("scope", "")), "iat": now, "exp": now + 600}
        token = jwt.encode(claims, self._signing_key(), algorithm="ES256", headers={"kid": "lab"})
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": 600})

    async def _keys(self, _: web.Request) -> web.StreamResponse:
        point = self._signing_key().public_key().public_numbers()

        def text(number: int) -> str:
            return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()

        key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "lab"}
        return web.json_response({"keys": [{**key, "x": text(point.x), "y": text(point.y)}]})

    async def _channel(self, request: web.Request) -> web.StreamResponse:
        channel = web.WebSocketResponse()
        await channel.prepare(request)
        async for message in channel:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                asked = json.loads(message.data)
            except ValueError:
                asked = None
            if isinstance(asked, dict) and asked.get("type") == "start_agent":
                task = asyncio.create_task(self._agent(channel))
                self._agents.add(task)
                task.add_done_callback(self._agents.discard)
            else:
                await channel.send_str(message.data)
        return channel

    async def _agent(self, channel: web.WebSocketResponse) -> None:
        with contextlib.suppress(ConnectionError):  # the client left
            for event in _AGENT:
                await channel.send_json({"type": event})
                await asyncio.sleep(0.1)

    async def _models(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": [{"id": "shop-assistant", "object": "model"}]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        message = {"role": "assistant", "content": f"About {body['messages'][-1]['content']!r}: it is on its way."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({"object": "chat.completion", "model": body.get("model", ""), "choices": [choice]})

    async def _clickhouse(self, request: web.Request) -> web.StreamResponse:
        """Answer the two questions of a health check; no wheel carries a ClickHouse server, and its tests are held."""
        asked = request.query.get("query", "").lower()
        return web.Response(text="0\t0\t0\n" if "replicas" in asked else "1\n" if "select 1" in asked else "Ok.\n")


async def _from_template(data: Path, cache: Path) -> None:
    """Copy an initialised data folder, made once on this machine: initdb takes 0.6 to 3 s, a copy 0.1 s."""
    binaries = next(iter(find_binaries()), None)
    if binaries is None:
        return  # PostgresServer says it better
    template = cache / f"postgresql-{binaries.provider}-{binaries.major}"
    if not template.is_dir():
        await asyncio.to_thread(cache.mkdir, parents=True, exist_ok=True, mode=0o700)
        aside = Path(tempfile.mkdtemp(prefix="new-", dir=cache))
        try:
            made = aside / "data"
            await PostgresServer(made, 0, user=USER, password="", database=DATABASE, binaries=binaries).prepare()
            with contextlib.suppress(OSError):  # another drill was faster
                made.rename(template)
        finally:
            await asyncio.to_thread(shutil.rmtree, aside, ignore_errors=True)
    await asyncio.to_thread(shutil.copytree, template, data)

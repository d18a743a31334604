"""Turn chdb, ClickHouse's engine in a wheel, into a ClickHouse that answers over HTTP with user, password and database.

    python -m resilience.services.clickhouse.stand_in CONFIG.json

The queries are the real engine's. What is the server's and not the engine's is missing: replication, users and grants, settings
in the URL, and more than one query at a time.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from resilience.core.errors import StandInError
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.host.files import write_atomically
from resilience.host.processes import SIGTERM, Child, Launch, import_path
from resilience.services.place import Endpoint, ask, ask_json, netloc, port_open
from resilience.services.standing_in import (
    COUNTS,
    Ground,
    Offer,
    Owner,
    Provider,
    Server,
    StandIns,
    Wanted,
    emptied,
    pid_of,
)

OWN_AGENT = "resilience"
BODY_LIMIT = 256 * 2**20
CODE = re.compile(r"Code: (\d+)\.")
STATUS = {516: 403, 81: 404, 60: 404, 62: 400, 47: 400, 46: 404, 159: 408, 241: 500}
"""Exception code → HTTP status, as the server maps them; 500 for the others."""
INSERT = re.compile(rb"\A\s*INSERT\s+INTO\s.*?\bFORMAT\s+(\w+)[ \t]*(?:\r?\n|;|\Z)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the front is told."""

    bind: str
    port: int
    data: str
    user: str = "default"
    password: str = ""
    database: str = "default"


class ClickHouseServer:
    """The front with its own data folder. `start` and `stop` run it as a plain child; `launch` is for a supervisor."""

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        user: str = "",
        password: str = "",
        database: str = "",
        bind: str = "127.0.0.1",
        log: Path | None = None,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.config = Config(
            bind=bind,
            port=port,
            data=str(self.data_dir / "data"),
            user=user or "default",
            password=password,
            database=database or "default",
        )
        self.log = log or self.data_dir.with_name(self.data_dir.name + ".log")
        self.child: Child | None = None
        self.version = ""

    @property
    def prepared(self) -> bool:
        return (self.data_dir / "data").is_dir()

    async def prepare(self) -> bool:
        """Write the configuration where only we may read it; return True where the data are new."""
        new = not self.prepared
        (self.data_dir / "data").mkdir(parents=True, exist_ok=True, mode=0o700)
        text = json.dumps(asdict(self.config)).encode()
        write_atomically(self.data_dir / "front.json", text, mode=0o600, durable=False)
        return new

    def launch(self, name: str = "clickhouse") -> Launch:
        """Return how the front is run; the password is in its configuration file only."""
        argv = (sys.executable, "-m", "resilience.services.clickhouse.stand_in", str(self.data_dir / "front.json"))
        return Launch(
            name=name,
            argv=argv,
            cwd=str(self.data_dir),
            log=str(self.log),
            stop_signals=(SIGTERM,),
            env={"PYTHONPATH": import_path(os.environ.get("PYTHONPATH", ""))},
            digest=hashlib.sha256(json.dumps(asdict(self.config)).encode()).hexdigest()[:16],
        )

    async def start(self, *, timeout_s: float = 30.0) -> ClickHouseServer:
        """Prepare, run as a plain child, and return when it answers."""
        async with asyncio.timeout(timeout_s):
            await self.prepare()
            child = self.child = Child(self.launch())
            child.spawn()
            try:
                await self.wait_ready(alive=lambda: child.alive)
            except BaseException:
                await self.stop()
                raise
        return self

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.stop()
            self.child = None

    async def wait_ready(self, *, alive: Callable[[], bool] = lambda: True) -> None:
        """Return when it answers a query with the user and password. Bound it with a time-out."""
        config = self.config
        where = netloc(config.bind, config.port)
        headers = {"X-ClickHouse-User": config.user, "X-ClickHouse-Key": config.password}
        while True:
            if not alive():
                raise StandInError("the ClickHouse front ended while starting.", hint=f"read {self.log}")
            if port_open(config.bind, config.port):
                found, version = await asyncio.to_thread(ask, where, "/", 10.0, headers, b"select version()")
                if found.get("x-clickhouse-server-display-name") != f"chdb of {self.config.data}":
                    raise StandInError(
                        f"port {config.port} is answered by another ClickHouse.",
                        hint=f"ss -ltnp 'sport = :{config.port}'",
                    )
                self.version = version.strip()
                return
            await asyncio.sleep(0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A request, read: the statement and the data that came with it."""

    sql: str
    data: bytes | None = None
    format: str = "TabSeparated"


def read_query(text: str, body: bytes, default_format: str) -> Query:
    """Split what came in the URL and in the body, unpacked, into statement and data, as the server does."""
    if text:
        head = INSERT.match(text.encode())
        if head and body and head[1].lower() != b"values":
            return Query(sql=text, data=body)
        return Query(sql=f"{text}\n{body.decode()}" if body else text, format=default_format)
    head = INSERT.match(body)
    if head and head[1].lower() != b"values" and body[head.end() :]:
        return Query(sql=head[0].decode(), data=body[head.end() :])
    return Query(sql=body.decode(), format=default_format)


class Front:
    """The engine, one query at a time, behind HTTP."""

    def __init__(self, config: Config) -> None:
        from chdb import session

        self.config = config
        self.session: Any = session.Session(config.data)
        self.lock = asyncio.Lock()
        self.used = 0
        name = config.database.replace("`", "``")
        self.session.query(f"CREATE DATABASE IF NOT EXISTS `{name}`")

    def allowed(self, request: Any) -> bool:
        user = request.query.get("user") or request.headers.get("X-ClickHouse-User") or ""
        password = request.query.get("password") or request.headers.get("X-ClickHouse-Key") or ""
        kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            with contextlib.suppress(ValueError):
                user, _, password = base64.b64decode(encoded).decode("utf-8", "replace").partition(":")
        same_password = secrets.compare_digest(password.encode(), self.config.password.encode())
        return (user or "default") == self.config.user and same_password

    async def handle(self, request: Any) -> Any:
        from aiohttp import web

        if request.path in ("/ping", "/replicas_status"):
            return web.Response(text="Ok.\n")
        if request.path == COUNTS:
            return web.json_response({"pid": os.getpid(), "used": self.used})
        if not request.headers.get("User-Agent", "").lower().startswith(OWN_AGENT):
            self.used += 1
        headers = {
            "X-ClickHouse-Server-Display-Name": f"chdb of {self.config.data}",
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Query-Id": request.query.get("query_id") or secrets.token_hex(16),
        }
        if not self.allowed(request):
            return self.refused("Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", headers)
        if request.path != "/":
            return web.Response(status=404, text="There is no handle for this path\n", headers=headers)
        body = await request.read()
        if not body and "query" not in request.query:
            return web.Response(text="Ok.\n", headers=headers)
        wanted = request.query.get("default_format") or request.headers.get("X-ClickHouse-Format") or "TabSeparated"
        try:
            parameters = {name[6:]: value for name, value in request.query.items() if name.startswith("param_")}
            database = (
                request.query.get("database") or request.headers.get("X-ClickHouse-Database") or self.config.database
            )
            async with self.lock:
                if packing := request.headers.get("Content-Encoding", ""):
                    body = await asyncio.to_thread(self.unpack, body, packing)
                query = read_query(request.query.get("query", ""), body, wanted)
                answer = await asyncio.to_thread(self.run, query, database, parameters)
        except Exception as exc:  # noqa: BLE001 - the engine's words are the answer
            return self.refused(str(exc), headers)
        named = re.search(r"\bFORMAT\s+(\w+)\s*;?\s*\Z", query.sql, re.IGNORECASE)
        headers["X-ClickHouse-Format"] = named[1] if named else query.format
        headers["X-ClickHouse-Summary"] = json.dumps({"read_rows": "0", "written_rows": "0"})
        return web.Response(body=answer, headers=headers, content_type="text/plain")

    def run(self, query: Query, database: str, parameters: dict[str, str]) -> bytes:
        """Run one statement in its database; return the answer's bytes."""
        self.session.query("USE `" + database.replace("`", "``") + "`")
        sql = query.sql.rstrip().rstrip(";")
        if query.data is None:
            return bytes(self.session.query(sql, query.format, params=parameters or None).bytes())
        found = re.search(r"\s+FORMAT\s+(\w+)\s*\Z", sql, re.IGNORECASE)
        if found is None:
            raise ValueError("Code: 62. DB::Exception: INSERT with data needs FORMAT. (SYNTAX_ERROR)")
        with self._file(query.data) as name:
            self.session.query(f"{sql[: found.start()]} FROM INFILE '{name}' FORMAT {found[1]}")
        return b""

    def unpack(self, body: bytes, packing: str) -> bytes:
        """Unpack a body with the engine's own means: lz4, zstd, br, gzip, deflate and more."""
        if not packing.isalnum():
            raise ValueError(
                f"Code: 77. DB::Exception: unknown Content-Encoding {packing!r}. (UNKNOWN_COMPRESSION_METHOD)"
            )
        with self._file(body) as name:
            statement = f"SELECT s FROM file('{name}', 'RawBLOB', 's String', '{packing}')"  # noqa: S608 - both are ours
            return bytes(self.session.query(statement, "RawBLOB").bytes())

    @contextlib.contextmanager
    def _file(self, data: bytes) -> Iterator[str]:
        """Return the engine, which reads files, what came in a request; it is gone again afterwards."""
        with tempfile.NamedTemporaryFile(dir=self.config.data, prefix=".request-") as file:
            file.write(data)
            file.flush()
            yield file.name

    def refused(self, text: str, headers: dict[str, str]) -> Any:
        from aiohttp import web

        found = CODE.search(text)
        code = int(found[1]) if found else 1000
        shown = text if found else f"Code: {code}. DB::Exception: {text}"
        return web.Response(
            status=STATUS.get(code, 500),
            text=f"{shown}\n",
            headers={**headers, "X-ClickHouse-Exception-Code": str(code)},
        )


class _ClickHouse(StandIns):
    """ClickHouse's engine in the wheel chdb, behind HTTP."""

    def offer(self, place: Endpoint) -> Offer | None:
        if importlib.util.find_spec("chdb") is None:
            return None
        return Offer(provider="wheel", words=f"chdb, ClickHouse's engine, on {place.shown}")

    def providers(self, group: Sequence[Wanted], ground: Ground, name: str) -> Sequence[Provider]:
        if importlib.util.find_spec("chdb") is None:
            return ()
        return [Provider(name="wheel", bring_up=partial(_bring_up, group, ground, name))]

    def probed(self, service: Service, place: Endpoint) -> Service:
        """Return it with a scheme whose path is a database, and with the user that an empty one stands for."""
        url = replace(place, user=place.user or "default").url("clickhouse")
        return replace(super().probed(service, place), local=Secret(url))

    async def owner(self, place: Endpoint) -> Owner:
        return Owner(version=(await _ask(place, "select version() format TSV")).strip())

    async def ask(self, place: Endpoint, query: str) -> None:
        await _ask(place, query)

    async def count(self, service: Service, place: Endpoint) -> int | None:
        return int((await asyncio.to_thread(ask_json, place.netloc, COUNTS, 2.0))["used"])


STAND_INS = _ClickHouse()


async def _ask(place: Endpoint, query: str) -> str:
    headers = {"X-ClickHouse-User": place.user or "default", "X-ClickHouse-Key": place.password}
    path = f"/?database={place.database}" if place.database else "/"
    return (await asyncio.to_thread(ask, place.netloc, path, 5.0, headers, query.encode()))[1]


async def _bring_up(group: Sequence[Wanted], ground: Ground, name: str) -> Sequence[Server]:
    """Run one front for all services of the group, and wait until its engine answers a query."""
    place = group[0].place
    data = ground.data / f"{name}-chdb"
    log = ground.logs / f"{name}.log"
    await emptied(ground, name, data)
    server = ClickHouseServer(
        data,
        place.port,
        user=place.user,
        password=place.password,
        database=place.database,
        bind=place.bind,
        log=log,
    )

    async def coming_up() -> None:
        await server.prepare()
        process = await ground.run(server.launch(name))
        await server.wait_ready(alive=lambda: process.alive)

    await ground.in_time(name, coming_up(), new=not server.prepared)
    up = Server(
        provider="wheel",
        version=server.version,
        pid=pid_of(ground, name),
        supervised=name,
        data_dir=str(data),
        log=str(log),
        gaps=("chdb: ClickHouse's engine without its server: no replication, no users or grants, one query at a time",),
    )
    return [up for _ in group]


async def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT."""
    from aiohttp import web

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    front = Front(config)
    app = web.Application(client_max_size=BODY_LIMIT)
    app.router.add_route("*", "/{tail:.*}", front.handle)
    # Bodies stay packed: the engine unpacks more kinds than aiohttp.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, config.bind, config.port).start()
        await stop.wait()
    finally:
        await runner.cleanup()
        front.session.close()


def main(argv: Sequence[str]) -> int:
    try:
        config = Config(**json.loads(Path(argv[0]).read_bytes()))
        asyncio.run(serve(config))
    except (OSError, ValueError, TypeError, IndexError, ImportError) as exc:
        sys.stderr.write(f"the ClickHouse front cannot serve: {type(exc).__name__}: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Turn chdb, ClickHouse's engine in a wheel, into a ClickHouse that answers over HTTP with user, password and database.

    python -m resilience.services.clickhouse.front CONFIG.json

The queries are the real engine's. What is the server's and not the engine's is missing: replication, users and grants, settings
in the URL, and more than one query at a time.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from resilience.services.clickhouse.stand_in import Config
from resilience.services.place import COUNTS

OWN_AGENT = "resilience"

BODY_LIMIT = 256 * 2**20

CODE = re.compile(r"Code: (\d+)\.")

STATUS = {516: 403, 81: 404, 60: 404, 62: 400, 47: 400, 46: 404, 159: 408, 241: 500}
"""Exception code → HTTP status, as the server maps them; 500 for the others."""

INSERT = re.compile(rb"\A\s*INSERT\s+INTO\s.*?\bFORMAT\s+(\w+)[ \t]*(?:\r?\n|;|\Z)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A request, read: the statement and the data that came with it.

    `format` is the one to answer in; `data` is what an INSERT inserts, in the format that its statement names.
    """

    sql: str
    data: bytes | None = None
    format: str = "TabSeparated"


def read_query(text: str, body: bytes, default_format: str) -> Query:
    """Split what came in the URL and in the body, unpacked, into statement and data, as the server does.

    A statement in the URL and one in the body are one statement, the URL's part first. Data follow an INSERT …
    FORMAT; the format `values` is no data but SQL, and stays with the statement.
    """
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
        # An extra of its own; read_query is tested without it.
        from chdb import session

        self.config = config
        self.session: Any = session.Session(config.data)
        self.lock = asyncio.Lock()
        self.used = 0
        name = config.database.replace("`", "``")
        self.session.query(f"CREATE DATABASE IF NOT EXISTS `{name}`")

    def allowed(self, request: Any) -> bool:
        """Say whether user and password are the configured ones, wherever a client puts them.

        URL, headers, basic authentication.

        Passwords are compared in constant time; no user means `default`, as a server has it.
        """
        user = request.query.get("user") or request.headers.get("X-ClickHouse-User") or ""
        password = request.query.get("password") or request.headers.get("X-ClickHouse-Key") or ""
        kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            with contextlib.suppress(ValueError):
                user, _, password = base64.b64decode(encoded).decode("utf-8", "replace").partition(":")
        same_password = secrets.compare_digest(password.encode(), self.config.password.encode())
        return (user or "default") == self.config.user and same_password

    async def handle(self, request: web.Request) -> web.Response:
        """Answer as the server's HTTP interface does: ping without a login, then the login, then one statement.

        Statements take turns, since the engine has one session. An error is answered with the engine's own words, its
        number in the header, and the status that the server has for it: clients read all three.
        """
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
        """Unpack a body with the engine's own means: lz4, zstd, br, gzip, deflate and more.

        Raises ValueError with ClickHouse's code 77 for a name that is no name of a codec.
        """
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

    def refused(self, text: str, headers: dict[str, str]) -> web.Response:
        """Return an error as the server words it: `Code: N.

        DB::Exception: …`, with the code in the header and its status.

        Text without a code of the engine is given 1000 (POCO_EXCEPTION in its ErrorCodes.cpp).
        """
        found = CODE.search(text)
        code = int(found[1]) if found else 1000
        shown = text if found else f"Code: {code}. DB::Exception: {text}"
        return web.Response(
            status=STATUS.get(code, 500),
            text=f"{shown}\n",
            headers={**headers, "X-ClickHouse-Exception-Code": str(code)},
        )


async def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT."""
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

"""Turn a ClickHouse service into chdb, ClickHouse's engine in a wheel, behind a front that speaks HTTP as the server does."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

from resilience.core.errors import StandInError
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.host.files import write_atomically
from resilience.host.processes import SIGTERM, Child, Launch, import_path
from resilience.services.place import COUNTS, Endpoint, ask, ask_json, netloc, port_open
from resilience.services.standing_in import (
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
    """The front with its own data folder. `start` and `stop` run it as a plain child; `launch` is for a supervisor.

    An extra of its own, since the wheel takes 855 MB; see `front` for what of a server is missing.
    """

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
        """Take what is configured; an empty user or database is `default`, as a server has it."""
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
        argv = (sys.executable, "-m", "resilience.services.clickhouse.front", str(self.data_dir / "front.json"))
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
        """Prepare, run as a plain child, and return when it answers.

        Raises TimeoutError, and StandInError as `wait_ready` does; then nothing is left running.
        """
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
        """Return when it answers a query with the user and password. Bound it with a time-out.

        Raises StandInError where the front ended, or where its display name shows that another server holds the port.
        """
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
        """Return it with the database where the probe reads it, and with the user that an empty one stands for."""
        url = replace(place, user=place.user or "default", database="", path="/").url("http")
        url += f"?database={quote(place.database)}" if place.database else ""
        return replace(super().probed(service, place), local=Secret(url))

    async def owner(self, place: Endpoint) -> Owner:
        headers, version = await _asked(place, "select version() format TSV")
        folder = headers.get("x-clickhouse-server-display-name", "").removeprefix("chdb of ")
        return Owner(version=version.strip(), folder=folder if folder.startswith("/") else "")

    async def ask(self, place: Endpoint, query: str) -> None:
        await _ask(place, query)

    async def count(self, service: Service, place: Endpoint) -> int | None:
        return int((await asyncio.to_thread(ask_json, place.netloc, COUNTS, 2.0))["used"])


STAND_INS = _ClickHouse()


async def _ask(place: Endpoint, query: str) -> str:
    return (await _asked(place, query))[1]


async def _asked(place: Endpoint, query: str) -> tuple[dict[str, str], str]:
    """Return the headers and the answer."""
    headers = {"X-ClickHouse-User": place.user or "default", "X-ClickHouse-Key": place.password}
    path = f"/?database={place.database}" if place.database else "/"
    return await asyncio.to_thread(ask, place.netloc, path, 5.0, headers, query.encode())


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

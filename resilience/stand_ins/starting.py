"""Turn services into stand-ins on this machine, side by side: each provided, prepared, asked, and written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from resilience.core.errors import StandInError
from resilience.core.records import ServiceType, StandIn
from resilience.core.settings import Service, Settings
from resilience.services.place import port_open
from resilience.stand_ins import lease, prepare as preparing
from resilience.stand_ins.endpoints import endpoint
from resilience.stand_ins.ground import Item, Say, Start, Up
from resilience.stand_ins.mocked import MOCKED, MOCKS, _mocks
from resilience.stand_ins.providers import _failed, _server
from resilience.stand_ins.records import Record, only_one, write_records
from resilience.stand_ins.usage import connections


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
        lease.touch(run.folder)
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

"""Turn services into stand-ins on this machine, side by side: each provided, prepared, asked, and written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pkgutil import resolve_name

from resilience.core.errors import StandInError
from resilience.core.records import StandIn
from resilience.core.settings import Service
from resilience.host.trust import STAND_INS
from resilience.services.place import port_open
from resilience.services.standing_in import Server, Wanted, stand_ins_of
from resilience.stand_ins import comparing, containers, lease, loaded as loading, own, own_rules, prepare as preparing
from resilience.stand_ins.checkout import Checkout
from resilience.stand_ins.endpoints import endpoint
from resilience.stand_ins.ground import Say, SupervisedGround
from resilience.stand_ins.mocked import MOCKS, mock
from resilience.stand_ins.providers import failed, provide
from resilience.stand_ins.records import Record, only_one, write_records
from resilience.stand_ins.usage import connections


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """A service with its server, or with the reason why none came up."""

    wanted: Wanted
    server: Server | None
    passed: tuple[str, ...] = ()
    failed: StandIn | None = None


async def start(
    services: Sequence[Service], checkout: Checkout, *, fresh: bool = False, on_progress: Say | None = None
) -> tuple[StandIn, ...]:
    """Have a stand-in for each of these services, all at once; `ready` says which can be used, `error` why one cannot.

    What runs already is kept. `fresh` throws the data of earlier runs away. Never raises for one service.

    All servers are there before the first is prepared, since a service's commands may read the exports of any other; only a
    team's own command is run after what it depends on is ready.
    What came up is written down last, under the lock: `stop` ends what the supervisor runs and nobody wrote down, so
    that a start that is killed in the middle leaves nothing.

    `on_progress` is told in sentences what is being done. Raises StandInError only where another process is starting
    or stopping those of this checkout.
    """
    began = time.monotonic()
    wanted, refused = _places(services, checkout)
    if not wanted:
        return tuple(refused.values())
    async with only_one(checkout.data, timeout_s=checkout.deadlines.fallback_prepare_s):
        ground = SupervisedGround(checkout, fresh=fresh, say=on_progress or (lambda _: None))
        lease.touch(ground.folder)
        if any(one.service.recorder_tls for one in wanted):
            # Whoever stands in: the tests are told of its files, and a client fails at one that is not there.
            await asyncio.to_thread(resolve_name("resilience.host.authority:kept"), ground.data / STAND_INS)
        by_name = {one.service.name: one.service for one in wanted}
        provided: list[Provided] = []
        finished: list[StandIn] = []
        for wave in own_rules.waves(wanted):
            ready = {stand_in.service: stand_in.ready for stand_in in (*refused.values(), *finished)}
            parts = await asyncio.gather(*(_provided(ground, group, by_name, ready) for group in _groups(wave)))
            now = [one for part in parts for one in part]
            provided += now
            exports = {
                name: value.reveal()
                for one in provided
                if one.server
                for name, value in one.wanted.service.exports.items()
            }
            finished += await asyncio.gather(*(_finished(ground, one, exports, began) for one in now))
        _write_down(ground, provided, finished)
    found = refused | {stand_in.service: stand_in for stand_in in finished}
    return tuple(found[service.name] for service in services)


def _write_down(ground: SupervisedGround, provided: Sequence[Provided], finished: Sequence[StandIn]) -> None:
    records = dict(ground.records)
    for one, stand_in in zip(provided, finished, strict=True):
        if one.server is not None:
            records[stand_in.service] = Record(
                stand_in=stand_in,
                bind=one.wanted.place.bind,
                port=one.wanted.place.port,
                supervised=one.server.supervised,
                composed=one.server.composed,
                container=known.container if (known := ground.records.get(stand_in.service)) else None,
            )
    write_records(ground.data, records)


def _places(services: Sequence[Service], checkout: Checkout) -> tuple[list[Wanted], dict[str, StandIn]]:
    """Return the services with their places, and by name those that are configured so that nothing can stand in."""
    wanted, refused = [], {}
    by_name = {service.name: service for service in services}
    for service in services:
        try:
            place = endpoint(service, checkout.deny_hosts)
            if service.own.command or service.own.contained:
                own_rules.check(service, checkout, own_rules.exported(service, by_name))
            else:
                stand_ins_of(service.kind).check(service)
                if service.kind.is_mocked and service.providers and "mock" not in service.providers:
                    raise StandInError(
                        f"{service.name}: its `provider` leaves the mock out.", hint='add "mock", or give `start`'
                    )
            wanted.append(Wanted(service=service, place=place))
        except StandInError as exc:
            refused[service.name] = failed(service, "", exc)
    for name, conflict in own_rules.refuse_one_port(wanted).items():
        refused[name] = failed(by_name[name], "", conflict)
    return [one for one in wanted if one.service.name not in refused], refused


def _groups(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """Return the services that share one server together: those of one type on one port, and all that are mocked.

    Two services of different types on one port stay apart, and the second finds the port taken.
    """
    groups: dict[tuple[str, str, int], list[Wanted]] = {}
    for one in wanted:
        place = one.place
        if one.service.own.command or one.service.own.contained:
            key = (own_rules.START, one.service.name, place.port)
        else:
            key = (MOCKS, "", 0) if place.kind.is_mocked else (place.type, place.bind, place.port)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


async def _provided(
    ground: SupervisedGround, group: Sequence[Wanted], by_name: Mapping[str, Service], ready: Mapping[str, bool]
) -> list[Provided]:
    """Bring up the services that share one server. An error becomes a record per service.

    `by_name` are all that are stood in for; `ready` says of those that were to be there before whether they are.
    """
    passed: list[str] = []
    try:
        for one in group:
            await _without_its_container(ground, one.service)
        servers: Sequence[Server | StandInError]
        if group[0].service.own.command:
            own_rules.needed(group[0], ready)
            exported = own_rules.exported(group[0].service, by_name)
            servers = [await own.Start(ground, group[0], exported).bring_up()]
        elif group[0].place.kind.is_mocked and not group[0].service.own.contained:
            servers = await mock(ground, group, passed)
        else:
            servers = await provide(ground, group, passed)
    except Exception as exc:  # noqa: BLE001 - one service's trouble becomes its record
        return [
            Provided(wanted=one, server=None, failed=failed(one.service, one.place.shown, exc, passed)) for one in group
        ]
    return [
        Provided(wanted=one, server=server, passed=tuple(passed))
        if isinstance(server, Server)
        else Provided(wanted=one, server=None, failed=failed(one.service, one.place.shown, server, passed))
        for one, server in zip(group, servers, strict=True)
    ]


async def _without_its_container(ground: SupervisedGround, service: Service) -> None:
    """End the container of an earlier start where the configuration wants none any more: its port is needed."""
    record = ground.records.get(service.name)
    if record is None or record.container is None or service.own.contained:
        return
    stay = [one.container for name, one in ground.records.items() if one.container and name != service.name]
    if await containers.stop([record.container], stay):
        raise StandInError(
            f"{service.name}: the container of an earlier start could not be ended.",
            hint=f"{record.container.engine} ps",
        )
    ground.records[service.name] = replace(record, container=None)


async def _finished(ground: SupervisedGround, provided: Provided, exports: Mapping[str, str], began: float) -> StandIn:
    """Prepare a server that answers, ask it, and compare it with staging. An error becomes the service's record.

    Preparing has FALLBACK_PREPARE_TIMEOUT, asking and comparing FALLBACK_ACTIVATION_TIMEOUT and 2 s more.
    """
    service, place, server = provided.wanted.service, provided.wanted.place, provided.server
    if server is None:
        return provided.failed or failed(service, place.shown, StandInError("no server came up"))
    stand_in = StandIn(
        service=service.name,
        type=service.type,
        provider=server.provider,
        endpoint=place.shown,
        ready=False,
        started_here=server.started_here,
        pid=server.pid,
        version=server.version,
        start_s=round(time.monotonic() - began, 3),
        passed_over=provided.passed,
        gaps=server.gaps,
        data_dir=server.data_dir,
        log=server.log,
    )
    prepared = time.monotonic()
    try:
        loaded = await loading.load(ground, provided.wanted, server)
        gaps = [*server.gaps, *loaded.gaps, *await _prepared(ground, service, exports)]
        gaps += await loading.drifted(ground, provided.wanted, loaded)
        _refuse_another_localhost(provided.wanted, server)
        async with asyncio.timeout(ground.deadlines.fallback_activation_s + 2.0):
            await preparing.ask(service, place)
            gaps += await comparing.gaps(place, ground.seen_on_staging(service.name), server.version)
    except Exception as exc:  # noqa: BLE001 - one service's trouble becomes its record
        return replace(stand_in, error=str(exc) or type(exc).__name__)
    by = f"{server.provider} {server.version}".strip()
    ground.say(f"{service.name}: ready on {place.shown} after {time.monotonic() - began:.2f} s ({by})")
    took = round(time.monotonic() - prepared, 3) if service.prepare else 0.0
    return replace(stand_in, ready=True, gaps=tuple(gaps), prepare_s=took)


async def _prepared(ground: SupervisedGround, service: Service, exports: Mapping[str, str]) -> tuple[str, ...]:
    """Run the service's `prepare` commands; return as a gap that they never connected to it.

    The count of connections tells: a migration that reads another variable than the one exported has changed some other
    database, and the tests would meet an empty one.
    """
    if not service.prepare:
        return ()
    ground.say(f"{service.name}: preparing ({'; '.join(service.prepare)})")
    own = {name: value.reveal() for name, value in service.exports.items()}
    before = await connections(service)
    await preparing.prepare(
        service,
        ground.checkout,
        {**exports, **own},
        ground.logs / f"{service.name}-prepare.log",
        timeout_s=ground.deadlines.fallback_prepare_s,
    )
    after = await connections(service)
    if before is not None and after == before:
        return ("its prepare commands never connected to it: do they read the exported variables?",)
    return ()


def _refuse_another_localhost(wanted: Wanted, server: Server) -> None:
    """Refuse a name that leads clients to another server: ours is on 127.0.0.1, and many try ::1 first."""
    place = wanted.place
    if server.started_here and place.host.startswith("localhost") and port_open("::1", place.port):
        raise StandInError(
            f"{wanted.service.name}: another server listens on [::1]:{place.port}, where clients that say localhost may land.",
            hint=f"end it (ss -ltnp 'sport = :{place.port}'), or write 127.0.0.1 for localhost in the env file",
        )

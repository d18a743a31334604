"""Turn services that share one server into that server, from the first provider that brings it up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from resilience.core.errors import ResilienceError, StandInError
from resilience.core.records import StandIn
from resilience.core.settings import Service
from resilience.services.standing_in import NONE, Provider, Server, TooLateError, Wanted, stand_ins_of
from resilience.stand_ins import compose
from resilience.stand_ins.containers import ContainerStart, MisconfiguredError
from resilience.stand_ins.ground import SupervisedGround
from resilience.stand_ins.records import Record, write_records

if TYPE_CHECKING:
    from resilience.stand_ins.proof import Found


SHARED = "shared: this checkout did not start it, and others may change its data"
"""What is said of a server that is used because the configuration says `shared = true`."""


class PassedOverError(Exception):
    """A provider that cannot be used here, and why: the next one is asked.

    Not an error of ours, which would end the start: it is caught where the next provider is asked.
    """


async def provide(ground: SupervisedGround, group: Sequence[Wanted], passed: list[str]) -> Sequence[Server]:
    """Return a server for each of these services, which share one; `passed` gets why each provider before was not it.

    The order: what listens there already, the team's container, then what the kind itself can start. Only "cannot be
    used here" leads to the next. A port that is somebody else's, or a start that took too long, is the answer:
    another provider would meet the same port, or begin with making its data.

    Raises StandInError, with what was tried and how to install one, where all were passed over.
    """
    for provider in in_order(ground, group):
        try:
            servers = await provider.bring_up()
            return [replace(one, gaps=(*one.gaps, *_not_as_configured(group[0].service, passed))) for one in servers]
        except PassedOverError as exc:
            passed.append(f"{provider.name}: {exc}")
    if wished := group[0].service.providers:
        passed.append(f"provider = {list(wished)} allows no other")
    doubles = group[0].place.kind.doubles
    hint = (doubles.install if doubles else "") or NONE
    raise StandInError(f"{group[0].service.name}: no stand-in came up ({'; '.join(passed)}).", hint=hint)


def _not_as_configured(service: Service, passed: Sequence[str]) -> list[str]:
    """Return, as a gap, why the team's own container was not used: results then rest on something that it did not ask for."""
    contained = ("image: ", "compose: ") if service.own.contained else ()
    return [f"not as configured: {reason}" for reason in passed if reason.startswith(contained)]


def in_order(ground: SupervisedGround, group: Sequence[Wanted]) -> Iterable[Provider]:
    """Return the providers in the order in which they are tried: that of `provider`, and without what that leaves out.

    Where the supervisor runs our own server already, only the kind's own are left, which keep it or replace it. A container of
    an earlier start is brought up again rather than proven, since compose knows its own.
    """
    every, wished = _every(ground, group), group[0].service.providers
    if not wished:
        return every
    return sorted((one for one in every if one.name in wished), key=lambda one: wished.index(one.name))


def _every(ground: SupervisedGround, group: Sequence[Wanted]) -> Iterator[Provider]:
    """Yield the providers that could be tried, in the order of the room."""
    place = group[0].place
    name = f"{place.type}-{place.home}"
    record, service = ground.records.get(group[0].service.name), group[0].service
    if ground.running(name) is None:
        if record is None or not (record.composed or record.container):
            yield Provider(name="running", bring_up=partial(_running, ground, group))
        if service.own.contained:
            name_of = "image" if service.own.image else "compose"
            yield Provider(name=name_of, bring_up=partial(_contained, ground, group[0]))
        else:
            yield Provider(name="compose", bring_up=partial(_composed, ground, group))
    for provider in stand_ins_of(place.kind).providers(group, ground, name):
        yield Provider(name=provider.name, bring_up=partial(_started, provider))


async def _running(ground: SupervisedGround, group: Sequence[Wanted]) -> Sequence[Server]:
    """Use what answers with the credentials of every service of the group."""
    found = [await ground.prove(one) for one in group]
    kept = ("already running, so its data were kept",) if ground.fresh else ()
    servers = [running(one, kept) for one in found if one]
    if len(servers) < len(group):
        raise PassedOverError(f"nothing listens on port {group[0].place.port}")
    return servers


def running(found: Found, gaps: Sequence[str] = ()) -> Server:
    """Return a server that ran already. One that is shared says so: its data are others' as well."""
    shared = (SHARED,) if found.shared else ()
    return Server(provider="running", version=found.version, pid=found.pid, started_here=False, gaps=(*gaps, *shared))


async def _started(provider: Provider) -> Sequence[Server]:
    """Start it; what a kind's own provider cannot do, the next may, but for a start that took too long."""
    try:
        return await provider.bring_up()
    except TooLateError:
        raise
    except (StandInError, OSError) as exc:
        raise PassedOverError(exc) from exc


async def _contained(ground: SupervisedGround, wanted: Wanted) -> Sequence[Server]:
    """Start the team's own container. Without an engine, or where it does not come up, the next provider is asked."""
    engine = await ground.engine
    if why := engine.why or (engine.no_compose if wanted.service.own.compose_service else ""):
        raise PassedOverError(why)
    try:
        return [await ContainerStart(ground, wanted, engine.command).bring_up()]
    except MisconfiguredError:
        raise
    except (StandInError, TimeoutError, OSError) as exc:
        raise PassedOverError(exc if str(exc) else "it took too long") from exc


async def _composed(ground: SupervisedGround, group: Sequence[Wanted]) -> Sequence[Server]:
    """Bring up the container where the compose file has one for it, an engine answers, and it can serve the group."""
    kind, user = group[0].place.kind, group[0].place.user
    composed = kind.doubles.compose if kind.doubles else None
    if composed is None:
        raise PassedOverError(f"{compose.NAME} has nothing of type {kind.name}")
    if compose.file(ground.checkout) is None:
        raise PassedOverError(f"no {compose.NAME}")
    if why := await ground.compose:
        raise PassedOverError(why)
    if len(group) > 1:
        raise PassedOverError("several databases on one port")
    if not composed.users and user not in ("", "default"):
        raise PassedOverError(f"its {kind.title} has no user {user}")
    try:
        return [await _container(ground, group[0])]
    except (StandInError, TimeoutError) as exc:
        raise PassedOverError(exc if str(exc) else "it took too long") from exc


async def _container(ground: SupervisedGround, wanted: Wanted) -> Server:
    """Start the service's container and prove it; stop it again where it does not serve, for the port is the next one's."""
    service, place = wanted.service, wanted.place
    ground.say(f"{service.name}: starting with docker compose")
    if ground.fresh:
        await compose.stop(ground.checkout, place.kind, remove_data=True)
    # Written down first, so that a start that is killed leaves no container that nobody knows of.
    begun = failed(service, place.shown, StandInError("its start was interrupted"), provider="compose")
    ground.records[service.name] = Record(stand_in=begun, bind=place.bind, port=place.port, composed=True)
    write_records(ground.data, ground.records)
    try:
        await compose.up(ground.checkout, place, timeout_s=ground.deadlines.fallback_prepare_s)
        found = await ground.prove(wanted, contained=True)
        if found is None:
            raise StandInError(f"its container is healthy, but nothing listens on {place.shown}")
    except (StandInError, TimeoutError):
        await compose.stop(ground.checkout, place.kind)
        del ground.records[service.name]
        raise
    return Server(provider="compose", version=found.version, pid=found.pid, composed=True)


def failed(service: Service, shown: str, exc: BaseException, passed: Sequence[str] = (), provider: str = "") -> StandIn:
    """Return the record of a stand-in that cannot be used, and why.

    `passed` are the providers tried before; the error's hint is part of its text.
    """
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

"""Turn the ports that a checkout's stand-ins want into ports that are its own: the wanted ones, or free ones in their place."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import sys
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from resilience.core.errors import StandInError
from resilience.core.settings import Service, Settings
from resilience.host.ports import read_ports, write_ports
from resilience.services.place import Endpoint, port_open
from resilience.services.standing_in import Wanted
from resilience.stand_ins.checkout import supervised_folder
from resilience.stand_ins.endpoints import endpoint
from resilience.stand_ins.ground import SupervisedGround
from resilience.stand_ins.mocked import MOCKS, read_config
from resilience.stand_ins.owners import is_ours
from resilience.stand_ins.records import read_records
from resilience.stand_ins.state import read_state

LOWEST, COUNT = 20_000, 12_000
"""Where free ports are looked for: below those that systems give to clients (32768 on Linux, 49152 elsewhere)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the stand-ins are to be: wanted port → the one in its place, and a sentence for each service that it moves."""

    ports: dict[int, int] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)


def foreseen(services: Sequence[Service], settings: Settings) -> Placement:
    """Return where the stand-ins of these services would be if they were started now; nothing is started or held.

    A server that may be shared counts as usable here, as only a start asks it.
    """
    return _place(services, settings, taken=(), held=())


@asynccontextmanager
async def placed(services: Sequence[Service], settings: Settings) -> AsyncIterator[Placement]:
    """Hold the ports of these services' stand-ins, and write down where they are, until they have been started.

    Two checkouts that start at the same moment both find the wanted port free; who holds its name first has it, and the
    other takes a free one. The name is the kernel's, so a start that is killed leaves none behind. Where there are no such
    names (not Linux), the later server does not come up.
    """
    with contextlib.ExitStack() as stack:
        wishes = {service.port_wish.port for service in services if service.port_wish}
        held = {port for port in sorted(wishes) if not stack.enter_context(_reserved(port, settings))}
        taken = await _that_cannot_be_shared(services, settings)
        placement = _place(services, settings, taken=taken, held=held)
        for port in placement.ports.values():
            stack.enter_context(_reserved(port, settings))
        if settings.data.is_dir() or placement.ports:
            settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_ports(settings.data, placement.ports)
        yield placement


async def _that_cannot_be_shared(services: Sequence[Service], settings: Settings) -> set[int]:
    """Return the wished ports on which something listens that may be shared, but does not prove to be what is wanted."""
    found = set()
    for service in services:
        if service.port_wish is None or not service.shared:
            continue
        place = _wished_place(service, settings)
        if place is None or _ours_at(place, place.port, settings) or not port_open(place.bind, place.port):
            continue
        try:
            await SupervisedGround(settings).prove(Wanted(service=service.at_port(place.port), place=place))
        except StandInError:
            found.add(place.port)
    return found


def _wished_place(service: Service, settings: Settings) -> Endpoint | None:
    wish = service.port_wish
    with contextlib.suppress(StandInError):
        return endpoint(service.at_port(wish.port), settings.deny_hosts) if wish else None
    return None


def _place(
    services: Sequence[Service], settings: Settings, *, taken: Collection[int], held: Collection[int]
) -> Placement:
    """Choose a port for each wish: where ours runs already, else the wanted one where it is free or shared, else a free one.

    `taken` are wished ports whose server may be shared and is not what is wanted, `held` those that another checkout is
    starting on. Services that want the same port stay together. A free port is the first one from a number that the
    checkout's data folder gives, so that a plan and its apply, and each day's run, say the same.
    """
    before = read_ports(settings.data)
    places = [(service, place) for service in services if (place := _wished_place(service, settings)) is not None]
    ports = {wanted: used for wanted, used in before.items() if all(place.port != wanted for _, place in places)}
    why: dict[str, str] = {}
    for service, place in places:
        wanted = place.port
        now = ports.get(wanted) or before.get(wanted, wanted)
        if wanted not in ports and not _ours_at(place, now, settings):
            now = wanted
            if holder := _holder(service, place, settings, taken=taken, held=held):
                now = _free_port(place, settings, {*ports.values()})
                why[service.name] = f"{service.name}: port {wanted} is held by {holder}; port {now} is used instead"
        if now != wanted:
            ports[wanted] = now
            why.setdefault(service.name, f"{service.name}: port {now} is used instead of {wanted}, as before")
    return Placement(ports=ports, why=why)


def _ours_at(place: Endpoint, port: int, settings: Settings) -> bool:
    """Say whether a stand-in of this checkout for this place runs on this port: by what was recorded, no port is asked.

    Also one that was started and not yet recorded, which the supervisor knows by its name.
    """
    state = read_state(supervised_folder(settings))
    alive = {name for name, service in state.services.items() if service.alive} if state.alive else set()
    for record in read_records(settings.data).values():
        if record.port == port and (record.composed or record.container or record.supervised in alive):
            return True
    mocked = place.kind.is_mocked and MOCKS in alive
    if mocked and any(item["port"] == port for item in read_config(settings.data).get("services", ())):
        return True
    return f"{place.type}-{place.home}" in alive


def _holder(
    service: Service, place: Endpoint, settings: Settings, *, taken: Collection[int], held: Collection[int]
) -> str:
    """Return who holds the wanted port, so that another one must be used; empty where it is free, ours or to be shared."""
    if place.port in held:
        return "another checkout, which is starting its stand-ins"
    if not port_open(place.bind, place.port):
        return ""
    # Only where something listens: a start from nothing does not wait for psutil, 60 ms.
    from resilience.stand_ins.listeners import listener, mark_of_process

    who = listener(place.port)
    mark = mark_of_process(who.pid)
    if mark is not None:
        return "" if is_ours(mark, settings) else f"the stand-in of {mark.shown}"
    shareable = service.shared or place.kind.doubles is None
    return "" if shareable and place.port not in taken else str(who)


def _free_port(place: Endpoint, settings: Settings, used: Collection[int]) -> int:
    """Return a port on which nothing listens and that no service of the configuration names. Raises StandInError."""
    named = {one.port for service in settings.services if (one := _wished_place(service, settings)) is not None}
    first = int(hashlib.sha256(f"{settings.data}:{place.port}".encode()).hexdigest()[:8], 16)
    family = socket.AF_INET6 if ":" in place.bind else socket.AF_INET
    for step in range(COUNT):
        port = LOWEST + (first + step) % COUNT
        if port in used or port in named:
            continue
        with socket.socket(family) as tried, contextlib.suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((place.bind, port))
            return port
    raise StandInError(
        f"no port from {LOWEST} to {LOWEST + COUNT - 1} is free on {place.bind}.", hint="ss -ltn shows who listens"
    )


@contextlib.contextmanager
def _reserved(port: int, settings: Settings) -> Iterator[bool]:
    """Hold a port's name against other checkouts until the end; False where one of them holds it.

    Another process of this checkout is none of them: which of the two may start is for the checkout's own lock to say.
    """
    if sys.platform != "linux":
        yield True
        return
    own = hashlib.sha256(str(settings.data).encode()).hexdigest()[:16]
    with socket.socket(socket.AF_UNIX) as ours, socket.socket(socket.AF_UNIX) as everybodys:
        free = True
        try:
            ours.bind(f"\0resilience-port-{port}-{own}")
        except OSError:  # this checkout's other process holds it
            yield True
            return
        try:
            everybodys.bind(f"\0resilience-port-{port}")
        except OSError:
            free = False
            ours.close()
        yield free

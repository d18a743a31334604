"""What a kind of service says of its stand-ins, and what it is given to run them with.

A kind's `stand_in.py` has one object, `STAND_INS`, of a class below; its record names it (`Doubles.stand_in`). Nobody else knows
how its servers are started, proven, asked or counted. A kind without one is stood in for only by what the team runs itself.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from resilience.core.errors import StandInError
from resilience.core.kind import Kind
from resilience.core.secret import Secret
from resilience.core.settings import Deadlines, Service
from resilience.host.processes import Launch
from resilience.services.place import ANSWERS, COUNTS, WORKERS, Endpoint, ask_json, local_schemes
from resilience.services.registry import resolve

NONE = "none by itself: give `start`, `compose` or `image`, or run a server there"
"""What is said of a kind that nothing here can stand in for."""


Told = tuple[float, str, str, str]
"""One answer of a stand-in: when, from where it was had, to what, and the test that asked; see `resilience.services.mocking`."""


class TooLateError(StandInError):
    """A stand-in that did not come up in the time it had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A service and where its stand-in is to answer."""

    service: Service
    place: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that answers with the env file's credentials.

    `gaps` are sentences on what it lacks by its nature; what it lacks against staging is found later. `started_here`
    is false for one that ran already and is left running at the end.
    """

    provider: str
    version: str = ""
    pid: int | None = None
    started_here: bool = True
    supervised: str = ""
    """The supervisor's name of its process."""
    composed: bool = False
    data_dir: str = ""
    log: str = ""
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One way to bring up the server that some services share. `bring_up` raises StandInError or OSError where it cannot."""

    name: str
    """`system`, `wheel`, …: it is shown, and orders or forbids."""
    bring_up: Callable[[], Awaitable[Sequence[Server]]]
    """Returns a server for each of the services, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What could be started here, by what is installed; nothing was run."""

    provider: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose server it is that answers on a port, as far as it says so itself."""

    version: str = ""
    address: str | None = None
    """The server's own address; empty where it says that it is on this machine; None where it does not say."""
    folder: str = ""
    """Where its data are, as far as it says so."""
    nonce: str = ""
    """The nonce of the checkout that started it, where it can be asked for it."""


class Process(Protocol):
    """A process that runs under the supervisor."""

    @property
    def pid(self) -> int: ...
    @property
    def alive(self) -> bool: ...


class Ground(Protocol):
    """What a kind is given to run its stand-ins with: processes that outlive us, folders, deadlines, and a voice.

    Handed in, so that a kind's folder starts no process of its own and a test can pass a plain object. `running`,
    `run` and `end` go by the supervisor's name of the process.
    """

    data: Path
    logs: Path
    fresh: bool
    """Whether the data of earlier runs are to be thrown away."""
    deadlines: Deadlines
    nonce: str
    """What no other checkout knows; a server that can be asked for it proves by it whose it is."""

    def say(self, text: str, /) -> None:
        """Tell whoever waits what is being done."""

    def seen_on_staging(self, service: str, /) -> Mapping[str, str]:
        """Return the facts of the last good look at staging; empty where there was none."""

    def running(self, name: str, /) -> Process | None:
        """Return the supervised process of this name, if it lives."""

    async def run(self, launch: Launch, /) -> Process:
        """Have the supervisor run this, and return its process. Raises StandInError where it could not be started."""

    async def end(self, name: str, /) -> None:
        """End the supervised process of this name, and return when it is gone."""

    async def in_time(self, name: str, coming_up: Awaitable[None], /, *, new: bool) -> None:
        """Await a start within its deadline, `new` where data are made; end what did not come up. Raises TooLateError."""


async def emptied(ground: Ground, name: str, folder: Path) -> None:
    """Throw a server's data away, where fresh ones are wanted.

    Its process is ended first; the next start makes the data anew.
    """
    if ground.fresh:
        await ground.end(name)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def pid_of(ground: Ground, name: str) -> int | None:
    """Return the pid of the supervised process of this name, if it lives."""
    process = ground.running(name)
    return process.pid if process else None


def major(version: str) -> int:
    """Return the first number of a version, 0 where there is none."""
    head = version.strip().partition(".")[0].partition(" ")[0]
    return int(head) if head.isdigit() else 0


class StandIns:
    """How services of one kind are stood in for. What a kind does not say of its own is answered with "it cannot".

    A kind overrides what it can do; the methods that wait are bounded by their caller.
    """

    def offer(self, place: Endpoint) -> Offer | None:
        """Return what could be started here, by what is installed; None where nothing is. Nothing is run or asked."""
        return None

    def check(self, service: Service) -> None:
        """Raise StandInError where the service is configured so that nothing of its kind can stand in for it."""

    def providers(self, group: Sequence[Wanted], ground: Ground, name: str) -> Sequence[Provider]:
        """Return what could start the one server of these services, best first; the supervisor knows it by `name`.

        Raises StandInError where the services cannot share a server.
        """
        return ()

    def probed(self, service: Service, place: Endpoint) -> Service:
        """Return the service as the probe is to look at its stand-in: at the bound address, with the place's credentials.

        Nothing that staging is told is told to whoever holds a port here, hence no headers of the configuration; and
        nothing is written.
        """
        url = place.url(local_schemes(place.kind)[0])
        return replace(service, local=Secret(url), headers={}, write_check=False, tls_ca="")

    async def owner(self, place: Endpoint) -> Owner:
        """Ask the server, which has answered the probe, whose it is."""
        return Owner()

    async def ask(self, place: Endpoint, query: str) -> None:
        """Ask the team's ready query. Whatever is raised becomes the reason why the stand-in is not ready."""
        raise StandInError(
            f"a stand-in of type {place.kind.name} cannot be asked a ready_query.",
            hint="take ready_query out: its probe says when it is ready",
        )

    async def gaps(self, place: Endpoint, seen: Mapping[str, str]) -> tuple[str, ...]:
        """Name what the stand-in lacks against staging as last seen, its version apart."""
        return ()

    def wanted_by(self, text: str) -> frozenset[str]:
        """Return what a file of the team's, such as a migration, wants a server to have besides itself."""
        return frozenset()

    def lacks(self, wanted: Collection[str]) -> tuple[str, ...]:
        """Return which of these no server that is installed here can have. Nothing is run or asked."""
        return ()

    def majors(self, version: str) -> frozenset[int]:
        """Return the major versions that a server of this version is compatible with."""
        return frozenset({major(version)})

    async def count(self, service: Service, place: Endpoint) -> int | None:
        """Count the connections so far, our own left out; None where it cannot count."""
        return None

    async def answers(self, service: Service, place: Endpoint, since: float) -> tuple[Told, ...]:
        """Return its answers since that time, in seconds since the epoch. A real server's own are none of ours to tell of."""
        return ()

    async def workers(self, service: Service, place: Endpoint) -> tuple[int, ...]:
        """Return a port for each worker of pytest-xdist, where it tells them apart."""
        return ()


class MockedStandIns(StandIns):
    """How services are stood in for that are ours to imitate: by a mock, in the one process of all mocks.

    All mocks of a checkout share one process: one each would cost 40 MB and 0.3 s more.
    """

    mocks: Mapping[str, str] = {}
    """What is imitated → the dotted name of the Imitation that does it; see `resilience.services.mocking`."""

    def offer(self, place: Endpoint) -> Offer:
        return Offer(provider="mock", words=f"a mock on {place.shown}")

    def mock(self, service: Service) -> str:
        """Return which of the mocks imitates this service. Raises StandInError where it asks for another."""
        return next(iter(self.mocks))

    def check(self, service: Service) -> None:
        self.mock(service)

    def health_status(self, service: Service) -> int:
        """Return the status with which the mock says that it is well."""
        return next(iter(service.expect_status), 200)

    def probed(self, service: Service, place: Endpoint) -> Service:
        """Return the service with the token of its `local` URL, as the mocks take it."""
        plain = super().probed(service, place)
        if not place.password:
            return plain
        url = replace(place, user="", password="").url(local_schemes(place.kind)[0])
        return replace(plain, local=Secret(url), headers={"Authorization": Secret(f"Bearer {place.password}")})

    async def owner(self, place: Endpoint) -> Owner:
        """Return the nonce that mocks of ours say; a real server in their place says none."""
        try:
            answer = await asyncio.to_thread(ask_json, place.netloc, COUNTS, 2.0)
        except (OSError, ValueError):
            return Owner()
        return Owner(nonce=str(answer.get("checkout", "")) if isinstance(answer, dict) else "")

    async def count(self, service: Service, place: Endpoint) -> int | None:
        answer = await asyncio.to_thread(ask_json, place.netloc, COUNTS, 2.0)
        return int(answer["services"][service.name])

    async def answers(self, service: Service, place: Endpoint, since: float) -> tuple[Told, ...]:
        """Return its answers. One of the version before tells neither those that were no echo nor whose they were."""
        path = f"{ANSWERS}?since={since:.6f}"
        told = await asyncio.to_thread(ask_json, place.netloc, path, 4.0, at_most=64 << 20)
        return tuple(
            (float(at), str(source), str(what), str(test[0]) if test else "")
            for at, source, what, *test in told.get(service.name, ())
        )

    async def workers(self, service: Service, place: Endpoint) -> tuple[int, ...]:
        told = await asyncio.to_thread(ask_json, place.netloc, WORKERS, 2.0)
        return tuple(int(port) for port in told.get(service.name, ()))


def stand_ins_of(kind: Kind) -> StandIns:
    """Return how services of this kind are stood in for.

    A kind that names none gets one that can do nothing, so that callers need not ask.
    """
    doubles = kind.doubles
    if doubles is None or not doubles.stand_in:
        return StandIns()
    found: StandIns = resolve(doubles.stand_in)
    return found

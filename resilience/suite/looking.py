"""Look at services while tests fail, as deep as what failed, and soon enough to say how they were at that time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence

from resilience.core.records import ConnectivityResult, ConnectivityStatus
from resilience.core.settings import Service
from resilience.suite.endpoints import Endpoint, Pair, kinds_of, may_use, target_of, used_by, whose
from resilience.suite.events import Failure, Record, Test
from resilience.suite.evidence import Answer, shared_look, told_by
from resilience.suite.looks import Look, Looks
from resilience.suite.records import Depth, Instruments
from resilience.suite.signs import PATH, WRITES, Reading, Said, is_clients, read

LOOK_AGAIN_S = 1.0
"""A look at a service is fresh for this long while failures come in."""
SOONER_S = 0.3
"""The same where it began before what failed: the service may have gone since, and be back before the next look."""
CONNECT_S = 2.0
"""How long a look at an address that nobody declared may take."""


class Looker:
    """Looks at services as the tests reach them, and keeps what it found."""

    def __init__(self, services: Mapping[str, Service], instruments: Instruments) -> None:
        self.services, self.instruments = services, instruments
        self.endpoints: tuple[Endpoint, ...] = ()
        self.looks = Looks()
        self.notes: list[str] = []
        self.known: Mapping[Pair, str] = {}
        """Addresses of no configured service that the environment or files name → where."""
        self.refusing: set[Pair] = set()
        self.answers: tuple[Answer, ...] = ()
        """Those of the stand-ins to the latest execution."""
        self._asked = time.time()
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._hurry = asyncio.Event()
        self._deeper: set[tuple[str, str, float]] = set()

    # one look

    async def look(self, names: Sequence[str]) -> None:
        """Look at these services now, all at once."""
        began = time.time()
        try:
            results = await self.instruments.probe(names)
        except Exception as exc:  # noqa: BLE001  the probe is not ours; without it there is no look, which is said
            self.notes.append(f"a fresh look at {', '.join(names)} failed: {type(exc).__name__}: {exc}")
            results = {}
        for name in names:
            self._looking.pop(name, None)
            result = results.get(name)
            if result is not None:
                writes = name in self.services and self.services[name].write_check
                self.looks.add(_look(name, result, began, depth=WRITES if writes else ""))

    async def deeper(self, name: str, depth: Depth) -> None:
        """Look as deep as a failure was; where nothing can look so deep, no look is kept."""
        if self.instruments.deeper is None:
            return
        began = time.time()
        try:
            result = await self.instruments.deeper(name, depth)
        except Exception as exc:  # noqa: BLE001  as above
            self.notes.append(f"a deeper look at {name} failed: {type(exc).__name__}: {exc}")
            return
        if result is not None:
            self.looks.add(_look(name, result, began, depth=WRITES if depth.writes else PATH))

    def begin(self) -> None:
        """Look at every service once while the first tests begin: what was well before, and what was not."""
        names = list(self.services)
        if names:
            task = asyncio.create_task(self.look(names))
            self._looking = dict.fromkeys(names, task)

    # while tests run

    def want(self, service: str, since: float = 0.0) -> None:
        """Have a look begin soon after this moment; what failed began at `since`."""
        if service in self._looking or service not in self.services:
            return
        last = self.looks.last(service)
        after = LOOK_AGAIN_S if last is not None and last.at >= since else SOONER_S
        pause = (last.at if last is not None else 0.0) + after - time.time()
        self._looking[service] = asyncio.create_task(self._after(pause, service))

    async def _after(self, pause: float, service: str) -> None:
        if pause > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause)
        await self.look([service])

    def suspect(self, test: Test | None, failure: Failure) -> str | None:
        """Look at what a failure has to do with; return the service that its sign comes from, if any."""
        kinds = kinds_of(self.endpoints)
        reading = read(failure.chain, kinds)
        markers = test.markers if test is not None else ()
        target = target_of(failure, reading, self.endpoints).endpoint if reading.code is not None else None
        if target is not None and not target.idle:
            self.want(target.service, failure.at - failure.duration_s)
        elif failure.chain:
            for service in self._concerned(failure, reading, markers):
                self.want(service, failure.at - failure.duration_s)
        signed = (reading.said is Said.SIGN or reading.hung) and not reading.assertion
        return target.service if signed and target is not None and not target.idle else None

    def _concerned(self, failure: Failure, reading: Reading, markers: Iterable[str]) -> frozenset[str]:
        live = tuple(endpoint for endpoint in self.endpoints if not endpoint.idle)
        used = used_by(failure, reading, tuple(markers), live)
        return used or may_use(failure, live)

    # when an execution has ended

    async def settle(self, record: Record, ended: float) -> None:
        """Let looks that are under way end, and look where one is missing: at what failed, as deep as it failed, and after it.

        `ended` is when the process ended. What was red while it ran is looked at once more, as a test may have made it so.
        """
        pending = set(self._looking.values())
        if pending:
            self._hurry.set()
            await asyncio.wait(pending)
            self._hurry.clear()
        failures = [(test, failure) for test in record.tests.values() for failure in test.failures]
        failures += [(Test(""), failure) for session in record.sessions.values() for failure in session.trouble]
        missing = {name for test, failure in failures for name in self._unlooked(test, failure)}
        missing |= {name for name in self.services if self._red_since(name, ended)}
        if missing:
            await self.look(sorted(missing))
        for name, told in told_by(record.tests.values(), self.endpoints).items():
            shared = shared_look(name, told)
            if shared is not None:
                self.looks.add(shared)
            elif told.unwell and name in self.services:
                await self.deeper(name, Depth(writes=told.depth == WRITES, path=told.path))
        await self._undeclared(failures)
        await self._answered()

    def _red_since(self, name: str, ended: float) -> bool:
        last = self.looks.last(name)
        return last is not None and last.at < ended and (last.red or last.degraded) and last.ended >= self.looks.since

    def _unlooked(self, test: Test, failure: Failure) -> frozenset[str]:
        """Return the services that a failure has to do with and of which no look tells how they were at that time."""
        if not failure.chain:
            return frozenset()
        kinds = kinds_of(self.endpoints)
        reading = read(failure.chain, kinds)
        target = target_of(failure, reading, self.endpoints).endpoint if reading.code is not None else None
        concerned = self._concerned(failure, reading, test.markers)
        if target is not None and not target.idle:
            concerned |= {target.service}
        elif reading.said is Said.NOTHING and not is_clients(failure.chain, kinds):
            # Without any sign only a service that was seen to be unwell in this run is worth another look.
            concerned = frozenset(
                name
                for name in concerned
                if self.looks.was_unwell(name, failure.at) is not None or not self.looks.of(name)
            )
        start, deadline_s = failure.at - failure.duration_s, self._deadline_s
        return frozenset(
            name
            for name in concerned
            if name in self.services and not self.looks.in_window(name, start, failure.at, deadline_s(name))
        )

    def _deadline_s(self, service: str) -> float:
        return max((one.deadline_s for one in self.endpoints if one.service == service), default=10.0)

    async def _undeclared(self, failures: Sequence[tuple[Test, Failure]]) -> None:
        """Try the addresses of servers that nobody declared, where the team's own files name them, and of stopped stand-ins."""
        idle = [endpoint for endpoint in self.endpoints if endpoint.idle]
        spoken = {pair for _, failure in failures for pair in failure.spoke}
        wanted: set[Pair] = {pair for pair in spoken if whose([pair], idle) is not None}
        kinds = kinds_of(self.endpoints)
        for _, failure in failures:
            reading = read(failure.chain, kinds)
            pair = target_of(failure, reading, self.endpoints).foreign if reading.connecting else None
            if pair is not None and pair in self.known and whose([pair], self.endpoints) is None:
                wanted.add(pair)
        refusing = await asyncio.gather(*(_refuses(pair) for pair in wanted))
        self.refusing = {pair for pair, refuses in zip(wanted, refusing, strict=True) if refuses}

    async def _answered(self) -> None:
        """Ask the stand-ins what they answered since they were asked last: that is to this execution."""
        ask = self.instruments.answers
        standing = {one.service for one in self.endpoints if one.stand_in and not one.idle}
        services = [service for name, service in self.services.items() if name in standing]
        if ask is None or not services:
            return
        since, self._asked = self._asked, time.time()
        told = await asyncio.gather(*(ask(service, since) for service in services))
        self.answers = tuple(
            Answer(service=service.name, at=at, source=source, what=what, test=test)
            for service, found in zip(services, told, strict=True)
            for at, source, what, test in found
        )

    async def stop(self) -> None:
        tasks = set(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._looking.clear()

    def well(self, name: str) -> bool:
        last = self.looks.last(name)
        return last is not None and last.well and not last.red


async def _refuses(pair: Pair) -> bool:
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(pair[0], pair[1])
    except OSError:
        return True
    writer.close()
    return False


def _look(name: str, result: ConnectivityResult, began: float, *, depth: str) -> Look:
    return Look(
        service=name,
        at=began,
        until=time.time(),
        red=result.status is ConnectivityStatus.UNAVAILABLE,
        fault=result.fault,
        detail=result.detail,
        well=result.status in (ConnectivityStatus.AVAILABLE, ConnectivityStatus.DEGRADED),
        degraded=result.status is ConnectivityStatus.DEGRADED,
        depth=depth,
        started=str(result.facts.get("started", "")),
    )

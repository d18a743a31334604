"""Turn connections that were counted and seen into what a pass proves: which servers the tests spoke to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence

from resilience.core.kind import Kind
from resilience.core.records import Outcome, Reached, StandIn
from resilience.core.settings import Service
from resilience.suite.board import Standing
from resilience.suite.endpoints import Endpoint, Pair, address_text, whose
from resilience.suite.events import Record
from resilience.suite.records import WORKERS, Connections


def exports_of(services: Mapping[str, Service], service: str) -> tuple[str, ...]:
    """Return the variables that lead to this service's stand-in."""
    found = services.get(service)
    return tuple(found.exports) if found is not None else ()


class StandInProof:
    """Counts a stand-in's connections before and after, and hears whether the suite overrode the way to it."""

    def __init__(
        self, stand_ins: Sequence[StandIn], services: Mapping[str, Service], connections: Connections | None
    ) -> None:
        self.stand_ins = tuple(one for one in stand_ins if one.ready)
        self.services, self.connections = services, connections
        self.notes: list[str] = []
        self._before: Mapping[str, int | None] = {}
        self._overridden: dict[str, list[str]] = {}
        self._spoke: dict[Pair, int] = {}
        self._clients: dict[Pair, str] = {}
        self._unseen: set[str] = set()

    async def begin(self) -> None:
        self._before = await self._count()

    def take(self, record: Record) -> None:
        """Add the connections that an execution's processes made."""
        for pair, count in record.spoke.items():
            self._spoke[pair] = self._spoke.get(pair, 0) + count
        self._clients |= record.clients
        self._unseen |= record.unseen

    def hear(self, record: Record, exports: Collection[str], environ: Mapping[str, str], salt: str) -> None:
        """Compare the variables that lead to stand-ins as the team's interpreter sees them with what it was given.

        Digests are compared, so that no value of the environment is written to a file.
        """

        def digest(value: str) -> str:
            return hashlib.sha256((salt + value).encode("utf-8", "surrogateescape")).hexdigest()[:16]

        given = {name: digest(environ[name]) for name in exports if name in environ}
        by_worker = {
            (f"gw{number}", name): digest(value)
            for name, values in json.loads(environ.get(WORKERS, "{}")).items()
            for number, value in enumerate(values)
        }
        for one in self.stand_ins:
            for name in exports_of(self.services, one.service):
                for session in record.sessions.values():
                    wanted = by_worker.get((session.worker, name), given.get(name))
                    if name in given and session.collected is not None and session.digests.get(name) != wanted:
                        names = self._overridden.setdefault(one.service, [])
                        if name not in names:
                            names.append(name)

    async def reached(self, endpoints: Sequence[Endpoint]) -> tuple[Reached, ...]:
        """Say for each stand-in, and for each service of staging that was passed by, whether the tests reached it.

        `canary` is False only where no test reached a service while a test reached another server of its kind: then the pass
        is of something else. Where nobody spoke to anything, nothing is wrong with the pass, but it proves nothing of a service.
        """
        after = await self._count()
        standing = {one.service for one in self.stand_ins}
        found = [self._stand_in(one, after, endpoints) for one in self.stand_ins]
        for service in self.services.values():
            mine = [e for e in endpoints if e.service == service.name and not e.stand_in]
            if service.name in standing or not mine or self._times(mine):
                continue
            stranger = self._stranger(service.kind, endpoints)
            if stranger is not None:
                found.append(
                    Reached(
                        service=service.name, connections=0, canary=False, detail=_passed_by(stranger), on_staging=True
                    )
                )
        return tuple(found)

    def _times(self, mine: Sequence[Endpoint]) -> int:
        return sum(times for pair, times in self._spoke.items() if whose([pair], mine) is not None)

    def _stranger(self, kind: Kind, endpoints: Sequence[Endpoint]) -> Pair | None:
        """Return the address of a server that no service has and that a client of this kind connected to.

        That of a stand-in that is not applied is such a one: a shell that kept its variables leads there.
        """
        live = [endpoint for endpoint in endpoints if not endpoint.idle]
        return next(
            (
                pair
                for pair, client in self._clients.items()
                if client in (*kind.clients, *kind.plain_clients) and whose([pair], live) is None
            ),
            None,
        )

    def _stand_in(self, one: StandIn, after: Mapping[str, int | None], endpoints: Sequence[Endpoint]) -> Reached:
        """Return whether a stand-in was used: by its own count of connections, or by what our plug-in saw, whichever is more.

        Used is proof. Unused is none, unless tests that passed connected to another server of the kind.
        """
        old, new = self._before.get(one.service), after.get(one.service)
        count = None if old is None or new is None else max(0, new - old)
        spoken = self._times([e for e in endpoints if e.service == one.service and e.stand_in])
        connections = max(count or 0, spoken) if count is not None or spoken else None
        overridden = self._overridden.get(one.service, [])
        told = f"the suite's own settings override {', '.join(overridden)}" if overridden else ""
        if connections:
            return Reached(
                service=one.service,
                connections=connections,
                canary=True,
                detail=f"{told}, yet it was reached" if told else "",
            )
        service = self.services.get(one.service)
        stranger = self._stranger(service.kind, endpoints) if service is not None else None
        if stranger is not None:
            detail = "; ".join(filter(None, (_passed_by(stranger), told)))
            return Reached(service=one.service, connections=connections, canary=False, detail=detail)
        return Reached(service=one.service, connections=connections, detail=told or "nobody was seen to connect")

    def spoke(self, standings: Sequence[Standing], endpoints: Sequence[Endpoint], *, stand_in: bool) -> int | None:
        """Return how many tests that ran to their end spoke to staging, or to its stand-ins.

        None where a client in C was loaded, whose connections nobody sees.
        """
        if self._unseen:
            return None
        mine = [e for e in endpoints if e.stand_in is stand_in and not e.idle]
        said = (Outcome.PASSED, Outcome.XFAILED, Outcome.XPASSED, Outcome.FAILED, Outcome.ERROR)
        return sum(
            whose((*s.test.spoke, *(pair for f in s.test.failures for pair in (*f.spoke, *f.used))), mine) is not None
            for s in standings
            if s.rounds and s.judged.outcome in said
        )

    async def _count(self) -> dict[str, int | None]:
        counts: dict[str, int | None] = {}
        for one in self.stand_ins:
            service = self.services.get(one.service)
            if service is None or self.connections is None:
                continue
            try:
                counts[one.service] = await self.connections(service)
            except Exception as exc:  # noqa: BLE001  not being able to count is a fact to report, not a reason to stop
                self.notes.append(
                    f"connections of the stand-in for {one.service} cannot be counted: {type(exc).__name__}: {exc}"
                )
                counts[one.service] = None
        return counts


def _passed_by(stranger: Pair) -> str:
    return f"no test reached it, and tests reached another server of its kind, {address_text(stranger)}"

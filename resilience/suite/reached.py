"""Turn connections that were counted and seen into whether the tests reached the stand-ins they were given."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

from resilience.core.records import Outcome, Reached, StandIn
from resilience.core.settings import Service
from resilience.suite.board import Standing
from resilience.suite.endpoints import Endpoint, whose
from resilience.suite.events import Record
from resilience.suite.records import Connections


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
        self._spoke: dict[tuple[str, int | None], int] = {}

    async def begin(self) -> None:
        self._before = await self._count()

    def take(self, record: Record) -> None:
        """Add the connections that an execution's processes made."""
        for pair, count in record.spoke.items():
            self._spoke[pair] = self._spoke.get(pair, 0) + count

    def hear(self, record: Record, exports: Collection[str], environ: Mapping[str, str], salt: str) -> None:
        """Compare the variables that lead to stand-ins as the team's interpreter sees them with what it was given.

        Digests are compared, so that no value of the environment is written to a file.
        """
        given = {
            name: hashlib.sha256((salt + environ[name]).encode("utf-8", "surrogateescape")).hexdigest()[:16]
            for name in exports
            if name in environ
        }
        for one in self.stand_ins:
            for name in exports_of(self.services, one.service):
                for session in record.sessions.values():
                    if name in given and session.collected is not None and session.digests.get(name) != given[name]:
                        names = self._overridden.setdefault(one.service, [])
                        if name not in names:
                            names.append(name)

    async def reached(self, standings: Sequence[Standing], endpoints: Sequence[Endpoint]) -> tuple[Reached, ...]:
        """Say for each stand-in whether tests reached it; `canary` is False where they surely or provably did not."""
        after = await self._count()
        ran = [s for s in standings if s.rounds and s.judged.outcome in (Outcome.PASSED, Outcome.FAILED)]
        drafts = [(one, *self._connections_of(one, after, endpoints)) for one in self.stand_ins]
        reached_any = any(reached for _, _, reached in drafts)
        return tuple(self._judge(one, count, reached, ran, reached_any) for one, count, reached in drafts)

    def _connections_of(
        self, one: StandIn, after: Mapping[str, int | None], endpoints: Sequence[Endpoint]
    ) -> tuple[int | None, bool]:
        old, new = self._before.get(one.service), after.get(one.service)
        count = None if old is None or new is None else max(0, new - old)
        mine = [e for e in endpoints if e.service == one.service and e.stand_in]
        spoken = sum(times for pair, times in self._spoke.items() if whose([pair], mine) is not None)
        return (
            max(count or 0, spoken) if count is not None or spoken else None,
            bool(count) or bool(spoken),
        )

    def _judge(
        self, one: StandIn, count: int | None, reached: bool, ran: Sequence[Standing], reached_any: bool
    ) -> Reached:
        """Judge one stand-in: nobody connected, although tests that need it ran, means that they used something else."""
        markers = set(self.services[one.service].markers) if one.service in self.services else set()
        bound = [s for s in ran if markers & set(s.test.markers)]
        overridden = self._overridden.get(one.service, [])
        canary: bool | None = True if reached else None
        detail = ""
        if overridden and not reached:
            canary, detail = False, f"the suite's own settings override {', '.join(overridden)}"
        elif overridden:
            detail = f"the suite's own settings override {', '.join(overridden)}, yet it was reached"
        elif not reached and count == 0 and (bound or (ran and not reached_any)):
            canary = False
            detail = (
                f"{len(bound)} tests that need it ran, and nobody connected"
                if bound
                else "tests ran, and nobody connected"
            )
        return Reached(service=one.service, connections=count, canary=canary, detail=detail)

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

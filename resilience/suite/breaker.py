"""Turn failures and fresh looks at services into what is held back while a service is down."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from resilience.core.records import ConnectivityStatus
from resilience.core.settings import Service
from resilience.suite.chains import classify_chain, is_assertion, is_test_timeout
from resilience.suite.endpoints import Endpoint, attribute, kinds_of
from resilience.suite.entering import replace_json
from resilience.suite.events import Failure, Record, Test
from resilience.suite.evidence import STRONG, WEAK, Look, look_near
from resilience.suite.records import Probe

IN_A_ROW = 3
"""Quick failures in a row against one service before a red probe opens the breaker."""
SLOW_S = 1.0
"""A failure that took this long is enough by itself: each further one would cost as much."""
LOOK_AGAIN_S = 1.0
"""A look at a service is fresh for this long while failures come in."""


class Breaker:
    """Counts failures by service, looks at services afresh, and tells the plug-in through a file what to hold back."""

    def __init__(
        self,
        *,
        services: Mapping[str, Service],
        endpoints: Sequence[Endpoint],
        probe: Probe,
        dead: Mapping[str, str],
        skipping: bool,
        delay_s: float,
    ) -> None:
        self.services, self.endpoints, self.probe = services, endpoints, probe
        self.dead, self.skipping, self.delay_s = dead, skipping, delay_s
        self.looks: list[Look] = []
        self.open: dict[str, str] = {}
        self.notes: list[str] = []
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._hurry = asyncio.Event()
        self._streak: dict[str, int] = {}
        self._slow: set[str] = set()
        self._fixtures: dict[str, dict[str, int]] = {}
        self._back: set[str] = set()

    def begin(self, round: int, control: Path) -> None:
        """Begin an execution: in later rounds tests held at the start are let go where their service answers."""
        self._back = {name for name in self.services if self.well(name)} if round > 1 else set()
        self.write(control)

    def hear(self, kind: str, test: Test | None, failure: Failure | None) -> None:
        """Take an event as it comes."""
        if failure is not None:
            self.suspect(test, failure)
        elif kind == "t" and test is not None and test.state == "passed":
            self.passed(test)

    def passed(self, test: Test) -> None:
        """A test that needs a service passed: its failures are no row any more."""
        if self._streak:
            for endpoint in self.endpoints:
                if endpoint.markers & set(test.markers):
                    self._streak.pop(endpoint.service, None)

    def forget(self, service: str) -> None:
        self._streak.pop(service, None)
        self._slow.discard(service)
        self.open.pop(service, None)
        self._fixtures.pop(service, None)

    def suspect(self, test: Test | None, failure: Failure) -> None:
        """Look at the service that a failure speaks of, and count it."""
        if not failure.chain or is_assertion(failure.chain):
            return
        fault = classify_chain(failure.chain, kinds_of(self.endpoints))
        hung = is_test_timeout(failure.chain[0])
        if not hung and (fault is None or fault.code not in STRONG | WEAK):
            return
        endpoint, _, _ = attribute(failure, test.markers if test is not None else (), self.endpoints)
        if endpoint is None:
            return
        service = endpoint.service
        self._streak[service] = self._streak.get(service, 0) + 1
        if failure.duration_s >= SLOW_S:
            self._slow.add(service)
        counts = self._fixtures.setdefault(service, {})
        for fixture in failure.fixtures:
            counts[fixture] = counts.get(fixture, 0) + 1
        self.want(service)

    def want(self, service: str) -> None:
        """Have a look begin soon after this moment, but not more often than every LOOK_AGAIN_S."""
        if service in self._looking:
            return
        last = next((look.at for look in reversed(self.looks) if look.service == service), 0.0)
        self._looking[service] = asyncio.create_task(self._after(last + LOOK_AGAIN_S - time.time(), service))

    async def _after(self, pause: float, service: str) -> None:
        if pause > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause)
        await self.look([service])

    async def look(self, names: Sequence[str]) -> None:
        began = time.time()
        try:
            results = await self.probe(names)
        except Exception as exc:  # noqa: BLE001  the probe is not ours; without it there is no look, which is said
            self.notes.append(f"a fresh look at {', '.join(names)} failed: {type(exc).__name__}: {exc}")
            results = {}
        for name in names:
            self._looking.pop(name, None)
            result = results.get(name)
            if result is not None:
                red = result.status is ConnectivityStatus.UNAVAILABLE
                well = result.status in (ConnectivityStatus.AVAILABLE, ConnectivityStatus.DEGRADED)
                self.looks.append(
                    Look(service=name, at=began, red=red, fault=result.fault, detail=result.detail, well=well)
                )

    def red(self, service: str) -> Look | None:
        last = next((look for look in reversed(self.looks) if look.service == service), None)
        return last if last is not None and last.red else None

    def step(self, control: Path) -> None:
        """Open the breaker for services that fail in a row and are confirmed down; close it when they are back."""
        changed = False
        for service, count in self._streak.items():
            if service in self.open or not self.skipping:
                continue
            look = self.red(service)
            enough = count >= IN_A_ROW or service in self._slow
            if enough and look is not None:
                what = look.fault.value if look.fault is not None else "no answer"
                at = datetime.fromtimestamp(look.at, UTC).strftime("%H:%M:%SZ")
                self.open[service] = f"{service} is down ({what}, probed {at})"
                changed = True
            elif enough and service in self.dead and not any(one.service == service for one in self.looks):
                # The assessment just before is the look; a fresh one is under way and closes the breaker if
                # it is green.
                self.open[service] = self.dead[service]
                changed = True
        for service in list(self.open):
            fresh = next((look for look in reversed(self.looks) if look.service == service), None)
            if fresh is not None and fresh.well:
                self.forget(service)
                changed = True
            elif fresh is None or time.time() - fresh.at > max(LOOK_AGAIN_S, self.delay_s):
                self.want(service)
        if changed:
            self.write(control)

    def write(self, control: Path) -> None:
        markers = {
            marker: [why, service] for service, why in self.open.items() for marker in self.services[service].markers
        }  # fmt: skip
        fixtures = {
            fixture: [why, service]
            for service, why in self.open.items()
            for fixture, count in self._fixtures.get(service, {}).items()
            if count >= 2 or service in self._slow
        }
        replace_json(control, {"markers": markers, "fixtures": fixtures, "back": sorted(self._back - set(self.open))})

    async def settle(self, record: Record) -> None:
        """Let looks that are under way end, so that late failures are judged beside them."""
        pending = list(self._looking.values())
        if pending:
            self._hurry.set()
            await asyncio.wait(pending)
            self._hurry.clear()
        missing: list[str] = []
        for test in record.tests.values():
            for failure in test.failures:
                missing.extend(self._unlooked(test, failure))
        for session in record.sessions.values():
            for failure in session.trouble:
                missing.extend(self._unlooked(None, failure))
        if missing:
            await self.look(list(dict.fromkeys(missing)))

    def _unlooked(self, test: Test | None, failure: Failure) -> list[str]:
        if (
            not failure.chain
            or is_assertion(failure.chain)
            or classify_chain(failure.chain, kinds_of(self.endpoints)) is None
        ):
            return []
        endpoint, _, _ = attribute(failure, test.markers if test is not None else (), self.endpoints)
        if endpoint is None or look_near(self.looks, endpoint.service, failure.at, failure.duration_s) is not None:
            return []
        return [endpoint.service]

    async def stop(self) -> None:
        for task in list(self._looking.values()):
            task.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)
        self._looking.clear()

    def well(self, name: str) -> bool:
        last = next((look for look in reversed(self.looks) if look.service == name), None)
        return last is not None and last.well

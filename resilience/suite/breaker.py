"""Turn failures and fresh looks at services into what is held back while a service is down."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from resilience.core.settings import Service
from resilience.suite.endpoints import whose
from resilience.suite.entering import replace_json
from resilience.suite.events import Failure, Test
from resilience.suite.looking import LOOK_AGAIN_S, Looker

IN_A_ROW = 3
"""Quick failures in a row against one service before a red probe opens the breaker."""
AUTOUSE = 3
"""So many failures of a fixture that every test gets, asked for or not: it may fail only for those that are marked for it."""
SLOW_S = 1.0
"""A failure that took this long is enough by itself: each further one would cost as much."""


def by_its_past(why: str) -> str:
    """Return the reason of a test that nothing but earlier runs tells to be a service's."""
    return f"{why}; earlier runs saw this test connect to it"


class Breaker:
    """Counts failures by service, and tells the plug-in through a file what to hold back."""

    def __init__(
        self,
        looker: Looker,
        *,
        services: Mapping[str, Service],
        dead: Mapping[str, str],
        skipping: bool,
        delay_s: float,
        uses: Mapping[str, Sequence[str]],
    ) -> None:
        """`dead` are services that the assessment found down: they need no look of ours. Without `skipping` nothing is held."""
        self.looker, self.services = looker, services
        self.dead, self.skipping, self.delay_s = dead, skipping, delay_s
        self.uses = uses
        """Test → services that earlier runs saw it connect to."""
        self.open: dict[str, str] = {}
        self._streak: dict[str, int] = {}
        self._slow: set[str] = set()
        self._fixtures: dict[str, dict[str, int]] = {}
        self._made: set[str] = set()
        self._waited: set[str] = set()
        self._back: set[str] = set()
        self._more = False
        """Whether another fixture failed while its service was held back already, as where modules had opened it."""

    def begin(self, round: int, control: Path) -> None:
        """Begin an execution: in later rounds tests held at the start are let go where their service answers."""
        self._back = {name for name in self.services if self.looker.well(name)} if round > 1 else set()
        self.write(control)

    def hear(self, kind: str, test: Test | None, failure: Failure | None) -> None:
        """Take an event as it comes."""
        if failure is not None:
            self.suspect(test, failure)
        elif kind == "t" and test is not None and test.state == "passed":
            self.passed(test)

    def passed(self, test: Test) -> None:
        """A test that needs a service, or spoke to it, passed: its failures are no row any more."""
        if self._streak:
            for endpoint in self.looker.endpoints:
                if endpoint.markers & set(test.markers) or whose(test.spoke, [endpoint]) is not None:
                    self._streak.pop(endpoint.service, None)

    def forget(self, service: str) -> None:
        self._streak.pop(service, None)
        self._slow.discard(service)
        self.open.pop(service, None)
        self._fixtures.pop(service, None)

    def suspect(self, test: Test | None, failure: Failure) -> None:
        """Look at the service that a failure speaks of, and count it."""
        service = self.looker.suspect(test, failure)
        if service is None:
            return
        self._streak[service] = self._streak.get(service, 0) + 1
        if failure.duration_s >= SLOW_S:
            self._slow.add(service)
        counts = self._fixtures.setdefault(service, {})
        for fixture in failure.fixtures:
            counts[fixture] = counts.get(fixture, 0) + 1
            self._more = self._more or service in self.open

    def stalled(self, service: str, fixture: str) -> None:
        """Count a test that was ended while it waited for this service: the next one that shares the fixture would wait too."""
        self._streak[service] = self._streak.get(service, 0) + IN_A_ROW
        self._slow.add(service)
        if fixture:
            counts = self._fixtures.setdefault(service, {})
            counts[fixture] = counts.get(fixture, 0) + 1
            self._more = self._more or service in self.open

    def made(self, tests: Iterable[Test], stuck: str, fixture: str) -> None:
        """Remember for which set-ups tests ran though their past held them, so that the next process tries none of them again.

        `stuck` is the test that waited in vain until this process was ended, `fixture` the one that connected, where it was one.
        """
        for test in tests:
            if test.let is None:
                continue
            self._made |= test.let.keys
            if test.id == stuck:
                in_its_own_part = not fixture and test.let.whole
                known = {fixture} & test.let.keys
                self._waited |= set() if in_its_own_part else known or test.let.keys

    def step(self, control: Path) -> None:
        """Open the breaker for services that fail in a row and are confirmed down; close it when they are back."""
        changed, self._more = self._more, False
        for service, count in self._streak.items():
            if service in self.open or not self.skipping:
                continue
            look = self.looker.looks.last(service)
            enough = count >= IN_A_ROW or service in self._slow
            if enough and look is not None and look.red:
                what = look.fault.value if look.fault is not None else "no answer"
                at = datetime.fromtimestamp(look.at, UTC).strftime("%H:%M:%SZ")
                self.open[service] = f"{service} is down ({what}, probed {at})"
                changed = True
            elif enough and service in self.dead and look is None:
                # The assessment just before is the look; a fresh one is under way and closes the breaker if
                # it is green.
                self.open[service] = self.dead[service]
                changed = True
        for service in list(self.open):
            fresh = self.looker.looks.last(service)
            if fresh is not None and fresh.well:
                self.forget(service)
                changed = True
            elif fresh is None or time.time() - fresh.at > max(LOOK_AGAIN_S, self.delay_s):
                self.looker.want(service)
        if changed:
            self.write(control)

    def _down(self) -> dict[str, str]:
        """Return service → why its tests are held back: what is open, and what was known to be down before and is not back."""
        known = self.dead if self.skipping else {}
        # The plan's own word first: what it held back stays a reduced selection where the breaker opens as well.
        return self.open | {name: why for name, why in known.items() if name not in self._back}

    def write(self, control: Path) -> None:
        """Write what is held back, for the plug-in to read before its next test: by marker, by fixture, and by the test's past."""
        markers = {
            marker: [why, service] for service, why in self.open.items() for marker in self.services[service].markers
        }  # fmt: skip
        fixtures = {
            fixture: [why, service]
            for service, why in self.open.items()
            for fixture, count in self._fixtures.get(service, {}).items()
            if (count >= AUTOUSE if fixture.startswith("autouse ") else count >= 2 or service in self._slow)
        }
        down = self._down()
        tests = {
            test: [by_its_past(down[name]), name]
            for test, names in (self.uses.items() if down else ())
            for name in names
            if name in down
        }
        held = {"markers": markers, "fixtures": fixtures, "tests": tests, "back": sorted(self._back - set(self.open))}
        replace_json(control, held | {"made": sorted(self._made), "waited": sorted(self._waited)})

"""An outage of the guide as a timetable of faults, and what the runbook should make of it, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from resilience.core.records import CauseName, ConnectivityStatus, FaultCode, TestExecutionMode, Verdict
from resilience.lab.proxy import Dial

SERVICES = ("database", "redis", "backend_api", "auth_service", "websocket", "llm_service")
OPTIONAL_SERVICES = ("clickhouse",)
CONTROL = "control"
"""An unrelated host of the lab, asked to tell "staging" from "this machine"."""
NETWORK = "vpc"
NETWORK_SERVICES = ("database", "redis", "backend_api")


class At(StrEnum):
    """The moments of a drill that the timetable hangs on."""

    OUTAGE = "outage"
    DURING_TESTS = "during_tests"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One turn of dials. Counted from `at`: after so many seconds, so many connections to the first service, or a test's begin.

    With none it happens at once; with several the seconds are waited for first, the test last.
    """

    at: At
    services: tuple[str, ...]
    dial: Dial
    after_s: float = 0.0
    after_connections: int = 0
    at_test: str = ""
    """The end of a test's id: the turn comes as soon as that test, or one behind it, has begun."""
    for_s: float | None = None
    """Back to what was before after so long; None: until the recovery."""
    for_tests: int = 0
    """With `for_s`: not before so many tests have begun and ended while it lasted, however slow the machine is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The drill's time constants in seconds; short, so that a drill takes well under a minute."""

    before_s: float = 2.0
    """Healthy samples before the outage."""
    probe_timeout_s: float = 1.5
    degraded_above_s: float = 0.7
    good: int = 5
    interval_s: float = 0.3
    dwell_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """How many there should be; None where that side is open."""

    at_least: int | None = None
    at_most: int | None = None

    def __contains__(self, value: int) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        if self.at_least == self.at_most:
            return f"exactly {self.at_least}"
        sides = [f"at least {self.at_least}"] if self.at_least is not None else []
        sides += [f"at most {self.at_most}"] if self.at_most is not None else []
        return " and ".join(sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the runbook should make of the outage; empty or None: not looked at."""

    overall: ConnectivityStatus | None = None
    mode: TestExecutionMode | None = None
    verdict: Verdict | None = None
    exit_code: int | None = None
    recovered: bool | None = None
    restored: bool | None = None
    status: Mapping[str, ConnectivityStatus] = field(default_factory=dict)
    fault: Mapping[str, tuple[FaultCode, ...]] = field(default_factory=dict)
    """Service → the faults that are right for it."""
    causes: tuple[CauseName, ...] = ()
    """All of these are named; others may be too."""
    tests: Mapping[str, Range] = field(default_factory=dict)
    """Field of TestTotals → how many."""
    product_failures: tuple[str, ...] | None = None
    """The ends of the node ids that must be all that failed as the product's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """An outage of the guide as a timetable of faults, and what the runbook should make of it.

    `guide` names the part of the outage guide that it stands for. The file's format is that of
    `config/drills/*.toml`.
    """

    name: str
    title: str
    guide: str
    description: str
    services: tuple[str, ...] = ()
    """Optional services that this scenario has besides the usual six."""
    timing: Timing = field(default_factory=Timing)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the guide that the person in this scenario has set."""
    steps: tuple[Step, ...] = ()
    expect: Expectation = field(default_factory=Expectation)

    @property
    def all_services(self) -> tuple[str, ...]:
        return (*SERVICES, *self.services)

    def at(self, moment: At) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.at is moment)

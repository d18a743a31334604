"""What a test run is told and what it tells: what was asked, where it may run and write, how it looks, how far it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from resilience.core.records import ConnectivityResult, PlannedCommand, StandIn, TestExecutionMode
from resilience.core.secret import Secret
from resilience.core.settings import Service

Probe = Callable[[Sequence[str]], Awaitable[Mapping[str, ConnectivityResult]]]
Connections = Callable[[Service], Awaitable[int | None]]
Output = Callable[[bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked: which commands, in which mode, what is held back, and within which limits."""

    commands: tuple[PlannedCommand, ...]
    mode: TestExecutionMode
    select: str = ""
    only: tuple[str, ...] = ()
    """Ids of the tests to run; none: all."""
    held: Mapping[str, str] = field(default_factory=dict)
    """Marker → why its tests are held back."""
    dead: Mapping[str, str] = field(default_factory=dict)
    """Service → why it is known to be down, with nothing in its place: its tests are held back, nobody waits for it."""
    waits_for_dead: bool = False
    """Whether tests that failed for what was down already are waited for as well, as by the guide's TEST_RETRY_*."""
    skipping: bool = True
    """False holds nothing back (TEST_SKIP_ON_INFRASTRUCTURE_FAILURE)."""
    exit_code: str = "ours"
    """"original" returns the first exit code of a command that is not 0."""
    attempts: int = 3
    """How many more rounds a command may have."""
    delay_s: float = 2.0
    timeout_s: float | None = None
    """For one command with all its rounds."""
    total_timeout_s: float | None = None
    stall_s: float = 10.0
    """After so long without any event a test that waits for a service that is down is ended."""
    wait_s: float | None = None
    """How long services that went away are waited for, in all; None: attempts times delay."""


WORKERS = "RESILIENCE_WORKERS"
"""The variable by which workers of pytest-xdist are led to ports of their own: JSON, variable → a value for each worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One more port of this machine that leads to a service: of a recorder to staging's own, or of a worker to the stand-in."""

    service: str
    port: int
    stand_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the commands run, and what is known of the place. Nothing is written outside of `folder` and `uses`."""

    root: Path
    folder: Path
    environ: Mapping[str, str]
    """The children's whole environment."""
    env_command: str = ""
    services: tuple[Service, ...] = ()
    stand_ins: tuple[StandIn, ...] = ()
    doors: tuple[Door, ...] = ()
    proved: frozenset[str] = frozenset()
    """Tests that are known to pass on the recorded answers that the stand-ins give."""
    under_way: Path | None = None
    """Where the processes of tests note which test they are in, for the stand-ins; None: nowhere."""
    uses: Path | None = None
    """Where it is remembered which services each test connects to; None: nowhere."""
    secrets: tuple[Secret, ...] = ()
    """For the redactor of all that is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How deep to look: by a write or the role, or by a GET of the same path as failed."""

    writes: bool = False
    path: str = ""


Deeper = Callable[[str, Depth], Awaitable[ConnectivityResult | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruments:
    """How the run looks at services and tells how far it is."""

    probe: Probe
    """Looks at services as the tests reach them."""
    deeper: Deeper | None = None
    """Looks at one service as deep as a failure was; returns None where it cannot."""
    connections: Connections | None = None
    """Counts a stand-in's connections, our own looks left out."""
    answers: Callable[[Service, float], Awaitable[tuple[tuple[float, str, str, str], ...]]] | None = None
    """Returns what a stand-in answered since a time: when, from where it had it, to what, and which test asked, or nothing."""
    on_event: Callable[[Progress], None] | None = None
    output: Output | None = None
    """Takes what the commands print, unchanged; None: our own stdout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One execution of one command: the first, or a later round of it."""

    number: int
    commands: int
    command: PlannedCommand
    round: int = 1
    part: int = 0
    """Where tests of a round run in several processes: which of them."""

    @property
    def name(self) -> str:
        return f"{self.number + 1:02d}-round{self.round}" + (f"-{self.part + 1}" if self.part else "")


class Ways(Protocol):
    """Where the files lie that a run exchanges with our plug-in, and the run's name, with which it salts its digests."""

    @property
    def run(self) -> str: ...
    @property
    def control(self) -> Path: ...
    @property
    def stacks(self) -> Path: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the run is. `counts` are what the tests said so far, not yet judged; `eta_s` is None until a rate is known."""

    command: str
    number: int
    commands: int
    round: int
    phase: str
    """running, waiting (for services to return), probing, done"""
    collected: int
    finished: int
    counts: Mapping[str, int]
    rate: float
    eta_s: float | None
    current: str
    current_s: float
    elapsed_s: float
    held: tuple[str, ...] = ()
    note: str = ""
    failures: tuple[str, ...] = ()
    """The latest tests that failed, not yet judged: an outage may be their cause."""

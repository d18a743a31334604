"""Turn test commands into a TestSuiteResult: run them as the team does, and run again what only an outage stopped."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from resilience.core.errors import UsageError
from resilience.core.records import CommandResult, ExitCode, Outcome, Reached, TestOutcome, TestSuiteResult
from resilience.core.redact import Redactor
from resilience.core.verdict import Results, prove, totals
from resilience.suite import answered, uses
from resilience.suite.addresses import endpoints_of
from resilience.suite.board import Board
from resilience.suite.breaker import Breaker
from resilience.suite.entering import Entrance
from resilience.suite.execution import Executes, Executor
from resilience.suite.expressions import check
from resilience.suite.known import known_addresses
from resilience.suite.looking import Looker
from resilience.suite.progress import Teller
from resilience.suite.reached import StandInProof
from resilience.suite.records import Instruments, Place, Progress as Progress, Request, Turn
from resilience.suite.rounds import Limits, Rounds, Tools


class TestRunInterrupted(asyncio.CancelledError):
    """The run was cancelled. Its processes are ended; `partial` holds what was known."""

    __test__ = False

    def __init__(self, partial: TestSuiteResult) -> None:
        super().__init__("the test run was interrupted")
        self.partial = partial


async def run_suite(
    request: Request, place: Place, instruments: Instruments, *, executor: Executes | None = None
) -> TestSuiteResult:
    """Run the commands one after the other in `place.root`; return each test once, with its cause.

    With an `executor` it is that one which has them run, as where somebody else's pytest is only followed.

    What the commands print goes unchanged to `instruments.output` and redacted to `place.folder/logs`.

    Raises UsageError where there is nothing to run or a marker expression is none, and TestRunInterrupted (a CancelledError
    with the partial result) when cancelled, after the children have ended.
    """
    _check(request)
    return await _Run(request, place, instruments, executor).run()


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """What one execution came to, and what a second one would settle."""

    result: TestSuiteResult
    again: tuple[str, ...]
    """Tests to be run again when the services that they need are well."""
    needs: tuple[str, ...]


async def judge_once(request: Request, place: Place, instruments: Instruments, *, executor: Executes) -> Once:
    """Return what the one command came to at its first execution, and what is to be run again; nothing is run again."""
    _check(request)
    run = _Run(replace(request, attempts=0), place, instruments, executor)
    result = await run.run()
    batches = run.board.again(0, lambda _: True)
    again = dict.fromkeys(standing.test.id for batch in batches for standing in batch.standings.values())
    return Once(result=result, again=tuple(again), needs=tuple(sorted(run.board.missed(0))))


def _check(request: Request) -> None:
    if not request.commands:
        raise UsageError(
            "there is no test command to run.",
            hint='resilience test -- pytest tests/, or [modes.full] commands = ["…"]',
        )
    for select in (request.select, *(command.select for command in request.commands)):
        if select:
            check(select)


class _Run:
    """One test run: its commands one after the other, and the result at its end or where it was cancelled."""

    def __init__(
        self, request: Request, place: Place, instruments: Instruments, executor: Executes | None = None
    ) -> None:
        """Lay out what all commands share; the clock of the total deadline starts here, before the first look."""
        self.request, self.place, self.instruments, self.executor = request, place, instruments, executor
        self.started_at = datetime.now(UTC)
        self.began = time.monotonic()
        services = {service.name: service for service in place.services}
        self.redactor = Redactor([*place.secrets])
        self.board = Board()
        self.proof = StandInProof(place.stand_ins, services, instruments.connections)
        self.teller = Teller(instruments.on_event, self.redactor)
        self.held = _held(request, place)
        self.looker = Looker(services, instruments)
        self.uses = uses.load(place.uses)
        self.breaker = Breaker(
            self.looker,
            services=services,
            dead=request.dead,
            skipping=request.skipping,
            delay_s=request.delay_s,
            uses=self.uses,
        )
        waits = request.attempts * request.delay_s if request.wait_s is None else request.wait_s
        total = request.total_timeout_s
        self.limits = Limits(ends=self.began + total if total else None, wait_left=waits)
        self.notes: list[str] = []
        self.doubts: list[str] = []
        self.trouble: list[str] = []
        self.results: list[CommandResult] = []
        self.extra: list[TestOutcome] = []

    async def run(self) -> TestSuiteResult:
        """Run the commands one after the other and return what they prove together.

        Services are looked up and counted before the first test, so that what the tests reached can be told from our own looks. A
        cancellation is kept until the children have ended: what was known by then is raised with it, as TestRunInterrupted.
        """
        (self.place.folder / "logs").mkdir(parents=True, exist_ok=True)
        place = self.place
        endpoints = await asyncio.to_thread(endpoints_of, place.services, place.stand_ins, place.doors)
        self.looker.endpoints = endpoints
        self.looker.known = await asyncio.to_thread(known_addresses, self.place.environ, self.place.root)
        await self.proof.begin()
        self.looker.begin()
        interrupted = False
        with Entrance(secrets.token_hex(8)) as entrance:
            executor = self.executor or Executor(self.place, entrance, self.redactor, self.instruments.output)
            tools = Tools(
                request=self.request,
                place=self.place,
                executor=executor,
                held=self.held,
                looker=self.looker,
                breaker=self.breaker,
                board=self.board,
                proof=self.proof,
                teller=self.teller,
                redactor=self.redactor,
                limits=self.limits,
                stalled=set(),
                started_at=self.started_at.timestamp(),
            )
            try:
                await self._commands(tools)
            except asyncio.CancelledError:
                interrupted = True
            finally:
                await self.looker.stop()
            self.notes.extend(executor.notes)
        if interrupted:
            raise TestRunInterrupted(self._result((), None, interrupted=ExitCode.INTERRUPTED))
        standings = tuple(self.board.standings.values())
        try:
            uses.save(self.place.uses, self.uses, standings, endpoints)
        except OSError as exc:
            self.notes.append(f"which services the tests use could not be remembered: {exc.strerror}")
        reached = await self.proof.reached(endpoints)
        return self._result(reached, self.proof.spoke(standings, endpoints, stand_in=bool(self.proof.stand_ins)))

    async def _commands(self, tools: Tools) -> None:
        """Run each command with its rounds; where the total deadline passed, say how many were not started and stop.

        What a command left is kept also where it was cancelled in the middle, for the partial result.
        """
        commands = self.request.commands
        for number, command in enumerate(commands):
            rounds = Rounds(tools, Turn(number=number, commands=len(commands), command=command))
            try:
                await rounds.run()
            finally:
                self.notes.extend(rounds.notes)
                self.doubts.extend(rounds.doubts)
                self.trouble.extend(rounds.trouble)
                self.extra.extend(rounds.extra)
                if rounds.result is not None:
                    self.results.append(rounds.result)
            if self.limits.over:
                if number + 1 < len(commands):
                    self.limits.timed_out = True
                    self.notes.append(
                        f"the total deadline passed: {len(commands) - number - 1} commands were not started"
                    )
                return

    def _result(
        self, reached: Sequence[Reached], spoke: int | None, *, interrupted: int | None = None
    ) -> TestSuiteResult:
        """Return the result of all commands so far: tests redacted, totals, and the verdict by the rules of `core.verdict`.

        With `exit_code = original` the code is the first of the team's own commands that was not 0; the verdict stays ours.
        """
        tests = tuple(self._redacted(test) for test in (*self.board.outcomes(), *self.extra))
        counts = totals(tests)
        proof = prove(
            Results(
                mode=self.request.mode,
                counts=counts,
                commands=tuple(self.results),
                reached=tuple(reached),
                stand_ins=bool(self.proof.stand_ins),
                blocked=self.board.blocked(),
                interrupted=interrupted,
                timed_out=self.limits.timed_out,
                unknown=(
                    *self.doubts,
                    *(
                        f"{result.command}: {result.evidence}"
                        for result in self.results
                        if result.outcome is Outcome.NOT_RUN
                    ),
                ),
                trouble=tuple(self.trouble),
            )
        )
        code = proof.exit_code
        if self.request.exit_code == "original" and interrupted is None:
            code = next((result.exit_code for result in self.results if result.exit_code), 0)
        notes = (*self.notes, *self.proof.notes, *self.looker.notes, *proof.notes, *answered.told(tests))
        return TestSuiteResult(
            mode=self.request.mode,
            started_at=self.started_at,
            duration_s=round(time.monotonic() - self.began, 3),
            exit_code=code,
            commands=tuple(self.results),
            totals=counts,
            tests=tests,
            verdict=proof.verdict,
            reached=tuple(reached),
            spoke=spoke,
            notes=tuple(self.redactor.text(note) for note in dict.fromkeys(notes)),
            held={marker: why for marker, (why, _) in self.held.items()},
        )

    def _redacted(self, test: TestOutcome) -> TestOutcome:
        def clean(text: str | None) -> str | None:
            return self.redactor.text(text) if text else text

        return replace(
            test,
            id=clean(test.id) or test.id,
            message=clean(test.message),
            reason=clean(test.reason),
            previous=clean(test.previous),
            shown=clean(test.shown),
            output=clean(test.output),
        )


def _held(request: Request, place: Place) -> Mapping[str, tuple[str, str | None]]:
    """Return marker → why its tests are held back, and the service: those of services known to be down, then those of the plan."""
    if not request.skipping:
        return {}
    held: dict[str, tuple[str, str | None]] = {}
    by_marker = {
        marker: service.name for service in place.services for marker in service.markers if service.name in request.dead
    }
    for service in place.services:
        if service.name in request.dead:
            held |= {marker: (request.dead[service.name], service.name) for marker in service.markers}
    return held | {marker: (why, by_marker.get(marker)) for marker, why in request.held.items()}

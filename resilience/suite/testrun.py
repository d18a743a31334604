"""Turn test commands into a TestSuiteResult: run them as the team does, and run again what only an outage stopped."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import shlex
import subprocess
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from resilience.core.errors import UsageError
from resilience.core.records import (
    CommandResult,
    ExitCode,
    FaultCode,
    Outcome,
    PlannedCommand,
    Reached,
    StandIn,
    TestExecutionMode,
    TestSuiteResult,
)
from resilience.core.redact import Redactor
from resilience.core.settings import Service, Settings
from resilience.core.verdict import Results, prove, totals
from resilience.suite import groups, pseudo_terminal
from resilience.suite.addresses import endpoints_of
from resilience.suite.board import Board, Standing
from resilience.suite.breaker import Breaker, Probe
from resilience.suite.endpoints import Endpoint, whose
from resilience.suite.entering import Entrance
from resilience.suite.events import Failure, Record, Test
from resilience.suite.evidence import Judged, judge_failure
from resilience.suite.expressions import check
from resilience.suite.foreign import find_junit, read_junit
from resilience.suite.output import judge_text, nothing_proven
from resilience.suite.pump import Output, Pump, to_stdout

Connections = Callable[[Service], Awaitable[int | None]]

EVENTS_PER_S = 10.0
_TICK_S = 0.02
MARKERS = frozenset(
    {"staging", "real_services", "real_database", "real_redis", "clickhouse", "websocket", "critical",
    "mission_critical",
     "golden_path", "offline_capable", "slow", "unit", "integration", "e2e"}
)  # fmt: skip
"""The guide's markers, which the plug-in registers; `report` shows them with the tests."""


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


class TestRunInterrupted(asyncio.CancelledError):
    """The run was cancelled. Its processes are ended; `partial` holds what was known."""

    __test__ = False

    def __init__(self, partial: TestSuiteResult) -> None:
        super().__init__("the test run was interrupted")
        self.partial = partial


async def run_suite(
    commands: Sequence[PlannedCommand],
    *,
    settings: Settings,
    mode: TestExecutionMode,
    environ: Mapping[str, str],
    folder: Path,
    held: Mapping[str, str] | None = None,
    dead: Mapping[str, str] | None = None,
    stand_ins: Sequence[StandIn] = (),
    probe: Probe,
    on_event: Callable[[Progress], None] | None = None,
    select: str = "",
    exit_code: str = "ours",
    timeout_s: float | None = None,
    total_timeout_s: float | None = None,
    wait_for_services_s: float | None = None,
    attempts: int | None = None,
    delay_s: float | None = None,
    connections: Connections | None = None,
    output: Output | None = None,
) -> TestSuiteResult:
    """Run the commands one after the other in `settings.root`; return each test once, with its cause.

    `environ` is the children's whole environment. `held` maps markers to the reason why their tests are held back; `dead` maps
    services that the assessment just before found down, and nothing stands in for, to the reason: their tests are held back as
    well, and nobody waits for them. `probe` looks at services as the tests reach them; `connections` counts a stand-in's
    connections, our own looks left out. What the commands print goes unchanged to `output` (default: our own stdout) and
    redacted to `folder/logs`.

    Raises TestRunInterrupted (a CancelledError with the partial result) when cancelled, after the children have ended.
    """
    run = _Run(
        settings=settings,
        mode=mode,
        environ=environ,
        folder=folder,
        held=dict(held or {}),
        dead=dict(dead or {}),
        stand_ins=tuple(stand_ins),
        probe=probe,
        on_event=on_event,
        select=select,
        exit_code=exit_code,
        timeout_s=timeout_s,
        total_timeout_s=total_timeout_s,
        wait_s=wait_for_services_s,
        attempts=settings.deadlines.retry_attempts if attempts is None else attempts,
        delay_s=settings.deadlines.retry_delay_s if delay_s is None else delay_s,
        connections=connections,
        output=output,
    )
    return await run.run(commands)


@dataclass(slots=True)
class _Execution:
    """One execution of one command, and what is known of it."""

    record: Record
    exit_code: int = 0
    duration_s: float = 0.0
    timed_out: str = ""
    stacks: Mapping[str, str] = field(default_factory=dict)
    tail: str = ""
    log: str = ""


class _Run:
    def __init__(
        self,
        *,
        settings: Settings,
        mode: TestExecutionMode,
        environ: Mapping[str, str],
        folder: Path,
        held: dict[str, str],
        dead: dict[str, str],
        stand_ins: tuple[StandIn, ...],
        probe: Probe,
        on_event: Callable[[Progress], None] | None,
        select: str,
        exit_code: str,
        timeout_s: float | None,
        total_timeout_s: float | None,
        wait_s: float | None,
        attempts: int,
        delay_s: float,
        connections: Connections | None,
        output: Output | None,
    ) -> None:
        self.settings, self.mode, self.environ, self.folder = settings, mode, environ, folder
        self.stand_ins, self.probe, self.on_event = stand_ins, probe, on_event
        self.select, self.exit_code, self.timeout_s = select, exit_code, timeout_s
        self.attempts, self.delay_s, self.connections = max(0, attempts), max(0.0, delay_s), connections
        self.output: Output = output or to_stdout
        self.on_terminal = output is None and pseudo_terminal.wanted()
        self.started_at = datetime.now(UTC)
        self.began = time.monotonic()
        self.ends = self.began + total_timeout_s if total_timeout_s else None
        self.wait_left = wait_s if wait_s is not None else self.attempts * self.delay_s
        self.skipping = settings.wishes.skip_on_failure
        self.dead = dead
        self.id = secrets.token_hex(8)
        self.redactor = Redactor([*settings.secrets])
        self.services = {service.name: service for service in settings.services}
        self.held: dict[str, tuple[str, str | None]] = {}
        if self.skipping:
            by_marker = {
                marker: service.name
                for service in settings.services
                for marker in service.markers
                if service.name in dead
            }
            for name, why in dead.items():
                for marker in self.services[name].markers if name in self.services else ():
                    self.held[marker] = (why, name)
            for marker, why in held.items():
                self.held[marker] = (why, by_marker.get(marker))
        self.endpoints: tuple[Endpoint, ...] = ()
        self.board = Board()
        self.breaker = Breaker(
            services=self.services,
            endpoints=(),
            probe=probe,
            dead=dead,
            skipping=self.skipping,
            delay_s=self.delay_s,
        )
        self.notes: list[str] = []
        self.results: list[CommandResult] = []
        self.canary: dict[str, list[str]] = {}
        self.spoke: dict[tuple[str, int | None], int] = {}
        self.timed_out = False
        self.last_event = 0.0
        self.extra: list[Any] = []
        self.record = Record()

    # the whole

    async def run(self, commands: Sequence[PlannedCommand]) -> TestSuiteResult:
        if not commands:
            raise UsageError(
                "there is no test command to run.",
                hint='resilience test -- pytest tests/, or [modes.full] commands = ["…"]',
            )
        if self.select:
            check(self.select)
        for command in commands:
            if command.select:
                check(command.select)
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        self.endpoints = await asyncio.to_thread(endpoints_of, self.settings, self.stand_ins)
        self.breaker.endpoints = self.endpoints
        before = await self._count()
        interrupted = False
        with Entrance(self.id) as entrance:
            try:
                for number, command in enumerate(commands):
                    await self._command(entrance, number, len(commands), command)
                    if self.ends is not None and time.monotonic() >= self.ends:
                        if number + 1 < len(commands):
                            self.timed_out = True
                            self.notes.append(
                                f"the total deadline passed: {len(commands) - number - 1} commands were not started"
                            )
                        break
            except asyncio.CancelledError:
                interrupted = True
            finally:
                await self.breaker.stop()
        if interrupted:
            raise TestRunInterrupted(self._result(commands, (), interrupted=ExitCode.INTERRUPTED))
        return self._result(commands, await self._reached(before))

    def _result(
        self, commands: Sequence[PlannedCommand], reached: Sequence[Reached], *, interrupted: int | None = None
    ) -> TestSuiteResult:
        tests = (*self.board.outcomes(), *self.extra)
        tests = tuple(replace(test, id=self._clean(test.id) or test.id) for test in tests)
        tests = tuple(
            replace(
                test,
                message=self._clean(test.message),
                reason=self._clean(test.reason),
                previous=self._clean(test.previous),
            )
            for test in tests
        )
        unknown = [
            f"{result.command}: {result.evidence}" for result in self.results if result.outcome is Outcome.NOT_RUN
        ]
        counts = totals(tests)
        proof = prove(
            Results(
                mode=self.mode,
                counts=counts,
                commands=tuple(self.results),
                reached=tuple(reached),
                stand_ins=any(one.ready for one in self.stand_ins),
                blocked=self.board.blocked(),
                interrupted=interrupted,
                timed_out=self.timed_out,
                unknown=tuple(unknown),
            )
        )
        code = proof.exit_code
        if self.exit_code == "original" and interrupted is None:
            code = next((result.exit_code for result in self.results if result.exit_code), 0)
        return TestSuiteResult(
            mode=self.mode,
            started_at=self.started_at,
            duration_s=round(time.monotonic() - self.began, 3),
            exit_code=code,
            commands=tuple(self.results),
            totals=counts,
            tests=tests,
            verdict=proof.verdict,
            reached=tuple(reached),
            notes=tuple(
                self._clean(note) or "" for note in dict.fromkeys([*self.notes, *self.breaker.notes, *proof.notes])
            ),
            held={marker: why for marker, (why, _) in self.held.items()},
        )

    def _clean(self, text: str | None) -> str | None:
        return self.redactor.text(text) if text else text

    # one command and its rounds

    async def _command(self, entrance: Entrance, number: int, of: int, command: PlannedCommand) -> None:
        began = time.monotonic()
        limit = began + self.timeout_s if self.timeout_s else None
        first = await self._execute(entrance, number, of, command, 1, None, limit)
        rounds, last = 1, first
        if first.record.started:
            self._take(first, number, 1)
            seen = {session.key for session in first.record.sessions.values() if session.key and not session.worker}
            try:
                while not last.timed_out and self.attempts and rounds <= self.attempts:
                    back = await self._back(number, command, of, rounds, limit)
                    standings = self.board.again(number, back)
                    if not standings:
                        break
                    again = _again(standings, seen)
                    rounds += 1
                    for service in back:
                        self.breaker.forget(service)
                    last = await self._execute(entrance, number, of, command, rounds, again, limit)
                    self._take(last, number, rounds)
                    seen |= {
                        session.key for session in last.record.sessions.values() if session.key and not session.worker
                    }
            except asyncio.CancelledError:
                if len(self.results) == number:
                    # Interrupted while waiting between two rounds: the rounds so far stand.
                    self.results.append(
                        self._judge_command(number, command, first, last, rounds, time.monotonic() - began)
                    )
                raise
        self.results.append(self._judge_command(number, command, first, last, rounds, time.monotonic() - began))

    def _take(self, execution: _Execution, number: int, round: int) -> None:
        record = execution.record
        reason = "never reached"
        if execution.timed_out:
            reason = f"never reached: {execution.timed_out}"
        elif not record.complete:
            reason = f"never reached: pytest ended in the middle (exit code {execution.exit_code})"
        elif record.interrupted:
            reason = f"never reached: {record.interrupted}"
        elif any(test.collector and test.failures for test in record.tests.values()):
            reason = "never reached: errors during collection"
        elif any(test.state in ("failed", "error") for test in record.tests.values()):
            reason = "never reached: stopped early (-x, --maxfail)"
        self.board.take(
            record,
            command=number,
            round=round,
            endpoints=self.endpoints,
            looks=self.breaker.looks,
            planned={why for why, _ in self.held.values()},
            not_run=reason,
        )
        for key in record.in_flight:
            standing = self.board.standings.get(key)
            if standing is None:
                continue
            if execution.timed_out:
                stack = execution.stacks.get(key[1], "")
                standing.judged = Judged(
                    Outcome.TIMEOUT,
                    message=f"still running when {execution.timed_out}" + (f"; {stack}" if stack else ""),
                    reason=execution.timed_out,
                )
            elif not standing.test.state and not standing.test.failures:
                standing.judged = Judged(
                    Outcome.ERROR,
                    message=f"pytest ended in the middle of this test (exit code {execution.exit_code})",
                    reason="crash",
                )
            standing.rounds = max(standing.rounds, round)
        for session in record.sessions.values():
            for failure in session.trouble:
                self._trouble(session.root, failure, number, round)
        if round > 1 and record.collected:
            for key in [
                key for key, s in self.board.standings.items() if s.test.id.startswith("(") and s.command == number
            ]:
                del self.board.standings[key]
        for pair, count in record.spoke.items():
            self.spoke[pair] = self.spoke.get(pair, 0) + count
        self.notes.extend(f"our pytest plug-in had trouble: {text}" for text in dict.fromkeys(record.troubles))
        if record.bad_lines:
            self.notes.append(f"{record.bad_lines} lines of the events file could not be read")

    def _trouble(self, root: str, failure: Failure, number: int, round: int) -> None:
        name = "(conftest)" if failure.when == "conftest" else "(session)"
        judged = judge_failure(failure, endpoints=self.endpoints, looks=self.breaker.looks, is_test=False)
        if any(str(node.get("type", "")).endswith("UsageError") for node in failure.chain[:1]):
            return
        self.board.standings[root, name] = Standing(
            Test(name, collector=True, failures=[failure]), judged, round, command=number, root=root
        )

    def _judge_command(
        self, number: int, command: PlannedCommand, first: _Execution, last: _Execution, rounds: int, duration_s: float
    ) -> CommandResult:
        kind, evidence, outcome, service, fault = "pytest", "", Outcome.PASSED, None, None
        record = last.record
        if first.record.started:
            keys = {*first.record.tests, *record.tests}
            mine = [
                standing
                for key, standing in self.board.standings.items()
                if key in keys or (standing.command == number and key[1][:1] == "(")
            ]
            failing = any(test.failures or test.state in ("failed", "error") for test in record.tests.values())
            found = {standing.judged.outcome for standing in mine}
            rank = (
                Outcome.TIMEOUT, Outcome.FAILED, Outcome.ERROR, Outcome.INFRASTRUCTURE_UNAVAILABLE,
                Outcome.STAND_IN_GAP, Outcome.NOT_RUN,
            )  # fmt: skip
            outcome = next((one for one in rank if one in found), Outcome.PASSED)
            evidence = "per-test events"
            if last.timed_out:
                outcome, evidence = Outcome.TIMEOUT, last.timed_out
            elif not record.complete:
                evidence = f"pytest ended in the middle: no finish line, exit code {last.exit_code}"
                if outcome is Outcome.PASSED:
                    outcome = Outcome.NOT_RUN
            elif outcome is Outcome.PASSED and last.exit_code not in (0, 5) and not failing:
                outcome, evidence = Outcome.FAILED, f"exit code {last.exit_code}, although no test failed"
                if any(session.exit == 4 for session in record.sessions.values()) or last.exit_code == 4:
                    outcome, evidence = Outcome.NOT_RUN, "pytest could not start: exit code 4 (usage)"
            elif outcome is Outcome.PASSED and not record.collected:
                outcome, evidence = Outcome.NOT_RUN, f"nothing was collected (exit code {last.exit_code})"
            elif outcome is Outcome.NOT_RUN:
                evidence = next((s.judged.reason for s in mine if s.judged.outcome is Outcome.NOT_RUN), evidence)
        else:
            kind, outcome, evidence, service, fault = self._without_events(number, command, last)
        return CommandResult(
            command=self._clean(command.command) or "",
            kind=kind,
            exit_code=last.exit_code,
            duration_s=round(duration_s, 3),
            rounds=rounds,
            evidence=self._clean(evidence) or "",
            collected=first.record.collected,
            outcome=outcome,
            fault=fault,
            service=service,
            log=last.log,
        )

    def _without_events(
        self, number: int, command: PlannedCommand, last: _Execution
    ) -> tuple[str, Outcome, str, str | None, FaultCode | None]:
        """Judge a command that our plug-in did not enter: by JUnit XML if there is any, else by exit code and output."""
        if last.timed_out:
            return "other", Outcome.TIMEOUT, last.timed_out, None, None
        for path in find_junit(command.command, self.settings.root, newer_than=self.started_at.timestamp()):
            tests = read_junit(path, number)
            if tests:
                self.extra.extend(tests)
                found = {test.outcome for test in tests}
                outcome = Outcome.FAILED if Outcome.FAILED in found or Outcome.ERROR in found else Outcome.PASSED
                if outcome is Outcome.PASSED and last.exit_code:
                    outcome = Outcome.FAILED
                return "junit", outcome, f"JUnit XML ({path.name}); no per-test causes", None, None
        outcome, phrase = judge_text(last.tail, last.exit_code)
        evidence = f"exit code {last.exit_code} and output; no per-test data"
        if self.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
            evidence += " (PYTEST_DISABLE_PLUGIN_AUTOLOAD keeps our plug-in out)"
        if re.search(r"\b\d+ (passed|failed|errors?)\b.* in [\d.]+s", last.tail):
            # Among its failures may be the product's, which one phrase must not cover.
            return (
                "other",
                outcome,
                f"{evidence}; pytest ran, but our plug-in did not enter: is PYTHONPATH replaced?",
                None,
                None,
            )
        if why := nothing_proven(last.tail, last.exit_code):
            return "other", Outcome.NOT_RUN, why, None, None
        if outcome is Outcome.FAILED and phrase:
            red = [look for look in self.breaker.looks[-len(self.services) :] if look.red]
            if red:
                return (
                    "other",
                    Outcome.INFRASTRUCTURE_UNAVAILABLE,
                    f'{evidence}; "{phrase}" in it, and {red[0].service} is down',
                    red[0].service,
                    red[0].fault,
                )
            evidence += f'; "{phrase}" in it, but no probed service is down'
        return "other", outcome, evidence, None, None

    # one execution

    async def _execute(
        self,
        entrance: Entrance,
        number: int,
        of: int,
        command: PlannedCommand,
        round: int,
        again: Mapping[str, Any] | None,
        limit: float | None,
    ) -> _Execution:
        name = f"{number + 1:02d}-round{round}"
        select = " and ".join(f"({text})" for text in (self.select, command.select) if text)
        record = self.record = Record(select=select, mode=self.mode.value)
        ends = min((end for end in (limit, self.ends) if end is not None), default=None)
        events = self.folder / "logs" / f"{name}.events.jsonl"
        events.unlink(missing_ok=True)
        events.touch(mode=0o600)
        known = (
            {marker for service in self.settings.services for marker in service.markers} | set(self.held) | set(MARKERS)
        )
        settings = {
            "run": self.id,
            "events": str(events.resolve()),
            "control": str(entrance.control),
            "stacks": str(entrance.stacks),
            "select": select,
            "held": {marker: [why, service] for marker, (why, service) in self.held.items()},
            "markers": sorted(known - set(MARKERS)),
            "marks": sorted(known | set(self.held)),
            "exports": sorted({name for one in self.stand_ins if one.ready for name in self._exports(one.service)}),
            "again": again,
            # The stacks are written while the process still runs.
            "deadline": time.time() + max(0.1, ends - time.monotonic() - 0.3) if ends is not None else None,
        }
        self.breaker.begin(round, entrance.control)
        configuration = entrance.configure(name, settings)
        environ = entrance.environment(self.environ, configuration, self.settings.root)
        # To a file, not a pipe: what outlives the command and holds its output would keep a pipe open.
        raw = entrance.folder / f"{name}.out"
        raw.touch()
        log = self.folder / "logs" / f"{name}.log"
        shell = self.environ.get("SHELL") or "/bin/sh"
        if not os.access(shell, os.X_OK):
            shell = "/bin/sh"
        argv = [*shlex.split(self.settings.env_command), shell, "-c", command.command]
        began = time.monotonic()
        execution = _Execution(record, log=f"logs/{log.name}")
        read, written = pseudo_terminal.pair() if self.on_terminal else (raw.open("rb"), raw.open("ab"))
        with read as source, written as sink, events.open("rb") as stream, log.open("wb") as kept:
            try:
                process = subprocess.Popen(  # noqa: ASYNC220  a fork and exec of one shell; the loop has nothing else to do
                    argv, cwd=self.settings.root, env=environ, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                    start_new_session=True
                )  # fmt: skip
            except OSError as exc:
                raise UsageError(
                    f"{argv[0]} could not be started in {self.settings.root.name}: {exc.strerror}.",
                    hint="check SHELL and env_command",
                ) from exc
            pump = Pump(source, stream, kept, self.output, self.redactor)
            try:
                await self._watch(process, pump, execution, ends, began, command, number, of, round, entrance)
            except asyncio.CancelledError:
                await asyncio.shield(asyncio.create_task(groups.end(process, self.id, gently=True)))
                self._drain(pump, record)
                execution.exit_code = 130
                if record.started:
                    record.interrupted = "the run was interrupted"
                    self._take(execution, number, round)
                self.results.append(
                    CommandResult(
                        command=self._clean(command.command) or "", kind="pytest" if record.started else "other",
                        exit_code=130,
                        duration_s=time.monotonic() - began, rounds=round, evidence="interrupted",
                        collected=record.collected,
                        outcome=Outcome.NOT_RUN, log=execution.log,
                    )
                )  # fmt: skip
                raise
            finally:
                if process.poll() is None:
                    await asyncio.shield(asyncio.create_task(groups.end(process, self.id)))
                pump.close()
                self._redact_events(events)
        execution.duration_s = time.monotonic() - began
        code = process.returncode
        execution.exit_code = 128 - code if code < 0 else code
        execution.tail = pump.tail
        if execution.timed_out:
            execution.stacks = _stacks(entrance.stacks, record)
        if not record.started and execution.exit_code and not execution.timed_out:
            await self.breaker.look(list(self.services))
        await self.breaker.settle(record)
        self._hear_canary(record, settings)
        return execution

    async def _watch(
        self, process: subprocess.Popen[bytes], pump: Pump, execution: _Execution, ends: float | None, began: float,
        command: PlannedCommand, number: int, of: int, round: int, entrance: Entrance,
    ) -> None:  # fmt: skip
        record = execution.record
        while True:
            ended = process.poll() is not None
            busy = self._drain(pump, record)
            self.breaker.step(entrance.control)
            self._tell(record, command, number, of, round, began)
            if ended and not busy:
                return
            if not ended and ends is not None and time.monotonic() >= ends:
                total = self.ends is not None and time.monotonic() >= self.ends
                limit = "the total deadline passed" if total else f"the deadline of {self.timeout_s:g} s passed"
                execution.timed_out = limit
                self.timed_out = True
                await groups.end(process, self.id)
                self._drain(pump, record)
                return
            await asyncio.sleep(0 if busy else _TICK_S)

    def _drain(self, pump: Pump, record: Record) -> bool:
        busy = pump.output()
        now = time.time()
        for line in pump.events():
            try:
                event = msgspec.json.decode(line)
                kind, test, failure = record.feed(event, now)
            except (msgspec.DecodeError, LookupError, TypeError, ValueError, AttributeError):
                record.bad_lines += 1
                continue
            busy = True
            if failure is not None:
                self.breaker.suspect(test, failure)
            elif kind == "t" and test is not None and test.state == "passed":
                self.breaker.passed(test)
        return busy

    async def _back(
        self, number: int, command: PlannedCommand, of: int, round: int, limit: float | None
    ) -> frozenset[str]:
        """Return the missed services that are back, waiting for them within the budget. Nobody waits for what was known to be
        down."""
        missed = self.board.missed(number)
        while missed:
            self._say(command, number, of, round, "probing", f"looking at {', '.join(sorted(missed))}")
            await self.breaker.look(sorted(missed))
            back = frozenset(name for name in missed if self.breaker.well(name))
            if back:
                return back
            waited_for = missed - set(self.dead)
            pause = min(self.delay_s or 0.5, self.wait_left)
            now = time.monotonic()
            over = any(end is not None and now + pause >= end for end in (limit, self.ends))
            if not waited_for or pause <= 0 or over:
                return frozenset()
            self._say(
                command,
                number,
                of,
                round,
                "waiting",
                f"waiting for {', '.join(sorted(waited_for))}, {self.wait_left:.0f} s left",
            )
            await asyncio.sleep(pause)
            self.wait_left -= time.monotonic() - now
        return frozenset()

    # proof

    def _exports(self, service: str) -> tuple[str, ...]:
        found = self.services.get(service)
        return tuple(found.exports) if found is not None else ()

    def _hear_canary(self, record: Record, settings: Mapping[str, Any]) -> None:
        """Compare the variables that lead to stand-ins as the team's interpreter sees them with what it was given."""
        given = {
            name: hashlib.sha256((self.id + self.environ[name]).encode("utf-8", "surrogateescape")).hexdigest()[:16]
            for name in settings["exports"]
            if name in self.environ
        }
        for one in self.stand_ins:
            for name in self._exports(one.service):
                for session in record.sessions.values():
                    if name in given and session.collected is not None and session.digests.get(name) != given[name]:
                        self.canary.setdefault(one.service, [])
                        if name not in self.canary[one.service]:
                            self.canary[one.service].append(name)

    async def _count(self) -> dict[str, int | None]:
        counts: dict[str, int | None] = {}
        for one in self.stand_ins:
            service = self.services.get(one.service)
            if not one.ready or service is None or self.connections is None:
                continue
            try:
                counts[one.service] = await self.connections(service)
            except Exception as exc:  # noqa: BLE001  not being able to count is a fact to report, not a reason to stop
                self.notes.append(
                    f"connections of the stand-in for {one.service} cannot be counted: {type(exc).__name__}: {exc}"
                )
                counts[one.service] = None
        return counts

    async def _reached(self, before: Mapping[str, int | None]) -> tuple[Reached, ...]:
        """Say for each stand-in whether tests reached it; `canary` is False where they surely or provably did not."""
        after = await self._count()
        found = []
        ran = [
            s
            for s in self.board.standings.values()
            if s.rounds and s.judged.outcome in (Outcome.PASSED, Outcome.FAILED)
        ]
        reached_any = False
        drafts: list[tuple[StandIn, int | None, bool]] = []
        for one in self.stand_ins:
            if not one.ready:
                continue
            old, new = before.get(one.service), after.get(one.service)
            count = None if old is None or new is None else max(0, new - old)
            mine = [e for e in self.endpoints if e.service == one.service and e.stand_in]
            spoken = sum(times for pair, times in self.spoke.items() if whose([pair], mine) is not None)
            reached_any = reached_any or bool(count) or bool(spoken)
            drafts.append(
                (one, max(count or 0, spoken) if count is not None or spoken else None, bool(count) or bool(spoken))
            )
        for one, count, reached in drafts:
            markers = set(self.services[one.service].markers) if one.service in self.services else set()
            bound = [s for s in ran if markers & set(s.test.markers)]
            overridden = self.canary.get(one.service, [])
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
            found.append(Reached(service=one.service, connections=count, canary=canary, detail=detail))
        return tuple(found)

    # telling

    def _tell(self, record: Record, command: PlannedCommand, number: int, of: int, round: int, began: float) -> None:
        if self.on_event is None or time.monotonic() - self.last_event < 1 / EVENTS_PER_S:
            return
        self.last_event = time.monotonic()
        elapsed = self.last_event - began
        known = any(session.collected is not None for session in record.sessions.values())
        collected = record.collected if known else 0
        rate = record.finished / elapsed if elapsed > 0 else 0.0
        left = max(0, collected - record.finished)
        current = next((s for s in record.sessions.values() if s.current), None)
        self.on_event(
            Progress(
                command=self._clean(command.command) or "", number=number + 1, commands=of, round=round,
                phase="running",
                collected=collected, finished=record.finished, counts=dict(record.counts), rate=rate,
                eta_s=left / rate if rate > 0 and collected else None, current=current.current or "" if current else "",
                current_s=max(0.0, time.time() - current.since) if current else 0.0,
                elapsed_s=self.last_event - self.began,
                held=tuple(self.breaker.open),
                failures=tuple(self._clean(name) or "" for name in record.failing),
            )
        )  # fmt: skip

    def _say(self, command: PlannedCommand, number: int, of: int, round: int, phase: str, note: str) -> None:
        if self.on_event is None:
            return
        self.on_event(
            Progress(
                command=self._clean(command.command) or "",
                number=number + 1,
                commands=of,
                round=round,
                phase=phase,
                collected=self.record.collected,
                finished=self.record.finished,
                counts=dict(self.record.counts),
                rate=0.0,
                eta_s=None,
                current="",
                current_s=0.0,
                elapsed_s=time.monotonic() - self.began,
                held=tuple(self.breaker.open),
                note=note,
            )
        )

    def _redact_events(self, path: Path) -> None:
        """Rewrite the events file without secrets; while it was written, only this user could read it."""
        aside = path.with_suffix(".new")
        try:
            with path.open("rb") as source, aside.open("wb") as target:
                for line in source:
                    if not line.startswith((b'{"k":"b"', b'{"k":"t"')):
                        line = self.redactor.text(line.decode("utf-8", "replace").rstrip("\n")).encode() + b"\n"
                    target.write(line)
            aside.replace(path)
        except OSError as exc:
            self.notes.append(f"the events file could not be rewritten: {exc.strerror}")


def _again(standings: Mapping[tuple[str, str], Standing], seen: Collection[str]) -> dict[str, Any] | None:
    """Return what a second run is restricted to; None runs everything, where the session never came to its tests."""
    ids: dict[str, list[str]] = {}
    prefixes: dict[str, list[str]] = {}
    for (root, name), standing in standings.items():
        if name.startswith("("):
            return None
        if standing.test.collector:
            prefixes.setdefault(root, []).extend((name + "::", name + "/") if name else ("",))
        else:
            ids.setdefault(root, []).append(name)
    return {"ids": ids, "prefixes": prefixes, "seen": sorted(seen)}


def _stacks(folder: Path, record: Record) -> dict[str, str]:
    """Return for each test in flight where it stood: the innermost frames of its process's main thread."""
    found: dict[str, str] = {}
    for session in record.sessions.values():
        if not session.current:
            continue
        try:
            lines = (folder / f"{session.id}.txt").read_text(errors="replace").splitlines()
        except OSError:
            continue
        frames: list[str] = []
        for line in lines:
            if line.startswith(("Thread ", "Current thread ")):
                frames = []
            elif line.strip().startswith("File "):
                frames.append(line.strip())
        shown = [frame.replace('File "', "").replace('", line ', ":").replace(" in ", " ") for frame in frames]
        ours = [frame for frame in shown if "/_pytest/" not in frame and "/pluggy/" not in frame]
        found[session.current] = "at " + " < ".join(ours[:6]) if ours else ""
    return found

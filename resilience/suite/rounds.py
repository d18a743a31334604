"""Turn one command into its rounds: run it as the team does, then again only what an outage stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from resilience.core.records import CommandResult, FaultCode, Outcome, TestOutcome
from resilience.core.redact import Redactor
from resilience.host import under_way
from resilience.suite.board import Batch, Board, Standing
from resilience.suite.breaker import Breaker, by_its_past
from resilience.suite.ends import End, judge_end, worst
from resilience.suite.events import Failure, Record, Test
from resilience.suite.evidence import Judged, Scene, judge_failure, message_of, told_by
from resilience.suite.execution import Executes, Execution
from resilience.suite.killed import killed
from resilience.suite.looking import Looker
from resilience.suite.progress import Teller
from resilience.suite.reached import StandInProof, exports_of
from resilience.suite.records import Place, Request, Turn
from resilience.suite.stalls import Stalls
from resilience.suite.whole_commands import Left, Whole, judge_whole

_READ_AT_MOST = 2 << 20
PARTS = 100
"""From where on the parts of a round are numbered that go on after a stall."""
MARKERS = frozenset(
    {"staging", "real_services", "real_database", "real_redis", "clickhouse", "websocket", "critical",
    "mission_critical",
     "golden_path", "offline_capable", "slow", "unit", "integration", "e2e"}
)  # fmt: skip
"""The guide's markers, which the plug-in registers; `report` shows them with the tests."""


@dataclass(slots=True)
class Limits:
    """How long the run may still take and wait, on the monotonic clock."""

    ends: float | None
    """The end of the whole run."""
    wait_left: float
    """Seconds left for waiting for services to return."""
    timed_out: bool = False

    @property
    def over(self) -> bool:
        return self.ends is not None and time.monotonic() >= self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the rounds of all commands share."""

    request: Request
    place: Place
    executor: Executes
    held: Mapping[str, tuple[str, str | None]]
    """Marker → why its tests are held back, and the service."""
    looker: Looker
    breaker: Breaker
    board: Board
    proof: StandInProof
    teller: Teller
    redactor: Redactor
    limits: Limits
    stalled: set[str]
    """Services for which a test was ended that waited in vain."""
    started_at: float
    """Seconds since the epoch: JUnit files older than the run are not the run's."""


class Rounds:
    """One command with all its rounds. `result` is None until something is known of it, also where it was cancelled."""

    def __init__(self, tools: Tools, turn: Turn) -> None:
        self.tools, self.turn = tools, turn
        self.record = Record()
        self.result: CommandResult | None = None
        self.extra: tuple[TestOutcome, ...] = ()
        self.whole: Whole | None = None
        self.notes: list[str] = []
        self.doubts: list[str] = []
        self.trouble: list[str] = []
        """Why what is known is not to be trusted as a whole: the verdict is unknown, never the product's."""
        request = tools.request
        self._began = time.monotonic()
        self._limit = self._began + request.timeout_s if request.timeout_s else None

    async def run(self) -> None:
        """Run the command; then, while there are attempts left, again what a second run settles, its services being well."""
        first = await self._execute(self.turn, _only(self.tools.request.only))
        last = first
        if first.record.started:
            self._take(first)
            seen = _sessions(first.record)
            try:
                last = await self._go_on(first, seen)
                while not last.timed_out and self.turn.round <= self.tools.request.attempts:
                    await self._back(self.tools.board.missed(self.turn.number))
                    batches = self.tools.board.again(self.turn.number, self.tools.looker.well)
                    if not batches:
                        self.tools.board.unsettled(self.turn.number, self.tools.looker.well)
                        break
                    for batch in batches:
                        for standing in batch.standings.values():
                            for service in standing.judged.needs:
                                self.tools.breaker.forget(service)
                    self.turn = replace(self.turn, round=self.turn.round + 1, part=0)
                    for part, batch in enumerate(batches):
                        self.turn = replace(self.turn, part=part)
                        last = await self._execute(self.turn, _again(batch, seen))
                        self._take(last, batch)
                        seen |= _sessions(last.record)
                        last = await self._go_on(last, seen, batch)
                        if last.timed_out:
                            break
            except asyncio.CancelledError:
                if self.result is None:
                    # Interrupted while waiting between two rounds: the rounds so far stand.
                    self.result = self._judge(first, last)
                raise
        else:
            last = await self._whole_again(first)
        self.result = self._judge(first, last)

    async def _whole_again(self, first: Execution) -> Execution:
        """Judge a command that our plug-in did not enter; run it once more where that settles it, its services being well."""
        self.whole = self._whole(first)
        if not self.whole.again or not self.tools.request.attempts or first.timed_out:
            return first
        await self._back(self.whole.needs)
        if not all(self.tools.looker.well(name) for name in self.whole.needs):
            return first
        self.turn = replace(self.turn, round=2)
        last = await self._execute(self.turn, None)
        self.whole = self._whole(last, self.whole)
        return last

    def _whole(self, execution: Execution, before: Whole | None = None) -> Whole:
        tools = self.tools
        return judge_whole(
            Left(
                command=self.turn.command.command,
                execution=execution,
                scene=self._scene(execution),
                number=self.turn.number,
                root=tools.place.root,
                newer_than=tools.started_at if before is None else execution.ended - execution.duration_s,
                autoload_off=bool(tools.place.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")),
                output=self._printed(execution),
                before=before,
            )
        )

    def _printed(self, execution: Execution) -> str:
        """Return what the command printed, as it is kept: its last two megabytes."""
        try:
            with (self.tools.place.folder / execution.log).open("rb") as kept:
                kept.seek(max(0, kept.seek(0, 2) - _READ_AT_MOST))
                return kept.read().decode("utf-8", "replace")
        except OSError:
            return ""

    async def _go_on(self, last: Execution, seen: set[str], batch: Batch | None = None) -> Execution:
        """Run in a new process what a stalled execution left; stop where that comes no further."""
        while last.stalled and last.record.collected:
            self.notes.append(f"{last.stalled}: it was ended, and the rest went on in a new process")
            left = _left(last)
            if not any(left.values()):
                break
            before = last.record.finished
            self.turn = replace(self.turn, part=self.turn.part + PARTS)
            last = await self._execute(self.turn, {"ids": left, "prefixes": {}, "seen": sorted(seen)})
            self._take(last, batch)
            seen |= _sessions(last.record)
            if not before and not last.record.finished:
                break
        return last

    # one execution

    async def _execute(self, turn: Turn, again: Mapping[str, Any] | None) -> Execution:
        """Run the command once and return what its events said; `again` names the tests to run again, None for all.

        The breaker and the display step beside it, so that what a dead service holds back is decided while the tests still run.
        """
        tools = self.tools
        select = " and ".join(f"({text})" for text in (tools.request.select, turn.command.select) if text)
        record = self.record = Record(select=select, mode=tools.request.mode.value)
        execution = Execution(record)
        control = tools.executor.entrance.control
        told = self._told(select, again)
        tools.breaker.begin(turn.round, control)
        if tools.place.under_way is not None:
            under_way.begin(tools.place.under_way)
        stalls = Stalls(tools.looker, record, tools.stalled, tools.request.stall_s)

        def heard(kind: str, test: Test | None, failure: Failure | None) -> None:
            stalls.heard()
            tools.breaker.hear(kind, test, failure)

        def on_step() -> str:
            tools.breaker.step(control)
            tools.teller.running(turn, record, tools.breaker.open)
            return stalls.step()

        try:
            await tools.executor.run(execution, turn, told, limit=self._nearest_limit(), heard=heard, on_step=on_step)
        except asyncio.CancelledError:
            if record.started:
                record.interrupted = "the run was interrupted"
                self._take(execution)
            self.result = CommandResult(
                command=tools.redactor.text(turn.command.command), kind="pytest" if record.started else "other",
                exit_code=execution.exit_code, duration_s=execution.duration_s, rounds=turn.round, evidence="interrupted",
                collected=record.collected, outcome=Outcome.NOT_RUN, log=execution.log,
            )  # fmt: skip
            raise
        if execution.timed_out:
            tools.limits.timed_out = True
        if execution.stalled and stalls.service is not None:
            execution.service, execution.stuck = stalls.service, stalls.stuck
            tools.breaker.stalled(stalls.service, stalls.fixture)
            tools.breaker.made(record.tests.values(), stalls.stuck[1], stalls.fixture)
        if not record.started and execution.exit_code and tools.looker.services:
            await tools.looker.look(list(tools.looker.services))
        await tools.looker.settle(record, execution.ended)
        tools.proof.hear(record, told["exports"], tools.place.environ, tools.executor.entrance.run)
        return execution

    def _nearest_limit(self) -> tuple[float, str] | None:
        ends = self.tools.limits.ends
        if ends is not None and (self._limit is None or ends <= self._limit):
            return ends, "the total deadline passed"
        if self._limit is not None:
            return self._limit, f"the deadline of {self.tools.request.timeout_s:g} s passed"
        return None

    def _told(self, select: str, again: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return what the plug-in is told; no value of the environment is among it."""
        tools = self.tools
        services = tools.place.services
        known = {marker for service in services for marker in service.markers} | set(tools.held) | set(MARKERS)
        limit = self._nearest_limit()
        by_name = {service.name: service for service in services}
        return {
            "run": tools.executor.entrance.run,
            "control": str(tools.executor.entrance.control),
            "stacks": str(tools.executor.entrance.stacks),
            "select": select,
            "held": {marker: [why, service] for marker, (why, service) in tools.held.items()},
            "markers": sorted(known - set(MARKERS)),
            "marks": sorted(known | set(tools.held)),
            "exports": sorted({name for one in tools.proof.stand_ins for name in exports_of(by_name, one.service)}),
            "again": again,
            "under_way": str(tools.place.under_way or ""),
            "endpoints": [
                [host, one.port] for one in tools.looker.endpoints if not one.idle for host in (one.host, *one.aliases)
            ],
            # The stacks are written while the process still runs.
            "deadline": time.time() + max(0.1, limit[0] - time.monotonic() - 0.3) if limit is not None else None,
        }

    # what it came to

    def _scene(self, execution: Execution) -> Scene:
        """Return what is known beside the failures of this execution."""
        tools, record = self.tools, execution.record
        told = told_by(record.tests.values(), tools.looker.endpoints)
        return Scene(
            endpoints=tools.looker.endpoints,
            looks=tools.looker.looks,
            round=self.turn.round,
            ended=execution.ended,
            known=tools.looker.known,
            refusing=frozenset(tools.looker.refusing),
            answers=tools.looker.answers,
            strict=frozenset(one.name for one in tools.place.services if one.require == "recorded"),
            proved=tools.place.proved,
            passed={name: one.passed for name, one in told.items() if one.passed},
            first_sign={name: one.first_sign for name, one in told.items() if one.first_sign is not None},
            alone=sum(session.collected is not None for session in record.sessions.values()) <= 1,
        )

    def _planned(self) -> frozenset[str]:
        """Return the reasons for which tests were to be held back before the first of them began."""
        known = {by_its_past(why) for why in self.tools.request.dead.values()}
        return frozenset({why for why, _ in self.tools.held.values()} | known)

    def _take(self, execution: Execution, batch: Batch | None = None) -> None:
        """Bring one execution to the board: its tests, what was in flight when it ended, what befell its sessions."""
        tools, record, turn = self.tools, execution.record, self.turn
        scene = self._scene(execution)
        tools.board.take(
            record, scene, command=turn.number, planned=self._planned(),
            not_run=_why_not_run(execution), batch=batch, more=turn.round <= tools.request.attempts,
        )  # fmt: skip
        for key in record.in_flight:
            self._take_in_flight(execution, key)
        if record.gave_up is not None:
            tools.board.give_up(turn.number, judge_failure(record.gave_up, scene, is_test=False))
        for session in record.sessions.values():
            for failure in session.trouble:
                self._trouble(session.root, failure, scene)
            if execution.stalled and session.collected is None and session.pytest:
                tools.board.standings[session.root, "(session)"] = Standing(
                    Test("(session)", collector=True), _stalled(execution, ""), turn.round, command=turn.number,
                    root=session.root,
                )  # fmt: skip
        if turn.round > 1 and record.collected:
            tools.board.drop_sessions(turn.number)
        tools.proof.take(record)
        self.trouble.extend(f"our pytest plug-in had trouble: {text}" for text in dict.fromkeys(record.troubles))
        if execution.missing:
            self.doubts.append(f"{execution.missing} events of our pytest plug-in never came")
        if record.bad_lines:
            self.doubts.append(f"{record.bad_lines} lines of the events file are not our plug-in's, or were damaged")

    def _take_in_flight(self, execution: Execution, key: tuple[str, str]) -> None:
        """Judge a test that had begun when the execution ended: by the limit, by the stall, or by how the process ended.

        Beside a stall only the test that waited is judged; those of other workers are run again.
        """
        standing = self.tools.board.standings.get(key)
        if standing is None:
            return
        if execution.timed_out:
            stack = execution.stacks.get(key[1], "")
            standing.keep(
                Judged(
                    outcome=Outcome.TIMEOUT, rule=3, reason=execution.timed_out,
                    message=f"still running when {execution.timed_out}" + (f"; {stack}" if stack else ""),
                )
            )  # fmt: skip
        elif execution.stalled:
            if key == execution.stuck:
                standing.keep(_stalled(execution, key[1]))
        elif not standing.test.state and not standing.test.failures:
            standing.keep(_ended_in_the_middle(standing.test.killed or execution.exit_code))
        standing.rounds = max(standing.rounds, self.turn.round)

    def _trouble(self, root: str, failure: Failure, scene: Scene) -> None:
        """Let a conftest or a session that could not begin stand as a test of its own."""
        if any(str(node.get("type", "")).endswith("UsageError") for node in failure.chain[:1]):
            return
        name = "(conftest)" if failure.when == "conftest" else "(session)"
        standing = Standing(
            Test(name, collector=True, failures=[failure]), judge_failure(failure, scene, is_test=False), self.turn.round,
            command=self.turn.number, root=root,
        )  # fmt: skip
        standing.keep(standing.judged)
        self.tools.board.standings[root, name] = standing

    def _judge(self, first: Execution, last: Execution) -> CommandResult:
        """Return the command's own result: by its tests where our plug-in spoke, else by output, exit code and looks."""
        turn, tools = self.turn, self.tools
        service = fault = None
        if first.record.started:
            kind = "pytest"
            outcome, evidence = self._with_events(first, last)
        else:
            whole = self.whole or self._whole(last)
            kind, outcome, evidence = whole.kind, whole.outcome, whole.evidence
            service, fault, self.extra = whole.service, whole.fault, whole.tests
        return CommandResult(
            command=tools.redactor.text(turn.command.command),
            kind=kind,
            exit_code=last.exit_code,
            duration_s=round(time.monotonic() - self._began, 3),
            rounds=turn.round,
            evidence=tools.redactor.text(evidence),
            collected=first.record.collected,
            outcome=outcome,
            fault=fault,
            service=service,
            log=last.log,
        )

    def _with_events(self, first: Execution, last: Execution) -> tuple[Outcome, str]:
        """Say what a pytest command came to, by its tests and by its end (the rules are those of `ends`)."""
        record, number = last.record, self.turn.number
        keys = {*first.record.tests, *record.tests}
        mine = [
            standing.judged
            for key, standing in self.tools.board.standings.items()
            if key in keys or (standing.command == number and key[1][:1] == "(")
        ]
        return judge_end(
            End(
                worst=worst({judged.outcome for judged in mine}),
                exit_code=last.exit_code,
                refused=4 in {last.exit_code, *(session.exit for session in record.sessions.values())},
                complete=record.complete,
                collected=record.collected,
                failing=any(test.failures or test.state in ("failed", "error") for test in record.tests.values()),
                timed_out=last.timed_out,
                stalled=last.stalled,
                not_run=next((judged.reason for judged in mine if judged.outcome is Outcome.NOT_RUN), ""),
                tail=last.tail,
            )
        )

    # between two rounds

    async def _back(self, missed: frozenset[str]) -> None:
        """Wait within the budget until a service that a second run needs is back.

        Nobody waits for what was known to be down, unless that was asked for.

        The round that follows begins here: what was red before is of the past.
        """
        tools, limits = self.tools, self.tools.limits
        tools.looker.looks.since = time.time()
        while missed:
            self._say("probing", f"looking at {', '.join(sorted(missed))}")
            tools.looker.looks.since = time.time()
            await tools.looker.look(sorted(missed))
            if any(tools.looker.well(name) for name in missed):
                return
            waited_for = missed if tools.request.waits_for_dead else missed - set(tools.request.dead)
            pause = min(tools.request.delay_s or 0.5, limits.wait_left)
            now = time.monotonic()
            over = any(end is not None and now + pause >= end for end in (self._limit, limits.ends))
            if not waited_for or pause <= 0 or over:
                return
            self._say("waiting", f"waiting for {', '.join(sorted(waited_for))}, {limits.wait_left:.0f} s left")
            await asyncio.sleep(pause)
            limits.wait_left -= time.monotonic() - now

    def _say(self, phase: str, note: str) -> None:
        self.tools.teller.between(self.turn, self.record, phase, note, self.tools.breaker.open)


def _sessions(record: Record) -> set[str]:
    """Return the keys of the pytest sessions that were seen, so that a later round knows which of them to restrict."""
    return {session.key for session in record.sessions.values() if session.key and not session.worker}


def _why_not_run(execution: Execution) -> str:
    """Say why tests that were collected never ran."""
    record = execution.record
    if execution.timed_out or execution.stalled:
        return f"never reached: {execution.timed_out or execution.stalled}"
    if not record.complete:
        return f"never reached: pytest ended in the middle (exit code {execution.exit_code})"
    if record.gave_up is not None:
        return f"never reached: the suite ended its session ({message_of(record.gave_up)})"
    if record.interrupted:
        return f"never reached: {record.interrupted}"
    if any(test.collector and test.failures for test in record.tests.values()):
        return "never reached: errors during collection"
    if any(test.state in ("failed", "error") for test in record.tests.values()):
        return "never reached: stopped early (-x, --maxfail)"
    return "never reached"


def _left(execution: Execution) -> dict[str, list[str]]:
    """Return by rootdir the tests that an execution did not come to, or that other workers had begun when it was ended."""
    left: dict[str, list[str]] = {}
    stuck = execution.stuck
    for (root, name), test in execution.record.tests.items():
        if not test.state and not test.failures and not test.left_out and not test.collector and (root, name) != stuck:
            left.setdefault(root, []).append(name)
    return left


def _stalled(execution: Execution, name: str) -> Judged:
    """Judge what was in flight when an execution was ended: it waited for a service that was down."""
    stack = execution.stacks.get(name, "")
    service = execution.service
    return Judged(
        outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE, rule=3, service=service, fault=FaultCode.PROTO_SILENT,
        message=execution.stalled + (f"; {stack}" if stack else ""), reason=execution.stalled, again=True,
        needs=frozenset({service} if service else ()), trace=True, kinds=frozenset({"no progress"}),
    )  # fmt: skip


def _ended_in_the_middle(code: int) -> Judged:
    """Judge the test that ran when its process ended without saying so.

    A process that was killed from outside says nothing of the test; one that ended itself, or crashed, did so in the test.
    """
    if killed(code):
        return Judged(
            outcome=Outcome.NOT_RUN, rule=1, reason=f"pytest was killed in the middle of this test (exit code {code})"
        )
    message = f"pytest ended in the middle of this test (exit code {code})"
    return Judged(outcome=Outcome.ERROR, rule=1, message=message, reason="crash")


def _only(tests: Sequence[str]) -> dict[str, Any] | None:
    """Return what a first run is restricted to, whatever session it turns out to be; None runs everything."""
    return {"ids": {"": list(tests)}, "prefixes": {}, "seen": [], "every": True} if tests else None


def _again(batch: Batch, seen: Collection[str]) -> dict[str, Any] | None:
    """Return what a second run is restricted to; None runs everything, where the session never came to its tests.

    With a `whole` batch each test's class runs, or its file where it is in none.
    """
    ids: dict[str, list[str]] = {}
    prefixes: dict[str, list[str]] = {}
    for (root, name), standing in batch.standings.items():
        if name.startswith("("):
            return None
        if standing.test.collector:
            prefixes.setdefault(root, []).extend((name + "::", name + "/") if name else ("",))
        elif batch.whole:
            prefixes.setdefault(root, []).append(name.partition("[")[0].rpartition("::")[0] + "::")
        else:
            ids.setdefault(root, []).append(name)
    return {"ids": ids, "prefixes": prefixes, "seen": sorted(seen)}

"""Turn a pytest that somebody else started into the same judgement that `resilience test` gives; nothing is applied.

What holds tests back, which of them run again and what each came to is decided by the same functions in both.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from resilience import stand_ins as local
from resilience.core import codec
from resilience.core.errors import RecordError, ResilienceError
from resilience.core.mode import decide
from resilience.core.plan import held_markers, selection, staging_exports, staging_notes, taken_from_tests
from resilience.core.records import (
    ConnectivityStatus,
    Decision,
    InfrastructureHealth,
    PlannedCommand,
    StandIn,
    TestExecutionMode,
    TestSuiteResult,
)
from resilience.core.redact import Redactor
from resilience.core.settings import Service, Settings
from resilience.core.words import result_lines, staging_line, tests_line
from resilience.host.files import write_atomically
from resilience.runs import memory
from resilience.runs.looking import assess_document, look, look_as_tests_do, look_deeper
from resilience.runs.runbook import applied_run
from resilience.runs.stages import unapplied
from resilience.suite.following import Follower, Ground, Replayed
from resilience.suite.records import Instruments, Place, Progress, Request
from resilience.suite.testrun import judge_once, run_suite

CACHED_FOR = timedelta(seconds=60)
"""A look at all services that is younger serves the next pytest as well."""
BY_HAND = "by hand"
"""The provider of a stand-in that a person started and asked for by one of the guide's variables."""

Say = Callable[[Mapping[str, Any]], Awaitable[None]]
Hear = Callable[[], Awaitable[Mapping[str, Any] | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """How a pytest can run now: what was looked at, what was decided, and which stand-ins serve it."""

    health: InfrastructureHealth
    decision: Decision
    stand_ins: tuple[StandIn, ...] = ()

    @property
    def in_use(self) -> tuple[str, ...]:
        return tuple(stand_in.service for stand_in in self.stand_ins)


async def begin(settings: Settings) -> Begun:
    """Look, unless somebody did within the last minute, and decide as `resilience test` would; nothing is applied.

    The stand-ins that serve are those of a fallback that is applied, else those that a person asked for by a variable
    and that answer at their own address. Raises NotConfiguredError, SettingsError.
    """
    health = _looked(settings) or await look(settings)
    now = datetime.now(UTC)
    try:
        run = applied_run(settings)
    except RecordError:
        run = None  # `resilience status` says it; how the tests are to run does not wait for it
    applied = run.incident.applied if run is not None and run.applied_now else None
    if applied is not None:
        ready = tuple(stand_in for stand_in in applied.stand_ins if stand_in.ready)
        names = tuple(stand_in.service for stand_in in ready)
        return Begun(
            health=health,
            decision=decide(health, settings.services, settings.wishes, now=now, applied=applied.mode, in_use=names),
            stand_ins=ready,
        )
    decision = decide(health, settings.services, settings.wishes, now=now)
    asked = [service for service in settings.services if _asked_for(service, settings) and service.local]
    answers = await look_as_tests_do(settings, [s.name for s in asked], stood_in=[s.name for s in asked])
    serving = tuple(
        StandIn(service=name, type=answer.type, provider=BY_HAND, endpoint=answer.endpoint, ready=True, started_here=False)
        for name, answer in answers.items()
        if answer.status in (ConnectivityStatus.AVAILABLE, ConnectivityStatus.DEGRADED)
    )  # fmt: skip
    return Begun(health=health, decision=unapplied(decision, {one.service for one in serving}), stand_ins=serving)


def _asked_for(service: Service, settings: Settings) -> bool:
    wishes = settings.wishes
    return service.name in wishes.local_services or (wishes.private_network_down and bool(service.network))


def _looked(settings: Settings) -> InfrastructureHealth | None:
    """Return the last look at all services where it is fresh and of these very services."""
    path = memory.snapshot(settings.state)
    try:
        health = codec.from_json(path.read_bytes(), InfrastructureHealth, source=path)
    except (OSError, RecordError):
        return None
    known = {result.name: result.status is not ConnectivityStatus.NOT_CONFIGURED for result in health.services}
    same = known == {service.name: service.configured for service in settings.services}
    written = path.stat().st_mtime
    changed = settings.source is not None and settings.source.stat().st_mtime >= written
    return health if same and not changed and datetime.now(UTC) - health.started_at < CACHED_FOR else None


async def follow(settings: Settings, ground: Ground, say: Say, hear: Hear, *, command: str) -> TestSuiteResult:
    """Follow one pytest from its beginning to the last of its second runs; what it came to is said as `result`.

    `say` and `hear` exchange messages with who started it. Raises StarterGoneError where that one is gone.
    """
    begun = await begin(settings)
    snapshot = ground.folder / "snapshot.json"
    document = {**assess_document(begun.health, begun.decision), "in_use": begun.in_use}
    redactor = Redactor.of(settings.secrets, settings.services)
    write_atomically(snapshot, codec.to_json(codec.mapped(document, redactor.text)), mode=0o600, durable=False)

    async def tell(message: Mapping[str, Any]) -> None:
        if "begin" in message:
            message = {"begin": {**_beginning(settings, begun, snapshot), "told": message["begin"]}}
        await say(message)

    waiting: set[asyncio.Task[None]] = set()

    def told(progress: Progress) -> None:
        if progress.phase == "waiting" and not waiting:
            waiting.add(asyncio.ensure_future(tell({"waiting": redactor.text(progress.note)})))

    request, place, instruments = _asked(settings, begun, ground, command)
    instruments = replace(instruments, on_event=told)
    result = await run_suite(request, place, instruments, executor=Follower(ground, tell, hear))
    await asyncio.gather(*waiting)
    await say({"result": await _ending(settings, begun, result)})
    return result


async def replay(settings: Settings, ground: Ground, lines: Sequence[bytes]) -> Mapping[str, Any]:
    """Return what the events of one session came to, and what is to be run again when its services are well."""
    begun = await begin(settings)
    once = await judge_once(*_asked(settings, begun, ground, "pytest"), executor=Replayed(ground, list(lines)))
    return {
        **await _ending(settings, begun, once.result),
        "again": list(once.again),
        "needs": list(once.needs),
    }


def _beginning(settings: Settings, begun: Begun, snapshot: Path) -> dict[str, Any]:
    """Return what the tests' own process is told at its start: how staging is, and the variables to be had.

    Those are of the stand-ins in use, and of staging where the configuration hands its own values on; a stand-in in use is
    the later wish.
    """
    decision = begun.decision
    by_hand = [settings.service(one.service) for one in begun.stand_ins if one.provider == BY_HAND]
    environ = staging_exports(decision, begun.health, settings.planning, os.environ)
    for service in by_hand:
        if service is not None:
            environ |= service.local_values
            environ |= {name: value.reveal() for name, value in service.exports.items()}
    return {
        "schema": 1,
        "mode": decision.mode.value,
        # Plain pytest runs what can run: what is blocked elsewhere is held back here, test by test.
        "lines": [staging_line(begun.health), tests_line(replace(decision, blocked=False))],
        "reasons": list(decision.reasons),
        "looked_at": begun.health.started_at.isoformat(),
        "well": decision.mode is TestExecutionMode.FULL,
        "environ": environ,
        "notes": list(staging_notes(decision, begun.health, settings.planning, os.environ)),
        "taken": sorted(taken_from_tests(decision, settings.services, settings.wishes)),
        "snapshot": str(snapshot),
    }


async def _ending(settings: Settings, begun: Begun, result: TestSuiteResult) -> dict[str, Any]:
    """Return the result, with the two lines that a person reads first; staging is looked at again where anything was unwell."""
    health = begun.health
    failed = result.totals.failed + result.totals.error + result.totals.infrastructure_unavailable
    if failed or result.totals.undecided or result.totals.retried:
        try:
            health = await look(settings)
        except ResilienceError:
            health = begun.health  # what was known at the beginning is said, with the tests' own result
    first, *rest = result_lines(result)
    return {
        **codec.to_builtins(result),
        "schema": 1,
        "lines": [staging_line(health), first, *rest],
        "overall_status": health.overall_status.value,
    }


def _asked(settings: Settings, begun: Begun, ground: Ground, command: str) -> tuple[Request, Place, Instruments]:
    """Return what the suite's judgement is given, the same as of `resilience test` but for what is not ours to end."""
    decision = begun.decision
    ground.folder.joinpath("logs").mkdir(exist_ok=True)
    request = Request(
        commands=(PlannedCommand(command=command, select=selection(decision.mode, settings.modes, settings.wishes)),),
        mode=decision.mode,
        held=held_markers(decision, settings.services, settings.wishes),
        dead=decision.held,
        waits_for_dead=True,
        skipping=settings.wishes.skip_on_failure,
        attempts=settings.deadlines.retry_attempts,
        delay_s=settings.deadlines.retry_delay_s,
        stall_s=float("inf"),
    )
    place = Place(
        root=settings.root,
        folder=ground.folder,
        environ=dict(os.environ),
        services=settings.services,
        stand_ins=begun.stand_ins,
        uses=settings.state / "uses.json",
        secrets=settings.secrets,
    )
    instruments = Instruments(
        probe=lambda names: look_as_tests_do(settings, names, stood_in=begun.in_use),
        deeper=lambda name, depth: look_deeper(
            settings, name, writes=depth.writes, path=depth.path, stood_in=begun.in_use
        ),
        connections=local.connections,
        answers=local.answers,
    )
    return request, place, instruments


def ground_of(message: Mapping[str, Any]) -> Ground:
    """Return the folder and key that the starter's first message names."""
    ground = Ground(folder=Path(message["folder"]), run=str(message["run"]), key=str(message["key"]))
    ground.stacks.mkdir(exist_ok=True)
    return ground


def message_of(line: bytes) -> Mapping[str, Any] | None:
    """Return the message that a line holds, None where it holds none."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None

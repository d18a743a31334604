"""Run the team's commands in a mode, probing again and again what the tests reach, and return the result per test."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from pkgutil import resolve_name

from resilience import stand_ins as local
from resilience.core import codec
from resilience.core.errors import ResilienceError, SettingsError, UsageError
from resilience.core.plan import (
    child_environment,
    held_for,
    held_markers,
    selection,
    staging_exports,
    staging_notes,
    taken_from_tests,
)
from resilience.core.records import (
    Decision,
    ExitCode,
    InfrastructureHealth,
    Outcome,
    PlannedCommand,
    StandIn,
    TestExecutionMode,
    TestOutcome,
    TestSuiteResult,
    TestTotals,
    Verdict,
)
from resilience.core.settings import Settings
from resilience.core.taught import Taught, freshness, said
from resilience.core.urls import url_parts
from resilience.host import under_way
from resilience.host.files import read_env_file, write_atomically
from resilience.runs.folder import RunFolder
from resilience.runs.looking import assess_document, look, look_as_tests_do, look_deeper, samples_of
from resilience.runs.own_databases import logins, not_used
from resilience.suite.records import WORKERS, Door, Instruments, Place, Progress, Request
from resilience.suite.workers import workers_asked
from resilience.teach.exchange import Exchange
from resilience.teach.store import Store, rehearsal_of, taught_of
from resilience.teach.ways import led


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteOptions:
    """How a test run is told about, and where it is stopped. Limits in seconds; None: no limit.

    `exit_code` is "ours" or "original": what the command line ends with. `output` gets the bytes that the commands print.
    `folder` is where the commands run; None: at the repository's root, as those of the configuration do.

    `timeout_s` is for one command with all its rounds, `total_timeout_s` for all commands, `wait_for_services_s` for
    services to be back before tests are run again (None: attempts times delay). `on_progress` is called on the event
    loop and should return at once.
    """

    on_progress: Callable[[Progress], None] | None = None
    timeout_s: float | None = None
    total_timeout_s: float | None = None
    wait_for_services_s: float | None = None
    exit_code: str = "ours"
    output: Callable[[bytes], None] | None = None
    folder: Path | None = None


def commands_of(mode: TestExecutionMode, settings: Settings, select: str) -> tuple[PlannedCommand, ...]:
    """Return the configured commands of a mode, with `select` in the place of its selection. Raises SettingsError for none.

    The plan shows the same commands with their secrets masked; a plan that was read from a record cannot be run.
    """
    modes = settings.modes.get(mode)
    if modes is None or not modes.commands:
        raise SettingsError(
            name=f"[modes.{mode.value}] commands",
            source=str(settings.source or ""),
            expected="the commands that run your tests",
            hint="resilience test -- pytest tests/",
        )
    chosen = select or selection(mode, settings.modes, settings.wishes)
    return tuple(PlannedCommand(command=command, select=chosen) for command in modes.commands)


_OF_A_WORKER = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID")
"""What a worker of pytest-xdist has that runs us: the tests that we start are none of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Through:
    """How tests are led through a recorder: variables over all others, its ports, and where they note which test they are in."""

    environ: Mapping[str, str]
    doors: tuple[Door, ...]
    under_way: Path


async def run_commands(
    run: RunFolder,
    planned: Sequence[PlannedCommand],
    decision: Decision,
    health: InfrastructureHealth,
    options: SuiteOptions,
    *,
    on_staging: bool = False,
    through: Through | None = None,
) -> TestSuiteResult:
    """Run these commands as the team runs them; `on_staging` leaves a fallback that is applied out of account.

    The children get the environment of this process with the env file's values over it, and a snapshot of the last
    assessment, from which `is_service_available` answers inside the tests. The stand-ins are held while tests use them.

    The snapshot is redacted and may be read by the tests; secrets reach them only by the environment. Raises what
    `run_suite` raises; a hold on the stand-ins is released in any case.
    """
    # Here, as it brings the plug-in and the reader of events, 0.1 s that a look does without.
    from resilience.suite.testrun import run_suite

    settings = run.settings
    applied = run.incident.applied if run.applied_now and not on_staging else None
    stand_ins = tuple(stand_in for stand_in in applied.stand_ins if stand_in.ready) if applied else ()
    in_use = tuple(stand_in.service for stand_in in stand_ins)
    values = read_env_file(settings.env_file) if applied is not None and applied.env_file else {}
    snapshot = run.folder / "snapshot.json"
    document = codec.mapped({**assess_document(health, decision), "in_use": in_use}, run.redactor.text)
    write_atomically(snapshot, codec.to_json(document), mode=0o644, durable=False)
    # With a fallback that is left out of account the tests are for real staging, whatever the mode.
    taken = () if on_staging else taken_from_tests(decision, settings.services, settings.wishes)
    given = staging_exports(decision, health, settings.planning, os.environ)
    environ = child_environment(without_worker(os.environ), {**given, **values}, taken)
    environ["RESILIENCE_SNAPSHOT"] = str(snapshot)
    environ["PATH"] = settings.path(environ.get("PATH", os.defpath))
    notes = under_way.folder_in(settings.data) if any(one.provider == "mock" for one in stand_ins) else None
    asked = [one.command for one in planned]
    doors, workers, shared = await doors_of(settings, stand_ins, asked, environ)
    environ |= workers
    if through is not None:
        environ |= through.environ
        doors, notes = through.doors, through.under_way
    before = await logins(settings, stand_ins)
    local.hold(settings, run.incident.run)
    try:
        result = await run_suite(
            Request(
                commands=tuple(planned),
                mode=decision.mode,
                held=held_markers(decision, settings.services, settings.wishes),
                dead=decision.held,
                skipping=settings.wishes.skip_on_failure,
                exit_code=options.exit_code,
                attempts=settings.deadlines.retry_attempts,
                delay_s=settings.deadlines.retry_delay_s,
                timeout_s=options.timeout_s,
                total_timeout_s=options.total_timeout_s,
                wait_s=options.wait_for_services_s,
            ),
            Place(
                root=options.folder or settings.root,
                folder=run.folder,
                environ=environ,
                env_command=settings.env_command,
                services=settings.services,
                stand_ins=stand_ins,
                doors=doors,
                under_way=notes,
                proved=_proved(settings, in_use),
                uses=settings.state / "uses.json",
                secrets=settings.secrets,
            ),
            Instruments(
                probe=lambda names: look_as_tests_do(settings, names, stood_in=in_use),
                deeper=lambda name, depth: look_deeper(
                    settings, name, writes=depth.writes, path=depth.path, stood_in=in_use
                ),
                connections=local.connections,
                answers=local.answers,
                on_event=options.on_progress,
                output=options.output,
            ),
        )
        after = await logins(settings, stand_ins)
        shared += not_used(settings, before, after, [test.id for test in result.tests])
        told = staging_notes(decision, health, settings.planning, os.environ)
        taught = _of_the_taught(settings, stand_ins)
        told = (*(said(one, datetime.now(UTC), settings.teach.stale_days) for one in taught), *told)
        result = with_held(result, held_for(decision, settings.services), health)
        return replace(result, notes=(*told, *shared, *result.notes), taught=taught)
    finally:
        local.release(settings, run.incident.run)


async def run_and_look_again(
    run: RunFolder,
    planned: Sequence[PlannedCommand],
    decision: Decision,
    health: InfrastructureHealth,
    options: SuiteOptions,
) -> TestSuiteResult:
    """Run these commands; what fails on live staging is run once more on recordings, for one line of evidence."""
    result = await run_commands(run, planned, decision, health, options)
    return result if run.applied_now else await told_by_recordings(run.settings, result, planned)


async def told_by_recordings(
    settings: Settings,
    result: TestSuiteResult,
    planned: Sequence[PlannedCommand],
    live: Callable[[], Mapping[str, Sequence[Exchange]]] | None = None,
) -> TestSuiteResult:
    """Return the result of tests on live staging, with what recordings tell of those that failed: did staging change, or our code?

    `live` returns by service what these tests were told, where a recorder heard it.
    """
    failed = any(test.outcome in (Outcome.FAILED, Outcome.ERROR) and test.rounds for test in result.tests)
    if not failed or not any(service.teach for service in settings.services):
        return result
    # By name, as it brings the server of recordings, which a run without failures does without.
    look_again = resolve_name("resilience.runs.replaying:look_again")
    found: TestSuiteResult = await look_again(settings, result, planned, live=live() if live is not None else None)
    return found


def _of_the_taught(settings: Settings, stand_ins: Sequence[StandIn]) -> tuple[Taught, ...]:
    """Return what the stand-ins in use say again, and how far that was found to be like staging: it stands beside the result."""
    kept, now, days = Store(settings.state), datetime.now(UTC), settings.teach.stale_days
    names = [one.service for one in stand_ins if (service := settings.service(one.service)) and service.teach]
    current = [one for name in names for one in taught_of(kept, name) if one.current]
    old = f"older than {days:g} days"
    return tuple(
        replace(one, stale=old) if not one.stale and freshness(one.at, now, days) == "stale" else one for one in current
    )


def _proved(settings: Settings, in_use: Sequence[str]) -> frozenset[str]:
    """Return the tests that passed in a rehearsal on what each stand-in in use was taught."""
    kept = Store(settings.state)
    sets = [
        rehearsal_of(generation)[1]
        for name in in_use
        if (service := settings.service(name)) is not None and service.teach
        for generation in kept.current(name)
        if generation.source == "traffic"
    ]
    return frozenset().union(*sets)


def without_worker(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what makes a process a worker of pytest-xdist."""
    return {name: value for name, value in environ.items() if name not in _OF_A_WORKER}


async def doors_of(
    settings: Settings, stand_ins: Sequence[StandIn], commands: Sequence[str], environ: Mapping[str, str]
) -> tuple[tuple[Door, ...], dict[str, str], tuple[str, ...]]:
    """Return the ports at which stand-ins know the workers of pytest-xdist apart, and the variable that leads them there.

    A database that was taught has no such ports: each worker that these commands will start is led to a copy of its own. The third
    are sentences on those that could have none.
    """
    doors: list[Door] = []
    values: dict[str, list[str]] = {}
    notes: list[str] = []
    number = workers_asked(commands, settings.root, environ)
    for stand_in in stand_ins:
        service = settings.service(stand_in.service)
        if service is None or not service.teach:
            continue
        ports = await local.workers(service) if stand_in.provider == "mock" else ()
        parts = url_parts(service.local, service.kind)
        given = [led(service.exports, parts, port, tls=service.recorder_tls) for port in ports]
        doors += (Door(service=service.name, port=port, stand_in=True) for port in ports)
        if stand_in.started_here and not ports:
            copied = await local.copies(service, number)
            given = [dict(one) for one in copied.values]
            notes += [copied.why] if copied.why else []
        for one in given:
            for name, value in one.items():
                values.setdefault(name, []).append(value)
    return tuple(doors), {WORKERS: json.dumps(values)} if values else {}, tuple(notes)


def with_held(result: TestSuiteResult, services: Mapping[str, str], health: InfrastructureHealth) -> TestSuiteResult:
    """Return the result with service and fault at each test that was held back; `services` is by marker.

    A marker such as `staging` stands for many services: the one named is that for which the plan held it back.
    """

    def named(test: TestOutcome) -> TestOutcome:
        if test.rounds or test.outcome is not Outcome.INFRASTRUCTURE_UNAVAILABLE:
            return test
        markers = (marker for marker, why in result.held.items() if why == test.reason and marker in services)
        service = test.service or services.get(next(markers, ""))
        found = health.result(service) if service else None
        return replace(test, service=service, fault=test.fault or (found.fault if found is not None else None))

    return replace(result, tests=tuple(named(test) for test in result.tests))


@asynccontextmanager
async def sampling(run: RunFolder, stage: str) -> AsyncIterator[None]:
    """Look at staging in the background, so that the charts show what it did meanwhile.

    An error of a look is passed over: the tests are what matters now. The first look comes after `interval_s` seconds
    of [recovery].
    """

    async def go_on() -> None:
        while True:
            await asyncio.sleep(run.settings.recovery.interval_s)
            with suppress(ResilienceError):
                health = await look(run.settings, remember=False)
                run.add_samples(samples_of(health, stage))

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def refuse_unstarted(result: TestSuiteResult) -> None:
    """Raise UsageError where the shell found none of the commands, or may run none: that says nothing about the product.

    Beside a command that ran it is no reason to drop that one's result, which then tells of the others in its notes.
    """
    unstarted = [command for command in result.commands if command.kind == "other" and command.exit_code in (126, 127)]
    if unstarted and len(unstarted) == len(result.commands):
        first = unstarted[0]
        found = "was not found" if first.exit_code == 127 else "may not be run"
        raise UsageError(
            f"the test command {first.command!r} {found} (exit code {first.exit_code} of the shell).",
            hint="check it where you type this, or [modes.*] commands in the configuration",
        )


def narrowed(mode: TestExecutionMode, select: str) -> str:
    """Return what the mode leaves out of a command that a person typed, and what to type to run all of it."""
    return (
        f'mode {mode.value} runs only the tests marked "{select}". '
        "All tests of your command: resilience test --force full -- COMMAND; other markers: --select EXPRESSION"
    )


def left_out_by_mode(result: TestSuiteResult) -> int:
    """Count the tests that the mode's selection left out, those of the command's own selection not among them."""
    return sum(
        test.outcome is Outcome.DESELECTED and (test.reason or "").startswith("left out by mode")
        for test in result.tests
    )


def selected_nothing(result: TestSuiteResult) -> bool:
    """Say whether all tests there are were deselected, as where a team marks none as critical.

    Only where every command is pytest: of others nothing is known of what was selected.
    """
    counted = all(command.kind == "pytest" for command in result.commands)
    return counted and 0 < result.total_tests == result.totals.deselected


def blocked_result(decision: Decision | None) -> TestSuiteResult:
    """Return the result of a test run that did not take place, because infrastructure blocks it."""
    return TestSuiteResult(
        mode=decision.mode if decision else TestExecutionMode.FULL,
        started_at=datetime.now(UTC),
        duration_s=0.0,
        exit_code=ExitCode.BLOCKED,
        commands=(),
        totals=TestTotals(),
        tests=(),
        verdict=Verdict.INFRASTRUCTURE_UNAVAILABLE,
        notes=decision.reasons if decision else (),
        held=decision.held if decision else {},
    )


def interrupted_result(decision: Decision | None, partial: TestSuiteResult | None, code: int) -> TestSuiteResult:
    """Return what is known of a test run that a signal ended with this exit code: its partial result, or one without tests."""
    known = partial or replace(blocked_result(decision), notes=("interrupted before the first test",))
    return replace(known, verdict=Verdict.INTERRUPTED, exit_code=code)

"""Run the team's commands in a mode, probing again and again what the tests reach, and return the result per test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from resilience.core import codec
from resilience.core.errors import ResilienceError, RunbookError, SettingsError
from resilience.core.plan import SELECT, child_environment, held_markers
from resilience.core.records import (
    Decision,
    ExitCode,
    InfrastructureHealth,
    Plan,
    PlannedCommand,
    TestExecutionMode,
    TestSuiteResult,
    TestTotals,
    Verdict,
)
from resilience.core.settings import Settings
from resilience.host.files import read_env_file, write_atomically
from resilience.runs.folder import RunFolder
from resilience.runs.looking import assess_document, look, look_as_tests_do, look_deeper, samples_of

if TYPE_CHECKING:
    from resilience.suite.records import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteOptions:
    """How a test run is told about, and where it is stopped. Limits in seconds; None: no limit.

    `exit_code` is "ours" or "original": what the command line ends with. `output` gets the bytes that the commands print.
    """

    on_progress: Callable[[Progress], None] | None = None
    timeout_s: float | None = None
    total_timeout_s: float | None = None
    wait_for_services_s: float | None = None
    exit_code: str = "ours"
    output: Callable[[bytes], None] | None = None


def selection(settings: Settings, mode: TestExecutionMode) -> str:
    """Return the marker expression of a mode: the configured one, else the guide's."""
    modes = settings.modes.get(mode)
    return (modes.select if modes else "") or SELECT.get(mode, "")


def commands_of(plan: Plan, mode: TestExecutionMode, settings: Settings, select: str) -> tuple[PlannedCommand, ...]:
    """Return the planned commands, with `select` in the place of their own selection. Raises SettingsError for none."""
    if not plan.commands:
        raise SettingsError(
            name=f"[modes.{mode.value}] commands",
            source=str(settings.source or ""),
            expected="the commands that run your tests",
            hint="resilience test -- pytest tests/",
        )
    return tuple(replace(command, select=select or command.select) for command in plan.commands)


async def run_commands(
    run: RunFolder,
    planned: Sequence[PlannedCommand],
    decision: Decision,
    health: InfrastructureHealth,
    options: SuiteOptions,
    *,
    on_staging: bool = False,
) -> TestSuiteResult:
    """Run these commands as the team runs them; `on_staging` leaves a fallback that is applied out of account.

    The children get the environment of this process with the env file's values over it, and a snapshot of the last
    assessment, from which `is_service_available` answers inside the tests. The stand-ins are held while tests use them.
    """
    # Here, as they bring the protocols of all kinds and the reader of events, which a look does without.
    from resilience import stand_ins as local
    from resilience.suite.records import Instruments, Place, Request
    from resilience.suite.testrun import run_suite

    settings = run.settings
    applied = run.incident.applied if run.applied_now and not on_staging else None
    stand_ins = tuple(stand_in for stand_in in applied.stand_ins if stand_in.ready) if applied else ()
    in_use = tuple(stand_in.service for stand_in in stand_ins)
    values = read_env_file(settings.env_file) if applied is not None and applied.env_file else {}
    snapshot = run.folder / "snapshot.json"
    document = codec.mapped({**assess_document(health, decision), "in_use": in_use}, run.redactor.text)
    write_atomically(snapshot, codec.to_json(document), mode=0o644, durable=False)
    environ = child_environment(os.environ, values) | {"RESILIENCE_SNAPSHOT": str(snapshot)}
    environ["PATH"] = settings.path(environ.get("PATH", os.defpath))
    local.hold(settings, run.incident.run)
    try:
        return await run_suite(
            Request(
                commands=tuple(planned),
                mode=decision.mode,
                held=held_markers(decision, settings),
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
                root=settings.root,
                folder=run.folder,
                environ=environ,
                env_command=settings.env_command,
                services=settings.services,
                stand_ins=stand_ins,
                secrets=settings.secrets,
            ),
            Instruments(
                probe=lambda names: look_as_tests_do(settings, names, stood_in=in_use),
                deeper=lambda name, depth: look_deeper(
                    settings, name, writes=depth.writes, path=depth.path, stood_in=in_use
                ),
                connections=local.connections,
                on_event=options.on_progress,
                output=options.output,
            ),
        )
    finally:
        local.release(settings, run.incident.run)


@asynccontextmanager
async def sampling(run: RunFolder, stage: str) -> AsyncIterator[None]:
    """Look at staging in the background, so that the charts show what it did meanwhile."""

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
    """Raise RunbookError for a command that the shell did not find, or may not run: it says nothing about the product."""
    for command in result.commands:
        if command.kind == "other" and command.exit_code in (126, 127):
            found = "was not found" if command.exit_code == 127 else "may not be run"
            raise RunbookError(
                f"the test command {command.command!r} {found} (exit code {command.exit_code} of the shell).",
                hint="check it where you type this, or [modes.*] commands in the configuration",
            )


def selected_nothing(result: TestSuiteResult) -> bool:
    """Say whether all tests there are were deselected, as where a team marks none as critical."""
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

"""Bring the tests back to staging: wait for it, restore, run the critical tests on it, then the full suite, and report."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import replace

from resilience.core.records import CommandEnd, ExitCode, RecoveryCheck, TestExecutionMode, TestSuiteResult, Verdict
from resilience.core.settings import Settings
from resilience.core.verdict import exit_code_of
from resilience.runs import stages
from resilience.runs.folder import RunFolder
from resilience.runs.testing import selected_nothing

VERB = "recover"


async def recover(
    run: RunFolder,
    *,
    wait_s: float,
    tests: bool = True,
    on_check: Callable[[RecoveryCheck], None] | None = None,
    take_over: bool = False,
    output: Callable[[bytes], None] | None = None,
) -> int:
    """Wait for staging to stay healthy, restore, run the critical tests on it, then the full suite.

    Return the exit code: that of the tests on recovered staging; where none were run, 0 for what was restored. What the run
    came to, by its tests on stand-ins too, stands beside it in the record.

    Waiting never locks. Where staging does not come back in `wait_s` seconds nothing is changed: exit code 124, or
    that of `assess` where nothing was waited for. The full suite is left out where infrastructure takes the critical
    tests.

    `tests` false ends after the restore. `on_check` is told of each look. Raises EditedError, LockedError from the
    restore: then staging is back and the fallback is still applied.
    """
    recovery = await stages.validate_recovery(run, wait_s=wait_s, on_check=on_check)
    if not recovery.recovered:
        return _given_up(run, waited=bool(wait_s))
    await stages.restore(run, take_over=take_over)
    code = await _tests_on_staging(run, take_over=take_over, output=output) if tests else ExitCode.PASSED
    stages.report(run, command=CommandEnd(verb=VERB, exit_code=code))
    return code


def _given_up(run: RunFolder, *, waited: bool) -> int:
    """Report a staging that did not come back; return 124 where it was waited for, else what the last look found."""
    latest = run.incident.latest
    code = ExitCode.TIMED_OUT if waited or latest is None else exit_code_of(latest.overall_status)
    timed_out = code == ExitCode.TIMED_OUT
    stages.report(
        run,
        verdict=Verdict.TIMED_OUT if timed_out else None,
        exit_code=code if timed_out else None,
        command=CommandEnd(verb=VERB, exit_code=code),
    )
    return code


_PYTEST = re.compile(r"\s*((?:[^\s;|&]+\s+){0,5}?(?:[^\s;|&]*/)?pytest)(?=\s|$)")
_COLLECTED = re.compile(r"^(?:=* ?)?(\d+)(?:/\d+)? tests? collected", re.M)
_COLLECT_S = 120.0


def full_suite(settings: Settings) -> tuple[str, ...]:
    """Return what runs all tests after a recovery: `[recovery] commands`, else pytest alone, else the commands of mode full.

    Pytest is called as the configured commands call it, without their paths and options: these choose a part of the suite.
    """
    if settings.recovery.commands:
        return settings.recovery.commands
    commands = _commands(settings, TestExecutionMode.FULL)
    plain = plain_suite(settings)
    return (plain,) if plain and all(_PYTEST.match(command) for command in commands) else commands


def plain_suite(settings: Settings) -> str:
    """Return how pytest is called in this repository, without any paths and options; empty where no command is pytest."""
    commands = [command for mode in TestExecutionMode for command in _commands(settings, mode)]
    found = next((match for command in commands if (match := _PYTEST.match(command))), None)
    return found[1] if found else ""


def _commands(settings: Settings, mode: TestExecutionMode) -> tuple[str, ...]:
    modes = settings.modes.get(mode)
    return modes.commands if modes else ()


async def _of_all(result: TestSuiteResult, settings: Settings) -> tuple[str, ...]:
    """Return a note on how many of the tests that plain pytest collects were run; none where that cannot be counted."""
    plain = plain_suite(settings)
    if not plain:
        return ()
    environ = dict(os.environ) | {"PATH": settings.path(os.environ.get("PATH", os.defpath))}
    process = await asyncio.create_subprocess_shell(
        f"{plain} --collect-only -q -p no:cacheprovider",
        cwd=settings.root,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), _COLLECT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return ()
    found = _COLLECTED.search(printed.decode("utf-8", "replace"))
    ran = result.total_tests - result.totals.deselected - result.totals.not_run
    return (
        (f"the full suite: {ran:,} of the {int(found[1]):,} tests that `{plain}` collects were run",) if found else ()
    )


async def _tests_on_staging(run: RunFolder, *, take_over: bool, output: Callable[[bytes], None] | None) -> int:
    """Run the critical tests, then all, on the real staging; return the worse exit code of the two.

    What infrastructure takes from the critical tests it would take from all: then the full suite is left out.
    """
    codes = [ExitCode.PASSED]
    for field, mode in (("critical_tests", TestExecutionMode.CRITICAL_ONLY), ("full_tests", TestExecutionMode.FULL)):
        commands = full_suite(run.settings) if mode is TestExecutionMode.FULL else ()
        result = await stages.run_on_staging(run, mode, commands=commands, output=output, take_over=take_over)
        if result is None:
            continue
        if mode is TestExecutionMode.FULL:
            result = replace(result, notes=(*result.notes, *await _of_all(result, run.settings)))
        if selected_nothing(result):
            run.note(f"no test is selected by mode {mode.value}; nothing was run in it")
            continue
        run.save(**{field: result})
        codes.append(result.exit_code)
        if result.exit_code in (ExitCode.BLOCKED, ExitCode.UNKNOWN):
            break
    return ExitCode.worst(*codes)

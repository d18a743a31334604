"""Bring the tests back to staging: wait for it, restore, run the critical tests on it, then the full suite, and report."""

from __future__ import annotations

from collections.abc import Callable

from resilience.core.records import ExitCode, RecoveryCheck, TestExecutionMode, Verdict
from resilience.core.verdict import exit_code_of
from resilience.runs import stages
from resilience.runs.folder import RunFolder
from resilience.runs.testing import selected_nothing


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

    Return the exit code.

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
    stages.report(run)
    return code


def _given_up(run: RunFolder, *, waited: bool) -> int:
    """Report a staging that did not come back; return 124 where it was waited for, else what the last look found."""
    latest = run.incident.latest
    code = ExitCode.TIMED_OUT if waited or latest is None else exit_code_of(latest.overall_status)
    timed_out = code == ExitCode.TIMED_OUT
    stages.report(run, verdict=Verdict.TIMED_OUT if timed_out else None, exit_code=code if timed_out else None)
    return code


async def _tests_on_staging(run: RunFolder, *, take_over: bool, output: Callable[[bytes], None] | None) -> int:
    """Run the critical tests, then all, on the real staging; return the worse exit code of the two.

    What infrastructure takes from the critical tests it would take from all: then the full suite is left out.
    """
    codes = [ExitCode.PASSED]
    for field, mode in (("critical_tests", TestExecutionMode.CRITICAL_ONLY), ("full_tests", TestExecutionMode.FULL)):
        result = await stages.run_on_staging(run, mode, output=output, take_over=take_over)
        if result is None:
            continue
        if selected_nothing(result):
            run.note(f"no test is selected by mode {mode.value}; nothing was run in it")
            continue
        run.save(**{field: result})
        codes.append(result.exit_code)
        if result.exit_code in (ExitCode.BLOCKED, ExitCode.UNKNOWN):
            break
    return ExitCode.worst(*codes)

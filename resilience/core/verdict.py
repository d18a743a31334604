"""Turn the results of a test run into what it proved: the verdict and the exit code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from resilience.core.records import (
    CommandResult,
    ExitCode,
    Outcome,
    Reached,
    TestExecutionMode,
    TestOutcome,
    TestTotals,
    Verdict,
)


def totals(tests: Iterable[TestOutcome]) -> TestTotals:
    """Count tests by outcome; `retried` and `passed_on_retry` overlap the others."""
    counts: dict[str, int] = {}
    retried = passed = 0
    for test in tests:
        counts[test.outcome.value] = counts.get(test.outcome.value, 0) + 1
        if test.rounds > 1:
            retried += 1
            passed += test.outcome in (Outcome.PASSED, Outcome.XFAILED, Outcome.XPASSED)
    return TestTotals(**counts, retried=retried, passed_on_retry=passed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a whole run proved."""

    verdict: Verdict
    exit_code: int
    notes: tuple[str, ...] = ()


def prove(
    *,
    mode: TestExecutionMode,
    tests: Sequence[TestOutcome],
    commands: Sequence[CommandResult],
    reached: Sequence[Reached] = (),
    stand_ins: bool = False,
    blocked: bool = False,
    interrupted: int | None = None,
    timed_out: bool = False,
    unknown: Sequence[str] = (),
    runner_failed: str = "",
) -> Proof:
    """Return the verdict and the exit code; where several apply, the order of `contracts.md` decides."""
    counts = totals(tests)
    ran = counts.passed + counts.failed + counts.error + counts.skipped + counts.xfailed + counts.xpassed
    whole = [command for command in commands if command.kind not in ("pytest", "junit")]
    codes: list[int] = []
    notes: list[str] = []
    if runner_failed:
        codes.append(ExitCode.RUNBOOK_FAILED)
        notes.append(runner_failed)
    if interrupted is not None:
        codes.append(interrupted)
    if timed_out or counts.timeout or any(command.outcome is Outcome.TIMEOUT for command in commands):
        codes.append(ExitCode.TIMED_OUT)
    if counts.failed or counts.error or any(command.outcome in (Outcome.FAILED, Outcome.ERROR) for command in commands):
        codes.append(ExitCode.PRODUCT_FAILURES)
    if blocked or any(command.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE for command in whole):
        codes.append(ExitCode.BLOCKED)
    doubts = list(unknown)
    if not commands:
        doubts.append("no command was run")
    if not ran and not blocked and not any(command.outcome is Outcome.PASSED for command in whole):
        doubts.append("no test ran")
    if counts.not_run and not (counts.failed or counts.error or blocked):
        doubts.append(f"{counts.not_run} tests were never reached")
    doubts.extend(
        f"tests did not use the stand-in for {one.service}{': ' + one.detail if one.detail else ''}"
        for one in reached
        if one.canary is False
    )
    if doubts:
        codes.append(ExitCode.UNKNOWN)
        notes.extend(doubts)
    if counts.stand_in_gap or counts.infrastructure_unavailable or stand_ins or mode is not TestExecutionMode.FULL:
        codes.append(ExitCode.NOT_A_FULL_PASS)
    code = ExitCode.worst(*codes) if codes else ExitCode.PASSED
    verdict = {
        ExitCode.RUNBOOK_FAILED: Verdict.RUNBOOK_FAILED,
        ExitCode.INTERRUPTED: Verdict.INTERRUPTED,
        ExitCode.TERMINATED: Verdict.INTERRUPTED,
        ExitCode.TIMED_OUT: Verdict.TIMED_OUT,
        ExitCode.PRODUCT_FAILURES: Verdict.PRODUCT_FAILURES,
        ExitCode.BLOCKED: Verdict.INFRASTRUCTURE_UNAVAILABLE,
        ExitCode.UNKNOWN: Verdict.UNKNOWN,
        ExitCode.NOT_A_FULL_PASS: Verdict.PASSED_ON_STAND_INS,
    }.get(code, Verdict.PASSED)
    return Proof(verdict=verdict, exit_code=code, notes=tuple(dict.fromkeys(notes)))

"""Turn the results of a test run, or the records of a whole run, into what it proved: one verdict and one exit code.

The notebook and the command line ask the same rules. Each rule stands in a table with its reason; where several apply to one
test run, the order of `contracts.md` (`ExitCode.ORDER`) decides, and of a whole run's rules the first that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from resilience.core.records import (
    CommandEnd,
    CommandResult,
    ConnectivityStatus,
    ExitCode,
    Incident,
    Outcome,
    Reached,
    StageName,
    StageStatus,
    TestExecutionMode,
    TestOutcome,
    TestTotals,
    Verdict,
)


def totals(tests: Iterable[TestOutcome]) -> TestTotals:
    """Count tests by outcome; `retried` and `passed_on_retry` overlap the others.

    A test that was held back counts by its outcome and not as retried, as it has no round.
    """
    counts: dict[str, int] = {}
    retried = passed = 0
    for test in tests:
        counts[test.outcome.value] = counts.get(test.outcome.value, 0) + 1
        if test.rounds > 1:
            retried += 1
            passed += test.outcome in (Outcome.PASSED, Outcome.XFAILED, Outcome.XPASSED)
    return TestTotals(**counts, retried=retried, passed_on_retry=passed)


# --- one test run


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What one test run left, as the rules ask for it.

    `reached` are the stand-ins' own counts; `runner_failed` is our own error, in words, and empty where there was
    none.
    """

    mode: TestExecutionMode
    counts: TestTotals
    commands: tuple[CommandResult, ...]
    reached: tuple[Reached, ...] = ()
    stand_ins: bool = False
    blocked: bool = False
    """Whether an outage took tests that the plan had not held back, or left nothing that ran."""
    interrupted: int | None = None
    timed_out: bool = False
    unknown: tuple[str, ...] = ()
    """Why commands proved nothing, one text each."""
    trouble: tuple[str, ...] = ()
    """What went wrong inside our own pytest plug-in, which read the tests' outcomes."""
    runner_failed: str = ""

    @property
    def whole(self) -> tuple[CommandResult, ...]:
        """The commands that are judged as a whole, since nothing is known of their single tests."""
        return tuple(command for command in self.commands if command.kind not in ("pytest", "junit"))

    @property
    def product_failed(self) -> bool:
        return bool(self.counts.failed or self.counts.error)

    @property
    def ran(self) -> int:
        """How many tests got to say something: held back, timed out, never reached and deselected ones did not."""
        counts = self.counts
        said = counts.passed + counts.failed + counts.error + counts.skipped + counts.xfailed + counts.xpassed
        return said + counts.stand_in_gap + counts.undecided

    def any_command(self, *found: Outcome) -> bool:
        return any(command.outcome in found for command in self.commands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of what a test run proves: the exit code where it applies, the notes it leaves, and why it is so.

    `applies` returns the notes that go into the result, or whether the rule applies where it has nothing to add.

    A rule that applies always counts; which one becomes the verdict is decided by the order of the codes, not by its
    place.
    """

    name: str
    verdict: Verdict
    code: int | None
    """None: the code is the signal's, `Results.interrupted`."""
    applies: Callable[[Results], bool | tuple[str, ...]]
    reason: str


def _not_reached(results: Results) -> tuple[str, ...]:
    return tuple(
        f"tests did not use {one.service if one.on_staging else 'the stand-in for ' + one.service}"
        f"{' on staging' if one.on_staging else ''}{': ' + one.detail if one.detail else ''}"
        for one in results.reached
        if one.canary is False
    )


def _nothing_ran(results: Results) -> tuple[str, ...]:
    passed = any(command.outcome is Outcome.PASSED for command in results.whole)
    return () if results.ran or results.blocked or passed else ("no test ran",)


def _left_over(results: Results) -> tuple[str, ...]:
    explained = results.product_failed or results.blocked or results.counts.undecided
    return (f"{results.counts.not_run} tests were never reached",) if results.counts.not_run and not explained else ()


RULES: tuple[Rule, ...] = (
    Rule(
        name="the runbook failed",
        verdict=Verdict.RUNBOOK_FAILED,
        code=ExitCode.RUNBOOK_FAILED,
        applies=lambda r: (r.runner_failed,) if r.runner_failed else (),
        reason="what our own error left unread may have been anything",
    ),
    Rule(
        name="interrupted",
        verdict=Verdict.INTERRUPTED,
        code=None,
        applies=lambda r: r.interrupted is not None,
        reason="a person or a scheduler ended it; what was known stays, and is not the whole",
    ),
    Rule(
        name="timed out",
        verdict=Verdict.TIMED_OUT,
        code=ExitCode.TIMED_OUT,
        applies=lambda r: r.timed_out or bool(r.counts.timeout) or r.any_command(Outcome.TIMEOUT),
        reason="a test that never ended hides those behind it, so that this comes before what the others said",
    ),
    Rule(
        name="product failures",
        verdict=Verdict.PRODUCT_FAILURES,
        code=ExitCode.PRODUCT_FAILURES,
        applies=lambda r: not r.trouble and (r.product_failed or r.any_command(Outcome.FAILED, Outcome.ERROR)),
        reason="a bug that was seen stays seen, whatever else an outage took; but not through an eye that is broken",
    ),
    Rule(
        name="blocked by infrastructure",
        verdict=Verdict.INFRASTRUCTURE_UNAVAILABLE,
        code=ExitCode.BLOCKED,
        applies=lambda r: r.blocked or any(one.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE for one in r.whole),
        reason="tests that were to run did not get to say anything",
    ),
    Rule(
        name="undecided",
        verdict=Verdict.UNDECIDED,
        code=ExitCode.BLOCKED,
        applies=lambda r: bool(r.counts.undecided) or r.any_command(Outcome.UNDECIDED),
        reason="what may be a bug is no outage, and what may be an outage is no bug: both would be a lie",
    ),
    Rule(
        name="a command proved nothing",
        verdict=Verdict.UNKNOWN,
        code=ExitCode.UNKNOWN,
        applies=lambda r: r.unknown,
        reason="a command that was killed, misused or never started has no verdict of its own",
    ),
    Rule(
        name="our plug-in had trouble",
        verdict=Verdict.UNKNOWN,
        code=ExitCode.UNKNOWN,
        applies=lambda r: r.trouble,
        reason="what was read of the tests may be ours and not theirs, in either direction",
    ),
    Rule(
        name="no command",
        verdict=Verdict.UNKNOWN,
        code=ExitCode.UNKNOWN,
        applies=lambda r: () if r.commands else ("no command was run",),
        reason="nothing that ran is nothing that passed",
    ),
    Rule(
        name="no test ran",
        verdict=Verdict.UNKNOWN,
        code=ExitCode.UNKNOWN,
        applies=_nothing_ran,
        reason="a selection that is empty must not look green",
    ),
    Rule(
        name="tests were left over",
        verdict=Verdict.UNKNOWN,
        code=ExitCode.UNKNOWN,
        applies=_left_over,
        reason="the run ended early, and neither a failure nor an outage says why",
    ),
    Rule(
        name="another server was used",
        verdict=Verdict.UNKNOWN,
        code=ExitCode.UNKNOWN,
        applies=_not_reached,
        reason="tests that passed against something else say nothing about what they were to be run on",
    ),
    Rule(
        name="only gaps of the stand-ins",
        verdict=Verdict.STAND_IN_GAPS,
        code=ExitCode.NOT_A_FULL_PASS,
        applies=lambda r: bool(r.counts.stand_in_gap),
        reason="nothing failed but what a stand-in lacks: whoever reads it has to mend the stand-in, not the product",
    ),
    Rule(
        name="not a full pass",
        verdict=Verdict.PASSED_ON_STAND_INS,
        code=ExitCode.NOT_A_FULL_PASS,
        applies=lambda r: (
            bool(r.counts.infrastructure_unavailable) or r.stand_ins or r.mode is not TestExecutionMode.FULL
        ),
        reason="stand-ins and a reduced selection prove less than real staging does",
    ),
)
"""What one test run proves. Every rule that applies counts; the worst code wins, and of its rules the first is the verdict."""

VERDICTS: Mapping[int, Verdict] = {
    ExitCode.RUNBOOK_FAILED: Verdict.RUNBOOK_FAILED,
    ExitCode.KILLED: Verdict.KILLED,
    ExitCode.INTERRUPTED: Verdict.INTERRUPTED,
    ExitCode.TERMINATED: Verdict.INTERRUPTED,
    ExitCode.TIMED_OUT: Verdict.TIMED_OUT,
    ExitCode.PRODUCT_FAILURES: Verdict.PRODUCT_FAILURES,
    ExitCode.BLOCKED: Verdict.INFRASTRUCTURE_UNAVAILABLE,
    ExitCode.UNKNOWN: Verdict.UNKNOWN,
    ExitCode.NOT_A_FULL_PASS: Verdict.PASSED_ON_STAND_INS,
    ExitCode.PASSED: Verdict.PASSED,
}
"""What an exit code says by itself. A verdict that shares its code stands in `_SHARED`."""
_SHARED: Mapping[Verdict, int] = {
    Verdict.UNDECIDED: ExitCode.BLOCKED,
    Verdict.STAND_IN_GAPS: ExitCode.NOT_A_FULL_PASS,
}


def code_of(verdict: Verdict) -> int:
    """Return the exit code of a verdict, also where the tests' own was replaced by that of the team's command.

    A verdict without a code of its own, `running`, is 0.
    """
    own = next((code for code, found in VERDICTS.items() if found is verdict), ExitCode.PASSED)
    return _SHARED.get(verdict, own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a test run proved. `because` names the rules that applied.

    `notes` are sentences for people, each once, in the order of the rules.
    """

    verdict: Verdict
    exit_code: int
    notes: tuple[str, ...] = ()
    because: tuple[str, ...] = ()


def prove(results: Results) -> Proof:
    """Return what a test run proved: of all rules that apply, the one whose code stands first in `ExitCode.ORDER`.

    No rule applies to tests that all passed in mode full on staging: that alone is `passed`, and 0.
    """
    fitting = [(rule, found) for rule in RULES if (found := rule.applies(results))]
    codes = [results.interrupted or ExitCode.INTERRUPTED if rule.code is None else rule.code for rule, _ in fitting]
    code = ExitCode.worst(*codes)
    notes = (note for _, found in fitting if isinstance(found, tuple) for note in found)
    return Proof(
        verdict=next(
            (rule.verdict for (rule, _), own in zip(fitting, codes, strict=True) if own == code), Verdict.PASSED
        ),
        exit_code=code,
        notes=tuple(dict.fromkeys(notes)),
        because=tuple(rule.name for rule, _ in fitting),
    )


# --- a look, and a whole run


def exit_code_of(status: ConnectivityStatus) -> int:
    """Return the exit code of `assess`, `mode` and `plan` for an overall status."""
    return {
        ConnectivityStatus.AVAILABLE: ExitCode.PASSED,
        ConnectivityStatus.DEGRADED: ExitCode.NOT_A_FULL_PASS,
        ConnectivityStatus.UNAVAILABLE: ExitCode.BLOCKED,
    }.get(status, ExitCode.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRule:
    """One rule of what a whole run comes to; `judge` returns None where it does not fit."""

    name: str
    judge: Callable[[Incident], tuple[Verdict, int] | None]
    reason: str


def _by_stage(verdict: Verdict, *statuses: StageStatus) -> Callable[[Incident], tuple[Verdict, int] | None]:
    """Return what judges by the stages that ended so: the verdict, with the worst of the codes that they recorded.

    The report is left out, since it is made whatever happened before. A stage without a code counts with the verdict's own.
    """

    def judge(incident: Incident) -> tuple[Verdict, int] | None:
        ended = [s for s in incident.stages if s.status in statuses and s.name is not StageName.REPORT]
        codes = (code_of(verdict) if stage.exit_code is None else stage.exit_code for stage in ended)
        return (verdict, ExitCode.worst(*codes)) if ended else None

    return judge


def _report(incident: Incident) -> tuple[Verdict, int] | None:
    """Judge by the code that the report recorded: that of a signal, of a time-out, or that nothing could make it."""
    stage = incident.stage(StageName.REPORT)
    if stage is None or stage.exit_code is None:
        return None
    return VERDICTS.get(stage.exit_code, Verdict.RUNBOOK_FAILED), stage.exit_code


def _on_recovered_staging(incident: Incident) -> tuple[Verdict, int] | None:
    results = [result for result in (incident.critical_tests, incident.full_tests) if result is not None]
    if not results:
        return None
    code = ExitCode.worst(*(result.exit_code for result in results))
    return next(result.verdict for result in results if result.exit_code == code), code


def _tests(incident: Incident) -> tuple[Verdict, int] | None:
    return (incident.tests.verdict, incident.tests.exit_code) if incident.tests is not None else None


def _blocked(incident: Incident) -> tuple[Verdict, int] | None:
    blocked = incident.decision is not None and incident.decision.blocked
    return (Verdict.INFRASTRUCTURE_UNAVAILABLE, ExitCode.BLOCKED) if blocked else None


def _last_look(incident: Incident) -> tuple[Verdict, int] | None:
    if incident.latest is None:
        return Verdict.UNKNOWN, ExitCode.UNKNOWN
    status = incident.latest.overall_status
    down = status is ConnectivityStatus.UNAVAILABLE
    return Verdict.INFRASTRUCTURE_UNAVAILABLE if down else Verdict.UNKNOWN, exit_code_of(status)


RUN_RULES: tuple[RunRule, ...] = (
    RunRule(
        name="a stage failed",
        judge=_by_stage(Verdict.RUNBOOK_FAILED, StageStatus.FAILED, StageStatus.KILLED, StageStatus.STARTED),
        reason="a stage that only started belongs to a process that was killed: nothing is known of what it was at",
    ),
    RunRule(
        name="the report was cut short",
        judge=_report,
        reason="a run that could leave no report, or was stopped while it did, has not done what it promises",
    ),
    RunRule(
        name="interrupted",
        judge=_by_stage(Verdict.INTERRUPTED, StageStatus.INTERRUPTED),
        reason="somebody ended the run before it could say anything as a whole",
    ),
    RunRule(
        name="timed out",
        judge=_by_stage(Verdict.TIMED_OUT, StageStatus.TIMED_OUT),
        reason="a stage that ran out of time left the rest unsaid",
    ),
    RunRule(
        name="tests on recovered staging",
        judge=_on_recovered_staging,
        reason="what real staging said once it was back weighs more than what stand-ins said before",
    ),
    RunRule(name="tests", judge=_tests, reason="the tests' own verdict is the run's"),
    RunRule(
        name="blocked", judge=_blocked, reason="nothing ran, because a critical service is down and nothing stands in"
    ),
    RunRule(
        name="the last look",
        judge=_last_look,
        reason="a run that only looked can say how staging is, and nothing about the product",
    ),
)
"""What a whole run comes to: the first that fits decides."""


def judge_run(incident: Incident) -> tuple[Verdict, int]:
    """Return the verdict and the exit code of a run from its records, never from a notebook.

    The last rule fits every run, so there is always an answer; a run that only looked is judged by its last look.
    """
    return next(found for rule in RUN_RULES if (found := rule.judge(incident)) is not None)


def with_end(
    incident: Incident, verdict: Verdict, exit_code: int, *, at: datetime, command: CommandEnd | None = None
) -> Incident:
    """Return the incident with its end, the one place from which every output takes it; for `command` see `Incident`.

    Tests that a signal cut short end with the signal's code, which only the process that heard it knows. When a run that was
    killed ended is not known.
    """
    tests = incident.tests
    if tests is not None and verdict is Verdict.INTERRUPTED is tests.verdict:
        tests = replace(tests, exit_code=exit_code)
    finished_at = None if verdict is Verdict.KILLED else at
    return replace(
        incident, verdict=verdict, exit_code=exit_code, command=command, finished_at=finished_at, tests=tests
    )


def judge_tests(incident: Incident) -> tuple[Verdict, int] | None:
    """Return what the tests of a run said, those on recovered staging first; None where none were run."""
    return _on_recovered_staging(incident) or _tests(incident)


# --- what counts as a failure of whoever called us


class FailOn(StrEnum):
    """Which results make the last cell of a notebook fail, and `resilience run` exit with another code than 0.

    `never` hides product failures too, `failures` hides all but these, `degraded` hides nothing. What is hidden is
    said.
    """

    NEVER = "never"
    FAILURES = "failures"
    DEGRADED = "degraded"


_PARTIAL = frozenset({ExitCode.NOT_A_FULL_PASS, ExitCode.BLOCKED, ExitCode.UNKNOWN})
HIDDEN: Mapping[FailOn, frozenset[int]] = {
    FailOn.NEVER: _PARTIAL | {ExitCode.PRODUCT_FAILURES},
    FailOn.FAILURES: _PARTIAL,
    FailOn.DEGRADED: frozenset(),
}
"""What each word leaves green. Never what speaks of us instead of the tests: a failed runbook, a time-out, an interruption."""


def counts_as_failure(code: int, fail_on: FailOn | str) -> bool:
    """Whether an exit code of ours fails the caller; an empty `fail_on` hides nothing.

    Raises ValueError for a word that is none of FailOn's.
    """
    return code != ExitCode.PASSED and (not fail_on or code not in HIDDEN[FailOn(fail_on)])

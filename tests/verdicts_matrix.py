"""Turn today's policy into a printed table of verdicts: what proves what, and which exit code it gets.

`python -m tests.verdicts_matrix` prints it; `tests/data/verdicts.txt` is what it said last, and `test_verdicts_matrix.py`
compares. A few tests, commands and stages stand for all, since the policy asks only whether there is one of a sort; every
single sort is gone through, then every pair of sorts, then what lies beside the tests.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from itertools import combinations

from resilience.core.records import (
    CommandResult,
    ConnectivityStatus,
    Decision,
    ExitCode,
    Incident,
    Outcome,
    Reached,
    Stage,
    StageName,
    StageStatus,
    TestExecutionMode,
    TestOutcome,
    TestSuiteResult,
    Vantage,
    Verdict,
)
from resilience.core.verdict import FailOn, Proof, Results, prove, totals
from resilience.notebook import headless, judging
from resilience.runs import runbook
from resilience.suite.board import Board, Standing
from resilience.suite.events import Test
from resilience.suite.evidence import Judged
from tests.kits.records import AT, health

MODES = tuple(TestExecutionMode)
FAIL_ON = ("", *headless.FAIL_ON)


# --- one execution: prove


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """One sort of thing that can be true of a test run: tests of an outcome, a command's result, or a circumstance."""

    tests: tuple[Outcome, ...] = ()
    planned: bool = False
    """Whether tests lost to infrastructure had been held back by the plan."""
    commands: tuple[CommandResult, ...] = ()
    more: Mapping[str, object] = field(default_factory=dict)


def command(kind: str, outcome: Outcome = Outcome.PASSED) -> CommandResult:
    code = {Outcome.PASSED: 0, Outcome.TIMEOUT: 124}.get(outcome, 1)
    return CommandResult(command=kind, kind=kind, exit_code=code, duration_s=1.0, outcome=outcome)


LOST = Outcome.INFRASTRUCTURE_UNAVAILABLE
BY_TESTS: Mapping[str, Sort] = {
    **{outcome.value: Sort(tests=(outcome,)) for outcome in Outcome if outcome is not LOST},
    "lost, unplanned": Sort(tests=(LOST,)),
    "lost, planned": Sort(tests=(LOST,), planned=True),
}
BY_COMMAND: Mapping[str, Sort] = {
    f"{kind} command {outcome.value}": Sort(commands=(command(kind, outcome),))
    for kind in ("pytest", "junit", "other")
    for outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.TIMEOUT, LOST, Outcome.NOT_RUN)
}
BESIDE: Mapping[str, Sort] = {
    "stand-ins used": Sort(more={"stand_ins": True}),
    "stand-in not reached": Sort(more={"reached": (Reached(service="database", connections=0, canary=False),)}),
    "stand-in cannot count": Sort(more={"reached": (Reached(service="database", connections=None, canary=None),)}),
    "a command unknown": Sort(more={"unknown": ("make: no event came",)}),
    "deadline passed": Sort(more={"timed_out": True}),
    "interrupted": Sort(more={"interrupted": int(ExitCode.INTERRUPTED)}),
    "terminated": Sort(more={"interrupted": int(ExitCode.TERMINATED)}),
    "runner failed": Sort(more={"runner_failed": "our own fault"}),
}


def proved(mode: TestExecutionMode, *sorts: Sort, bare: bool = False) -> Proof:
    """Judge a run of these sorts. A pytest command that passed stands beside them where they name no command."""
    tests = tuple(
        TestOutcome(id=f"{number}::{outcome.value}", outcome=outcome)
        for number, (outcome, _) in enumerate((outcome, one) for one in sorts for outcome in one.tests)
    )
    commands = tuple(made for one in sorts for made in one.commands) or (() if bare else (command("pytest"),))
    more: dict[str, object] = {}
    for name, value in (pair for one in sorts for pair in one.more.items()):
        more[name] = (*more.get(name, ()), *value) if isinstance(value, tuple) else value  # type: ignore[misc]
    return prove(Results(mode=mode, counts=totals(tests), commands=commands, blocked=blocked(sorts), **more))  # type: ignore[arg-type]


def blocked(sorts: Sequence[Sort]) -> bool:
    """Ask the board, as a run does, whether an outage took tests beyond the plan or left nothing that ran."""
    board = Board()
    number = 0
    for one in sorts:
        for outcome in one.tests:
            number += 1
            name = f"{number}::{outcome.value}"
            board.standings["", name] = Standing(Test(name), Judged(outcome=outcome), planned=one.planned)
    return board.blocked()


def by_mode(judge: Callable[[TestExecutionMode], Proof]) -> str:
    """Say the verdict in mode full, then in the other modes, once where they agree."""
    told: dict[str, list[str]] = {}
    for mode in MODES:
        found = judge(mode)
        told.setdefault(f"{found.exit_code} {found.verdict.value}", []).append(mode.value)
    if len(told) == 1:
        return next(iter(told))
    return ", ".join(f"{modes[0] if len(modes) == 1 else 'else'}: {said}" for said, modes in told.items())


def prove_one() -> Iterator[str]:
    yield f"nothing at all: {by_mode(lambda mode: proved(mode, bare=True))}"
    yield f"a command, no test: {by_mode(lambda mode: proved(mode))}"
    for name, one in {**BY_TESTS, **BY_COMMAND, **BESIDE}.items():
        alone = by_mode(lambda mode, one=one: proved(mode, one))  # type: ignore[misc]
        beside = by_mode(lambda mode, one=one: proved(mode, BY_TESTS["passed"], one))  # type: ignore[misc]
        yield f"{name}: {alone}" if alone == beside else f"{name}: alone {alone} | beside a passed test {beside}"


def prove_pairs() -> Iterator[str]:
    """Return the pairs of sorts beside a passed test, in mode full; those where the worse of the two decides are left out."""
    pairs = {**BY_TESTS, **{name: one for name, one in BY_COMMAND.items() if name.startswith("other")}, **BESIDE}
    same = 0
    for (first, one), (second, two) in combinations(pairs.items(), 2):
        if {first, second} == {"interrupted", "terminated"}:  # one signal ends a run
            continue
        found = code_of(one, two)
        if found.exit_code == ExitCode.worst(code_of(one).exit_code, code_of(two).exit_code):
            same += 1
        else:
            yield f"{first} + {second}: {found.exit_code} {found.verdict.value}"
    yield f"in {same} other pairs the worse of the two decides, in the order {' '.join(map(str, ExitCode.ORDER))}"


def code_of(*sorts: Sort) -> Proof:
    return proved(TestExecutionMode.FULL, BY_TESTS["passed"], *sorts)


def prove_pairs_alone() -> Iterator[str]:
    """Return the pairs of tests without a passed one, in mode full."""
    for (first, one), (second, two) in combinations(BY_TESTS.items(), 2):
        found = proved(TestExecutionMode.FULL, one, two)
        yield f"{first} + {second}: {found.exit_code} {found.verdict.value}"


def prove_notes() -> Iterator[str]:
    for name, one in {**BY_TESTS, **BY_COMMAND, **BESIDE}.items():
        found = proved(TestExecutionMode.FULL, one)
        if found.notes:
            yield f"{name}: {'; '.join(found.notes)}"


# --- a whole run: runbook.judge_run, fails of the notebook, --fail-on of the command line


VERDICTS = (
    (Verdict.PASSED, ExitCode.PASSED),
    (Verdict.PASSED_ON_STAND_INS, ExitCode.NOT_A_FULL_PASS),
    (Verdict.PRODUCT_FAILURES, ExitCode.PRODUCT_FAILURES),
    (Verdict.INFRASTRUCTURE_UNAVAILABLE, ExitCode.BLOCKED),
    (Verdict.UNDECIDED, ExitCode.BLOCKED),
    (Verdict.STAND_IN_GAPS, ExitCode.NOT_A_FULL_PASS),
    (Verdict.UNKNOWN, ExitCode.UNKNOWN),
    (Verdict.RUNBOOK_FAILED, ExitCode.RUNBOOK_FAILED),
    (Verdict.INTERRUPTED, ExitCode.INTERRUPTED),
    (Verdict.INTERRUPTED, ExitCode.TERMINATED),
    (Verdict.TIMED_OUT, ExitCode.TIMED_OUT),
    (Verdict.KILLED, ExitCode.KILLED),
)


def incident(**fields: object) -> Incident:
    given = {
        "run": "r",
        "slug": "r",
        "environment": "staging",
        "started_at": AT,
        "vantage": Vantage(host="laptop", user="oncall"),
    }
    return Incident(**{**given, **fields})  # type: ignore[arg-type]


def suite(verdict: Verdict, code: int) -> TestSuiteResult:
    return TestSuiteResult(
        mode=TestExecutionMode.DEGRADED,
        started_at=AT,
        duration_s=1.0,
        exit_code=code,
        commands=(),
        totals=totals(()),
        tests=(),
        verdict=verdict,
    )


def decision(blocked: bool) -> Decision:
    return Decision(mode=TestExecutionMode.DEGRADED, reasons=(), decided_at=AT, blocked=blocked)


def stage(name: StageName, status: StageStatus) -> Stage:
    return Stage(name=name, status=status, started_at=AT)


def told_of(one: Incident) -> str:
    """Say the verdict and code of a run, and what the notebook and the command line make of it."""
    verdict, code = runbook.judge_run(one)
    return f"{code} {verdict.value} | {policies(one, code)}"


def policies(one: Incident, code: int) -> str:
    """Say for each `fail_on` whether the notebook's last cell fails, and with what the command line exits."""
    notebook = [word.value for word in FailOn if judging.fails(one, word)]
    shown = {word or "unset": hidden(code, word) for word in FAIL_ON}
    exits: dict[int, list[str]] = {}
    for word, left in shown.items():
        exits.setdefault(left, []).append(word)
    line = ", ".join(f"{left} ({' '.join(words)})" for left, words in exits.items()) if len(exits) > 1 else str(code)
    fails = "always" if len(notebook) == len(FailOn) else " ".join(notebook) or "never"
    return f"the cell fails: {fails} | the command line exits {line}"


def hidden(code: int, fail_on: str) -> int:
    with redirect_stderr(io.StringIO()):
        return headless._hide(code, fail_on)


def judged_stages() -> Iterator[str]:
    """Return what a stage's status does to a run whose tests passed on real staging, by stage."""
    passed = suite(Verdict.PASSED, ExitCode.PASSED)
    for status in StageStatus:
        by_stage: dict[str, list[str]] = {}
        for name in StageName:
            one = incident(stages=(stage(name, status),), tests=passed)
            by_stage.setdefault(told_of(one), []).append(name.value)
        for said, names in by_stage.items():
            where = "any stage" if len(names) == len(StageName) else " ".join(names)
            yield f"{where} {status.value}: {said}"
    for first, second in combinations(StageStatus, 2):
        one = incident(
            stages=(stage(StageName.ASSESS, first), stage(StageName.RUN_TESTS, second)),
            tests=suite(Verdict.PRODUCT_FAILURES, ExitCode.PRODUCT_FAILURES),
        )
        verdict, code = runbook.judge_run(one)
        yield f"{first.value}, then {second.value}, and product failures: {code} {verdict.value}"


def judged_tests() -> Iterator[str]:
    """Return what the tests' own verdict makes of a run, whatever was decided before, and staging's state after."""
    for verdict, code in VERDICTS:
        tests = suite(verdict, code)
        said = {
            told_of(incident(tests=tests, decision=decision(blocked), latest=health({}, overall=status)))
            for blocked in (False, True)
            for status in ConnectivityStatus
        }
        yield from (f"tests {code} {verdict.value}: {one}" for one in sorted(said))


def judged_looks() -> Iterator[str]:
    """Return what a run without tests comes to."""
    for blocked in (None, False, True):
        for status in (None, *ConnectivityStatus):
            one = incident(
                decision=None if blocked is None else decision(blocked),
                latest=None if status is None else health({}, overall=status),
            )
            what = "not decided" if blocked is None else "blocked" if blocked else "not blocked"
            yield f"{what}, staging {status.value if status else 'not looked at'}: {told_of(one)}"


def judged_recovery() -> Iterator[str]:
    """Return what the two runs on recovered staging make of a run whose tests on stand-ins exited with 10."""
    before = suite(Verdict.PASSED_ON_STAND_INS, ExitCode.NOT_A_FULL_PASS)
    for (critical, code), (full, other) in ((a, b) for a in VERDICTS[:5] for b in VERDICTS[:5]):
        one = incident(tests=before, critical_tests=suite(critical, code), full_tests=suite(full, other))
        yield f"critical {critical.value}, full {full.value}: {told_of(one)}"


def exit_codes_of_looks() -> Iterator[str]:
    for status in ConnectivityStatus:
        yield f"{status.value}: {runbook.exit_code_of(status)}"


def fail_on() -> Iterator[str]:
    """Return what `fail_on` means in the notebook and on the command line, side by side."""
    for verdict, code in VERDICTS:
        one = incident(tests=suite(verdict, code))
        for word in FAIL_ON:
            cell = "-" if not word else "fails" if judging.fails(one, word) else "passes"
            left = hidden(code, word)
            drift = "   <- they differ" if word and (cell == "fails") != bool(left) else ""
            yield f"{code} {verdict.value}, {word or 'unset'}: cell {cell}, command line exits {left}{drift}"


TABLES: Mapping[str, Callable[[], Iterator[str]]] = {
    "one execution, one sort of thing (prove)": prove_one,
    "one execution, two sorts beside a passed test, mode full": prove_pairs,
    "one execution, two outcomes and nothing else, mode full": prove_pairs_alone,
    "what is noted, mode full": prove_notes,
    "a run, by its stages (runbook.judge_run; fails; --fail-on)": judged_stages,
    "a run, by its tests": judged_tests,
    "a run without tests": judged_looks,
    "a run with tests on recovered staging": judged_recovery,
    "a look (runbook.exit_code_of)": exit_codes_of_looks,
    "fail_on, in the notebook and on the command line": fail_on,
}


def matrix() -> str:
    """Return all tables; each line stands for itself, so that a diff says what changed."""
    lines = ["What proves what. Made by: python -m tests.verdicts_matrix > tests/data/verdicts.txt", ""]
    for title, table in TABLES.items():
        lines += [f"=== {title}", *(f"  {line}" for line in table()), ""]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    print(matrix(), end="")


if __name__ == "__main__":
    main()

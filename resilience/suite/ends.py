"""Turn how a pytest command ended and the outcomes of its tests into what the command came to, and why; no input and no output.

The rules stand in a table; the first that fits decides. A command is what the worst of its tests is, unless its end says that
more is wrong than they tell: an end that nobody can explain never passes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from resilience.core.records import Outcome
from resilience.suite.killed import killed
from resilience.suite.whole_commands import usage_error

_WORST_FIRST = (
    Outcome.TIMEOUT, Outcome.FAILED, Outcome.ERROR, Outcome.INFRASTRUCTURE_UNAVAILABLE, Outcome.UNDECIDED,
    Outcome.STAND_IN_GAP, Outcome.NOT_RUN,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the last execution of a pytest command ended, and what its tests came to."""

    worst: Outcome
    exit_code: int = 0
    refused: bool = False
    """Whether a pytest of it could not start: exit code 4."""
    complete: bool = True
    """Whether each session that began said that it ended."""
    collected: int = 1
    failing: bool = False
    """Whether any test failed in that execution."""
    timed_out: str = ""
    """Which limit ended it."""
    stalled: str = ""
    """Why it was ended before its time."""
    not_run: str = ""
    """Why a test of it did not run."""
    tail: str = ""
    """The last of its output."""

    @property
    def passed(self) -> bool:
        return self.worst is Outcome.PASSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: when it fits, what the command came to, what is said of it, and why that is so."""

    what: str
    fits: Callable[[End], bool]
    outcome: Callable[[End], Outcome]
    says: Callable[[End], str]
    reason: str


RULES: tuple[Rule, ...] = (
    Rule(
        what="a limit ended it", fits=lambda end: bool(end.timed_out), outcome=lambda _: Outcome.TIMEOUT,
        says=lambda end: end.timed_out, reason="whatever its tests would have come to, the run had no time for it",
    ),
    Rule(
        what="it stalled beside a service that is down", fits=lambda end: bool(end.stalled), outcome=lambda end: end.worst,
        says=lambda end: end.stalled, reason="we ended it ourselves, so that its end says nothing more than its tests",
    ),
    Rule(
        what="pytest could not start",
        fits=lambda end: end.refused and end.worst in (Outcome.PASSED, Outcome.NOT_RUN) and not end.failing,
        outcome=lambda _: Outcome.NOT_RUN,
        says=lambda end: f"pytest could not start: {usage_error(end.tail) or 'usage'} (exit code 4)",
        reason="a slip in the command or the configuration proves nothing of the product",
    ),
    Rule(
        what="it ended in the middle", fits=lambda end: not end.complete,
        outcome=lambda end: Outcome.NOT_RUN if end.passed else end.worst,
        says=lambda end: f"pytest ended in the middle: no finish line, exit code {end.exit_code}",
        reason="what was not run cannot have passed",
    ),
    Rule(
        what="it was killed after its last test", fits=lambda end: end.passed and bool(killed(end.exit_code)),
        outcome=lambda _: Outcome.NOT_RUN,
        says=lambda end: f"killed by signal {end.exit_code - 128} ({killed(end.exit_code)}) after its last test",
        reason="whoever sent the signal says nothing of the product, and what was still to be torn down is not known",
    ),
    Rule(
        what="an exit code that no test explains",
        fits=lambda end: end.passed and end.exit_code not in (0, 5) and not end.failing, outcome=lambda _: Outcome.FAILED,
        says=lambda end: f"exit code {end.exit_code}, although no test failed",
        reason="a plug-in of the team's, or a command after pytest, says that something is wrong: coverage too low, for one",
    ),
    Rule(
        what="nothing was collected", fits=lambda end: end.passed and not end.collected, outcome=lambda _: Outcome.NOT_RUN,
        says=lambda end: f"nothing was collected (exit code {end.exit_code})", reason="no test proves nothing",
    ),
    Rule(
        what="tests were not run", fits=lambda end: end.worst is Outcome.NOT_RUN, outcome=lambda end: end.worst,
        says=lambda end: end.not_run, reason="the reason is the tests' own",
    ),
    Rule(
        what="anything else", fits=lambda _: True, outcome=lambda end: end.worst, says=lambda _: "per-test events",
        reason="each test was heard, and the end agrees with them",
    ),
)  # fmt: skip
"""The rules for a command's end."""


def worst(outcomes: Collection[Outcome]) -> Outcome:
    """Return the worst of these outcomes; `passed` where there is none that speaks against it."""
    return next((one for one in _WORST_FIRST if one in outcomes), Outcome.PASSED)


def judge_end(end: End) -> tuple[Outcome, str]:
    """Return what a pytest command came to, and what is said of it: the first rule that fits decides."""
    rule = next(rule for rule in RULES if rule.fits(end))
    return rule.outcome(end), rule.says(end)

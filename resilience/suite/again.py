"""Turn what a test came to in a second run, beside what it came to before, into what it is: the rules for "again"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from resilience.core.records import Outcome
from resilience.suite.evidence import Judged

PASSES = frozenset({Outcome.PASSED, Outcome.XFAILED, Outcome.XPASSED})
PRODUCTS = frozenset({Outcome.FAILED, Outcome.ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """One test that was run again: what it was judged before, what it was judged now, and in what company it ran."""

    first: Judged
    """What its first run came to."""
    now: Judged
    whole: bool = False
    """Whether it ran with its whole class or file this time."""
    more: bool = True
    """Whether another round is allowed."""

    @property
    def same(self) -> bool:
        """Whether this error was there before: of a group's errors the outage's may be gone, and the bug's stays."""
        return self.now.kinds == self.first.kinds or frozenset() < self.now.kinds < self.first.kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainRule:
    """One row: when it fits, what follows, and why."""

    what: str
    fits: Callable[[Again], bool]
    judge: Callable[[Again], Judged]
    reason: str


def _still_away(again: Again) -> bool:
    """Whether the service is unwell this time as well, so that this run settles nothing."""
    return again.now.outcome in (
        Outcome.INFRASTRUCTURE_UNAVAILABLE,
        Outcome.UNDECIDED,
        Outcome.STAND_IN_GAP,
        Outcome.NOT_RUN,
    )


def _stays(again: Again) -> Judged:
    """It failed in the same way beside well services: the product's."""
    hung = again.now.rule == 3
    said = "no progress, in both runs" if hung else "the same error in a run of its own, beside well services"
    if again.now.rule == 10:
        said = "this test makes the service unwell: it was well before and after it in both runs, and red while it ran"
    sign = bool(again.now.evidence is not None and again.now.evidence.signs and again.now.rule in (10, 11, 12, 13, 14))
    return replace(again.now, outcome=_product(again.now), suspect=sign, again=False, reason=said)


def _product(now: Judged) -> Outcome:
    return now.outcome if now.outcome in PRODUCTS else Outcome.FAILED


def _differs(again: Again) -> Judged:
    """Another error than before: run it once more with its whole class or file, which may have prepared what it misses."""
    text = f"another error in the second run; before it was: {again.first.message}"
    return replace(
        again.now, outcome=Outcome.UNDECIDED, rule=17, again=again.more and not again.whole, reason=text, suspect=False,
        alone=False,
    )  # fmt: skip


def _hidden(again: Again) -> Judged:
    return replace(
        again.now, outcome=_product(again.now), rule=17, again=False, suspect=False,
        reason="the outage had hidden this: the service was never reached before, so that nothing was left behind there",
    )  # fmt: skip


def _traced(again: Again) -> Judged:
    return replace(
        again.now, suspect=False, again=False, rule=again.first.rule, service=again.first.service, fault=again.first.fault,
        reason=f"passed when it was run again; before: {again.first.message or again.first.reason}",
    )  # fmt: skip


def _lucky(again: Again) -> Judged:
    return replace(
        again.now, suspect=True, again=False, rule=again.first.rule, service=again.first.service, fault=again.first.fault,
        reason="only at the second try, no outage seen",
    )  # fmt: skip


RULES: tuple[AgainRule, ...] = (
    AgainRule(
        what="passed, and an outage had been seen where it was", fits=lambda a: a.now.outcome in PASSES and a.first.trace,
        judge=_traced, reason="what failed it is gone, and a look said what it was",
    ),
    AgainRule(
        what="passed, and no outage had been seen", fits=lambda a: a.now.outcome in PASSES, judge=_lucky,
        reason="a test that passes at the second try only may be a bug that comes and goes: somebody has to look",
    ),
    AgainRule(
        what="not a test that says anything now", fits=lambda a: a.now.outcome in (Outcome.SKIPPED, Outcome.DESELECTED),
        judge=lambda a: a.now, reason="it was skipped by itself this time",
    ),
    AgainRule(
        what="the service is unwell again", fits=_still_away, judge=lambda a: a.now,
        reason="nothing is settled beside a service that is still, or again, unwell",
    ),
    AgainRule(
        what="another error, also with its class or file, and nothing can have been left behind",
        fits=lambda a: not a.same and a.whole and a.first.nothing_done, judge=_hidden,
        reason="a test that never reached the service cannot have left anything there: the error is its own",
    ),
    AgainRule(
        what="another error", fits=lambda a: not a.same, judge=_differs,
        reason="a row that the first try had written, or a state that an earlier test makes: no bug, and no proof of none",
    ),
    AgainRule(
        what="the same error", fits=lambda a: True, judge=_stays,
        reason="it stays while the services are well: the product's",
    ),
)  # fmt: skip
"""The first that fits decides."""


def settle(again: Again) -> Judged:
    """Return what a test is after another run."""
    rule = next(rule for rule in RULES if rule.fits(again))
    judged = rule.judge(again)
    if judged.evidence is not None:
        evidence = replace(
            judged.evidence, rule=judged.rule, judgement=judged.outcome, reason=judged.reason or judged.evidence.reason
        )
        judged = replace(judged, evidence=evidence)
    return judged

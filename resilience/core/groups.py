"""Turn the tests of a run into the groups in which every rendering shows them, by who has to act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resilience.core.marks import BLAME, Blame
from resilience.core.records import Outcome, TestOutcome, TestSuiteResult


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupKind:
    """One group: which tests belong to it, and what that says about them.

    `title` and `meaning` are read by people; `key` is the group's anchor in the page.
    """

    key: str
    title: str
    meaning: str
    belongs: Callable[[TestOutcome], bool]
    messages: bool = False
    """Whether the full message of each test is shown: where a person has to find out why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestGroup:
    """Tests that are shown together, and what that means."""

    __test__ = False

    key: str
    title: str
    meaning: str
    tests: tuple[TestOutcome, ...]
    messages: bool = False


def held_back(test: TestOutcome) -> bool:
    """Say whether a test lost to infrastructure was never started, as against one that ran and failed from it.

    Rounds are counted from 1 for a test that ran, so 0 is one that no process ever began.
    """
    return test.rounds == 0


def _blamed(test: TestOutcome, blame: Blame) -> bool:
    return BLAME[test.outcome] is blame


GROUPS: tuple[GroupKind, ...] = (
    GroupKind(
        key="product",
        title="Product failures",
        meaning="These failed for reasons of the code under test, not of the outage.",
        belongs=lambda test: _blamed(test, Blame.PRODUCT) and not test.suspect,
        messages=True,
    ),
    GroupKind(
        key="suspect",
        title="Suspects",
        meaning="Counted as product failures: the error looks like infrastructure's, yet the probe of its service was green.",
        belongs=lambda test: _blamed(test, Blame.PRODUCT) and test.suspect,
        messages=True,
    ),
    GroupKind(
        key="undecided",
        title="Undecided",
        meaning="These failed while a service that they use, or may use, was unwell: product or outage, not to be told apart yet.",
        belongs=lambda test: _blamed(test, Blame.UNDECIDED),
        messages=True,
    ),
    GroupKind(
        key="lucky",
        title="Passed only at the second try",
        meaning="These failed once with a sign of infrastructure, and no outage was seen: look at them.",
        belongs=lambda test: test.outcome is Outcome.PASSED and test.suspect,
        messages=True,
    ),
    GroupKind(
        key="timeout",
        title="Timed out",
        meaning="Stopped at their time limit; why is not known.",
        belongs=lambda test: test.outcome is Outcome.TIMEOUT,
        messages=True,
    ),
    GroupKind(
        key="ran",
        title="Failed from infrastructure",
        meaning="These ran and failed only because a service was not there: nothing is known about the code.",
        belongs=lambda test: _blamed(test, Blame.INFRASTRUCTURE) and not held_back(test),
    ),
    GroupKind(
        key="held",
        title="Held back",
        meaning="These were not started, because a service that they need was not there: nothing is known about them.",
        belongs=lambda test: _blamed(test, Blame.INFRASTRUCTURE) and held_back(test),
    ),
    GroupKind(
        key="gap",
        title="Gaps of the stand-ins",
        meaning="Something is missing on a stand-in that staging has: nothing is known about them.",
        belongs=lambda test: _blamed(test, Blame.GAP),
    ),
    GroupKind(
        key="not_run",
        title="Not run",
        meaning="Never reached: the run ended before them.",
        belongs=lambda test: test.outcome is Outcome.NOT_RUN,
    ),
    GroupKind(
        key="retried",
        title="Passed on a later round",
        meaning="Lost to infrastructure at first, then passed after a probe said that the service was back.",
        belongs=lambda test: test.outcome is Outcome.PASSED and test.rounds > 1 and not test.suspect,
    ),
)
"""In the order in which they are read. A test belongs to one of them at most; plain passes and skips are only counted."""


def groups(result: TestSuiteResult) -> tuple[TestGroup, ...]:
    """Return the tests worth reading, the product's failures first; a group without a test is left out.

    Within a group the tests keep the order of the run.
    """
    found = ((kind, tuple(filter(kind.belongs, result.tests))) for kind in GROUPS)
    return tuple(
        TestGroup(key=kind.key, title=kind.title, meaning=kind.meaning, messages=kind.messages, tests=tests)
        for kind, tests in found
        if tests
    )

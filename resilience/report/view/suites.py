"""Turn the test runs of an incident into their counts and the groups of tests that are worth reading."""

from __future__ import annotations

from dataclasses import dataclass

from resilience.core.records import Incident, Outcome, TestOutcome, TestSuiteResult
from resilience.core.words import totals_line, verdict_phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class TestGroup:
    """Tests that are shown together, and what that means."""

    key: str
    title: str
    meaning: str
    tests: tuple[TestOutcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteView:
    """One run of the suite."""

    title: str
    result: TestSuiteResult
    sentence: str
    totals: tuple[tuple[str, int], ...]
    groups: tuple[TestGroup, ...]


TOTALS = (
    "passed",
    "failed",
    "error",
    "timeout",
    "infrastructure_unavailable",
    "stand_in_gap",
    "not_run",
    "skipped",
    "xfailed",
    "xpassed",
    "deselected",
)


def outcome_name(name: str) -> str:
    """Return an outcome's value as one reads it."""
    return name.replace("stand_in", "stand-in").replace("_", " ")


def suites(incident: Incident) -> tuple[SuiteView, ...]:
    found = []
    for title, result in (
        ("Tests", incident.tests),
        ("Critical tests on staging, after recovery", incident.critical_tests),
        ("Full suite on staging, after recovery", incident.full_tests),
    ):
        if result is not None:
            counts = tuple((name, getattr(result.totals, name)) for name in TOTALS)
            found.append(
                SuiteView(
                    title=title,
                    result=result,
                    sentence=f"{verdict_phrase(result.verdict, result.mode)}. {totals_line(result.totals)}.",
                    totals=tuple((name, count) for name, count in counts if count),
                    groups=groups(result),
                )
            )
    return tuple(found)


def held_back(test: TestOutcome) -> bool:
    """Say whether a test lost to infrastructure was never started, as against one that ran and failed from it."""
    return test.rounds == 0


def groups(result: TestSuiteResult) -> tuple[TestGroup, ...]:
    """Return the tests worth reading, the product's failures first; plain passes and skips are only counted."""
    tests = result.tests
    unavailable = [test for test in tests if test.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE]
    product = [test for test in tests if test.outcome in (Outcome.FAILED, Outcome.ERROR)]
    candidates = (
        (
            "product",
            "Product failures",
            "These failed for reasons of the code under test, not of the outage.",
            [test for test in product if not test.suspect],
        ),
        (
            "suspect",
            "Suspects",
            "Counted as product failures, though the error smells of infrastructure while the probe was green.",
            [test for test in product if test.suspect],
        ),
        (
            "timeout",
            "Timed out",
            "Stopped at their time limit; why is not known.",
            [test for test in tests if test.outcome is Outcome.TIMEOUT],
        ),
        (
            "ran",
            "Failed from infrastructure",
            "These ran and failed only because a service was not there: nothing is known about the code.",
            [test for test in unavailable if not held_back(test)],
        ),
        (
            "held",
            "Held back",
            "These were not started, because a service that they need was not there: nothing is known about them.",
            [test for test in unavailable if held_back(test)],
        ),
        (
            "gap",
            "Gaps of the stand-ins",
            "Something is missing on a stand-in that staging has: nothing is known about them.",
            [test for test in tests if test.outcome is Outcome.STAND_IN_GAP],
        ),
        (
            "not_run",
            "Not run",
            "Never reached: the run ended before them.",
            [test for test in tests if test.outcome is Outcome.NOT_RUN],
        ),
        (
            "retried",
            "Passed on a later round",
            "Lost to infrastructure at first, then passed after a probe said that the service was back.",
            [test for test in tests if test.outcome is Outcome.PASSED and test.rounds > 1],
        ),
    )
    return tuple(
        TestGroup(key=key, title=title, meaning=meaning, tests=tuple(found))
        for key, title, meaning, found in candidates
        if found
    )

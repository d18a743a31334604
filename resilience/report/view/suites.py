"""Turn the test runs of an incident into their counts and the groups of tests that are worth reading."""

from __future__ import annotations

from dataclasses import dataclass

from resilience.core.groups import TestGroup, groups
from resilience.core.marks import OUTCOMES
from resilience.core.records import Incident, TestSuiteResult
from resilience.core.words import totals_line, verdict_phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteView:
    """One run of the suite."""

    title: str
    result: TestSuiteResult
    sentence: str
    totals: tuple[tuple[str, int], ...]
    groups: tuple[TestGroup, ...]


TOTALS = tuple(outcome.value for outcome in OUTCOMES)
"""The counts of a run, in the order in which they are listed."""


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

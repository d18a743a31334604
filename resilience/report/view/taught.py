"""Turn what the stand-ins of a test run had been taught into what a reader must know of it: how old, and how like staging."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from resilience.core.records import Incident
from resilience.core.taught import DATABASE, Taught, age
from resilience.core.words import plural

_GAPS = 5
"""So many gaps and changes of a service are told one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaughtRow:
    """One generation that a stand-in in use said again. `fidelity` is empty where none is measured, as of a contract."""

    service: str
    age: str
    what: str
    fidelity: str
    wrong: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """Return it as one sentence: "backend_api taught 2 days ago, fidelity 94 %: 9 gaps, 3 differ"."""
        return ", ".join(filter(None, (f"{self.service} taught {self.age} ago", self.fidelity)))


def taught(incident: Incident) -> tuple[TaughtRow, ...]:
    """Return a row for each generation that the tests' stand-ins said again; ages are of the moment when the tests began."""
    tests = incident.tests
    return tuple(_row(one, tests.started_at) for one in tests.taught) if tests is not None else ()


def _row(one: Taught, at: datetime) -> TaughtRow:
    """Return one row; only what tests or a database taught can be rehearsed on, and what is wrong is told from the worst on."""
    found = one.fidelity
    told = plural(one.exchanges, "answer")
    what = plural(one.operations, "operation") if one.operations else told
    what = one.what or what
    if one.tests:
        what = f"{told} of {plural(one.tests, 'test')}"
    fidelity = "never rehearsed" if one.source in ("traffic", DATABASE) else ""
    if found is not None:
        fidelity = f"fidelity {found.percent} %: {plural(found.gaps, 'gap')}, {found.differ} differ"
    changed = one.drift.drift if one.drift is not None else ()
    wrong = [f"changed since: {line}" for line in changed]
    wrong += [f"schema drifted from the code: {line}" for line in one.of_the_code]
    wrong += [f"gap: {line}" for line in one.gaps]
    left = [f"and {len(wrong) - _GAPS} more: resilience taught {one.service}"] if wrong[_GAPS:] else []
    stale = [f"stale: {one.stale}"] if one.stale else []
    return TaughtRow(
        service=one.service, age=age(one.at, at), what=f"{one.source}: {what}", fidelity=fidelity,
        wrong=tuple(stale + wrong[:_GAPS] + left),
    )  # fmt: skip

"""Turn the records of earlier runs into how each test last ended on real staging, which is what a rehearsal compares with."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress

from resilience.core.errors import RecordError
from resilience.core.records import Incident, TestExecutionMode, TestSuiteResult
from resilience.core.settings import Settings
from resilience.runs.folder import INCIDENT, read_incident
from resilience.suite import uses

RUNS = 20
"""So many of the latest runs on real staging are read: a run of a part of the tests leaves the rest to the run before it."""


def ended_on_staging(settings: Settings, said: Collection[str]) -> dict[str, str]:
    """Return test → how it ended when it last ran on real staging to one of these ends; empty where no such run is kept."""
    found: dict[str, str] = {}
    for read, result in enumerate(_on_staging(settings)):
        if read == RUNS:
            break
        for test in result.tests:
            if test.outcome.value in said:
                found.setdefault(test.id, test.outcome.value)
    return found


def users_of(settings: Settings, service: str, tests: Collection[str]) -> tuple[str, ...]:
    """Return those of these tests that were seen to use this service; all of them where none was, as nothing is known then."""
    known = uses.load(settings.state / "uses.json")
    found = tuple(test for test in tests if service in known.get(test, ()))
    return found or tuple(tests)


def _on_staging(settings: Settings) -> Iterator[TestSuiteResult]:
    """Yield what full runs on real staging came to, the latest first. Drills and other environments are none."""
    for path in sorted(settings.outputs.glob(f"*/*/{INCIDENT}"), reverse=True):
        if path.parent.parent.is_symlink():
            continue
        incident = None
        with suppress(RecordError, OSError):
            incident = read_incident(path.parent)
        if incident is None or incident.drill or incident.environment != settings.environment:
            continue
        result = _full(incident)
        if result is not None and result.tests:
            yield result


def _full(incident: Incident) -> TestSuiteResult | None:
    """Return the tests of a run that were on real staging: after a recovery, or in mode full with no fallback applied."""
    if incident.full_tests is not None:
        return incident.full_tests
    tests = incident.tests
    applied = incident.applied is not None and bool(incident.applied.stand_ins)
    return tests if tests is not None and tests.mode is TestExecutionMode.FULL and not applied else None

"""Say where a finished run is not what a scenario expects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from resilience.core.records import Incident, Outcome
from resilience.lab.scenario import Expectation

_FACTS: tuple[tuple[str, Callable[[Expectation], object], Callable[[Incident], object]], ...] = (
    ("overall status of staging", lambda want: want.overall, lambda run: run.health and run.health.overall_status),
    ("mode", lambda want: want.mode, lambda run: run.decision and run.decision.mode),
    ("recovery", lambda want: want.recovered, lambda run: run.recovery and run.recovery.recovered),
    ("restored to the byte", lambda want: want.restored, lambda run: run.restored and run.restored.identical),
    ("verdict", lambda want: want.verdict, lambda run: run.verdict),
    ("exit code", lambda want: want.exit_code, lambda run: run.exit_code),
)
"""What has one right answer: its name, what was expected (None: it is not looked at), what the run found (None: nothing)."""


def differences(expect: Expectation, incident: Incident) -> list[str]:
    """Return a sentence for each thing that is not as expected; what the scenario does not name is not looked at.

    Empty: the runbook did what the scenario expects. The sentences name what was expected and what was found.
    """
    return [
        *_unlike_facts(expect, incident),
        *_unlike_services(expect, incident),
        *_missing_causes(expect, incident),
        *_unlike_tests(expect, incident),
    ]


def planted_lines(expect: Expectation, incident: Incident) -> list[str]:
    """Return a line for each bug that the drill planted, so that nobody looks for it in code of their own: found, or not.

    What failed beside them is no line here, but a difference.
    """
    failed = [] if incident.tests is None else _failed({test.id: test.outcome for test in incident.tests.tests})
    found = [end for end in expect.product_failures or () if any(test_id.endswith(end) for test_id in failed)]
    missed = [end for end in expect.product_failures or () if end not in found]
    return [
        *(f"Planted by the drill, and found: {end}" for end in found),
        *(f"Planted by the drill, and NOT found: {end}" for end in missed),
    ]


def _unlike_facts(expect: Expectation, incident: Incident) -> Iterator[str]:
    for what, wanted, is_ in _FACTS:
        expected, found = wanted(expect), is_(incident)
        if expected is not None and expected != found:
            yield _told(what, expected, found)


def _unlike_services(expect: Expectation, incident: Incident) -> Iterator[str]:
    """Compare the services of the assessment that the run decided by; of several faults any will do."""
    health = incident.health
    for name, status in expect.status.items():
        result = health.result(name) if health else None
        if result is None or result.status != status:
            yield _told(f"status of {name}", status, result and result.status)
    for name, codes in expect.fault.items():
        result = health.result(name) if health else None
        if result is None or result.fault not in codes:
            yield _told(f"fault of {name}", " or ".join(codes), result and result.fault)


def _missing_causes(expect: Expectation, incident: Incident) -> Iterator[str]:
    named = [cause.cause for cause in incident.health.causes] if incident.health else []
    for cause in expect.causes:
        if cause not in named:
            yield _told("causes", cause.value, ", ".join(named) or "none")


def _unlike_tests(expect: Expectation, incident: Incident) -> Iterator[str]:
    """Compare the counts, and the tests that failed as the product's: each planted bug must be there, and no other."""
    tests = incident.tests
    if tests is None:
        if expect.tests or expect.product_failures is not None:
            yield "tests: a test run was expected, found none"
        return
    for name, wanted in expect.tests.items():
        count = getattr(tests.totals, name)
        if count not in wanted:
            yield f"tests {name}: {wanted} were expected, found {count}"
    if expect.product_failures is not None:
        outcomes = {test.id: test.outcome for test in tests.tests}
        yield from _unlike_failures(expect.product_failures, outcomes)


def _unlike_failures(expected: tuple[str, ...], outcomes: dict[str, Outcome]) -> Iterator[str]:
    """Compare the ids of the tests that failed with the ends of those that were to."""
    failed = _failed(outcomes)
    for end in expected:
        if not any(test_id.endswith(end) for test_id in failed):
            found = next((outcome for test_id, outcome in outcomes.items() if test_id.endswith(end)), "no such test")
            yield _told(f"product failure {end}", "failed", found)
    for test_id in failed:
        if not test_id.endswith(expected):
            yield f"product failure {test_id}: none was expected there, found failed"


def _failed(outcomes: Mapping[str, Outcome]) -> list[str]:
    return [test_id for test_id, outcome in outcomes.items() if outcome in (Outcome.FAILED, Outcome.ERROR)]


def _told(what: str, expected: object, found: object) -> str:
    return f"{what}: {_shown(expected)} was expected, found {_shown(found)}"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)

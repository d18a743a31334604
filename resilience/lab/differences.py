"""Say where a finished run is not what a scenario expects."""

from __future__ import annotations

from resilience.core.records import Incident, Outcome
from resilience.lab.scenario import Expectation


def differences(expect: Expectation, incident: Incident) -> list[str]:
    found: list[str] = []

    def compare(what: str, expected: object, is_: object) -> None:
        if expected is not None and expected != is_:
            found.append(f"{what}: {_shown(expected)} was expected, found {_shown(is_)}")

    health, tests, decision = incident.health, incident.tests, incident.decision
    compare("overall status of staging", expect.overall, health.overall_status if health else None)
    for name, status in expect.status.items():
        result = health.result(name) if health else None
        compare(f"status of {name}", status, result.status if result else None)
    for name, codes in expect.fault.items():
        result = health.result(name) if health else None
        if result is None or result.fault not in codes:
            compare(f"fault of {name}", " or ".join(codes), result.fault if result else None)
    named = [cause.cause for cause in health.causes] if health else []
    found += [
        f"causes: {cause.value} was expected, found {', '.join(named) or 'none'}"
        for cause in expect.causes
        if cause not in named
    ]
    compare("mode", expect.mode, decision.mode if decision else None)
    if tests is None and (expect.tests or expect.product_failures is not None):
        found.append("tests: a test run was expected, found none")
    if tests is not None:
        for name, wanted in expect.tests.items():
            count = getattr(tests.totals, name)
            if count not in wanted:
                found.append(f"tests {name}: {wanted} were expected, found {count}")
    if tests is not None and expect.product_failures is not None:
        failed = [test.id for test in tests.tests if test.outcome in (Outcome.FAILED, Outcome.ERROR)]
        for end in expect.product_failures:
            if not any(test_id.endswith(end) for test_id in failed):
                outcome = next((test.outcome.value for test in tests.tests if test.id.endswith(end)), "no such test")
                found.append(f"product failure {end}: failed was expected, found {outcome}")
        found += [
            f"product failure {test_id}: none was expected there, found failed"
            for test_id in failed
            if not any(test_id.endswith(end) for end in expect.product_failures)
        ]
    compare("recovery", expect.recovered, incident.recovery.recovered if incident.recovery else None)
    compare("restored to the byte", expect.restored, incident.restored.identical if incident.restored else None)
    compare("verdict", expect.verdict, incident.verdict)
    compare("exit code", expect.exit_code, incident.exit_code)
    return found


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)

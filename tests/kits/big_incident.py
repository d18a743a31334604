"""Incidents of many services, tests and hours, so that what a report does with them can be measured and looked at."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from resilience.core.records import (
    ConnectivityStatus as S,
    FaultCode,
    Outcome,
    Sample,
    TestExecutionMode,
    TestOutcome,
    TestTotals,
)
from tests.kits import incident_factory as factory
from tests.kits.incident_factory import Story

SHOWN = """    def test_adds_up(client, case):
        cart = client.post("/carts", json=case.items).json()
>       assert cart["total"] == case.total
E       AssertionError: assert '12.01' == '12.00'
E         - 12.00
E         + 12.01

tests/shop/test_carts.py:88: AssertionError"""


def big(services: int, tests: int, *, hours: float = 3.0, every_s: float = 10.0, unwell: float = 0.15) -> Story:
    """Return the night with so many services, of which a share was unwell, one of them for longest, and so many tests."""
    night = factory.night()
    incident = night.incident
    start = datetime(2026, 11, 22, 2, 40, 0, tzinfo=UTC)
    chance = random.Random(5)
    bad = max(int(services * unwell), 1)
    names = [f"service-{number:03d}" for number in range(services)]
    assert incident.health is not None
    assert incident.tests is not None
    model = next(one for one in incident.health.services if one.name == "redis")
    ill = next(one for one in incident.health.services if one.name == "database")
    results = tuple(
        replace(ill if number < bad else model, name=name, endpoint=f"{name}.staging:6379", critical=number % 9 == 0)
        for number, name in enumerate(names)
    )
    length = hours * 3600
    found = []
    ends = {name: 2000 + 5000 * chance.random() for name in names[:bad]} | {names[bad - 1]: 8000.0}
    for step in range(int(length / every_s)):
        at = step * every_s
        for name in names:
            down = name in ends and 1200 <= at < ends[name]
            found.append(
                Sample(
                    at=start + timedelta(seconds=at + chance.random() * 0.05),
                    service=name,
                    status=S.UNAVAILABLE if down else S.AVAILABLE,
                    response_time_s=5.0 if down else 0.02 * math.exp(chance.gauss(0, 0.2)),
                    fault=FaultCode.TCP_TIMEOUT if down else None,
                    stage="assess",
                )
            )
    outcomes = [_test(number, tests) for number in range(tests)]
    counts = Counter(test.outcome.value for test in outcomes)
    suite = replace(
        incident.tests,
        tests=tuple(outcomes),
        totals=TestTotals(**counts, retried=counts["passed"] // 20, passed_on_retry=counts["passed"] // 20),
        mode=TestExecutionMode.DEGRADED,
    )
    cause = replace(incident.health.causes[0], services=tuple(names[:bad]))
    health = replace(incident.health, services=results, causes=(cause,), checked=services)
    latest = replace(health, services=tuple(replace(model, name=name) for name in names), causes=())
    outage = start + timedelta(seconds=1200)
    incident = replace(
        incident, health=health, latest=latest, tests=suite, full_tests=None, outage_started_at=outage,
        started_at=outage + timedelta(seconds=60), finished_at=start + timedelta(hours=hours), timeline=(),
    )  # fmt: skip
    return Story(incident, tuple(found))


def _test(number: int, tests: int) -> TestOutcome:
    """Return one of many tests: most passed, one in fifty failed, some were held back, lost, undecided or passed later."""
    file = f"tests/shop/test_part_{number * 40 // max(tests, 1):02d}.py"
    name = f"{file}::TestCarts::test_adds_up[{number}]"
    kind = number % 50
    if kind == 0:
        return TestOutcome(
            id=name, outcome=Outcome.FAILED, duration_s=0.2, message="AssertionError: assert '12.01' == '12.00'",
            where=f"{file}:80", failed_at=f"{file}:88", shown=SHOWN, output="--- Captured stdout call ---\n" + "tick\n" * 40,
        )  # fmt: skip
    service = f"service-{number % 7:03d}"
    if kind < 6:
        return TestOutcome(
            id=name, outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE, rounds=kind % 2, service=service,
            fault=FaultCode.TCP_TIMEOUT, reason=f"needs {service}, which is down",
        )  # fmt: skip
    if kind == 7:
        return TestOutcome(
            id=name, outcome=Outcome.UNDECIDED, service=service, message="KeyError: 'id'", reason=f"{service} was unwell",
            where=f"{file}:80", shown=SHOWN,
        )  # fmt: skip
    if kind == 8:
        return TestOutcome(
            id=name, outcome=Outcome.PASSED, rounds=2, service=service, fault=FaultCode.PROTO_RESET,
            previous=f"{service}: proto_reset in round 1",
        )  # fmt: skip
    return TestOutcome(id=name, outcome=Outcome.PASSED, duration_s=0.02)

"""An incident whose tests ran on taught stand-ins."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from resilience.core.taught import Drift, Fidelity, Taught
from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory


def view(gaps: int = 1) -> View:
    """Return the view of the drill, its backend taught two days before by tests, and by its contract."""
    story = factory.drill()
    tests = story.incident.tests
    assert tests is not None
    at = tests.started_at - timedelta(days=2, hours=1)
    backend = Taught(
        service="backend_api", generation=3, source="traffic", at=at, exchanges=134, tests=60, size=1,
        gaps=tuple(f"GET /gap/{number}" for number in range(gaps)),
        fidelity=Fidelity(at=at, same=188, ran=200, gaps=9, differ=3),
        drift=Drift(at=at, checked=3, drift=("GET /items: body.total is gone",)), stale="staging turned bad",
    )  # fmt: skip
    contract = Taught(
        service="backend_api", generation=4, source="contract", at=at, exchanges=0, tests=0, size=1, operations=5
    )
    return build(
        replace(story.incident, tests=replace(tests, taught=(backend, contract))), Columns.of(story.samples)
    )  # fmt: skip

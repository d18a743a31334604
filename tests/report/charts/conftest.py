"""The views that all charts are drawn from."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resilience.report.series import Columns
from resilience.report.view import Day, View, build
from tests.kits import incident_factory as factory

DAYS = tuple(
    Day(day=f"2026-11-{day:02d}", service=name, availability=0.4 if day == 15 else 1.0, p95_s=0.02, samples=900)
    for day in range(10, 23)
    for name in ("database", "redis")
)


@pytest.fixture(scope="session")
def view_of() -> Callable[[factory.Story], View]:
    """Return how a story becomes a view with a history of days."""
    return lambda story: build(story.incident, Columns.of(story.samples), days=DAYS)


@pytest.fixture(scope="session")
def drill(view_of: Callable[[factory.Story], View]) -> View:
    return view_of(factory.drill())

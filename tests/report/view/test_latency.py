"""resilience.report.view.latency: before, during and after, and the median and worst probe of each service."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory


def drill(**changes: object) -> View:
    story = factory.drill()
    return build(replace(story.incident, **changes), Columns.of(story.samples))  # type: ignore[arg-type]


def test_what_was_down_lost_probes_during_the_outage_only() -> None:
    row = next(row for row in drill().latency if row.service == "database")
    assert (row.before.lost, row.after.lost) == (0, 0)
    assert row.during.loss is not None
    assert row.during.loss > 0.9


def test_without_an_outage_all_is_before() -> None:
    story = factory.green()
    for row in build(story.incident, Columns.of(story.samples)).latency:
        assert row.before.samples == 5
        assert (row.during.samples, row.after.samples) == (0, 0)


def test_the_parts_of_a_probe_and_its_rest_add_up() -> None:
    for row in drill().phases:
        measured = sum(value for _, value in row.parts)
        assert measured + row.rest_s == pytest.approx(max(measured, row.total_s))
    worst = next(row for row in drill().phases if row.service == "database" and row.which == "failed")
    assert worst.rest_s > 0.5 * worst.total_s

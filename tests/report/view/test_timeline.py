"""resilience.report.view.timeline: what happened is told in order, each row with its data."""

from __future__ import annotations

from resilience.report.series import Columns
from resilience.report.view import build
from tests.kits import incident_factory as factory


def test_the_timeline_is_in_order_and_every_row_names_its_data() -> None:
    story = factory.night()
    rows = build(story.incident, Columns.of(story.samples)).timeline
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    assert all(row.link for row in rows)
    assert sum(row.what.startswith("websocket") for row in rows) <= 3, "a flapping service is folded"

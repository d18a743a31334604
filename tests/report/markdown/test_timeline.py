"""resilience.report.markdown.timeline: where it must be cut, the beginning and the end stay."""

from __future__ import annotations

from dataclasses import replace

from resilience.report.markdown.cut import Cut
from resilience.report.markdown.timeline import timeline
from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory


def drill(**changes: object) -> View:
    story = factory.drill()
    return build(replace(story.incident, **changes), Columns.of(story.samples))  # type: ignore[arg-type]


def test_the_middle_is_left_out_and_counted() -> None:
    view = drill()
    whole, cut = "\n".join(timeline(view, Cut())), "\n".join(timeline(view, Cut(rows=4)))
    assert view.timeline[0].what in cut
    assert view.timeline[-1].what in cut
    assert f"_{len(view.timeline) - 4} rows between are left out" in cut
    assert "left out" not in whole


def test_the_diagram_goes_before_the_table_does() -> None:
    assert "```mermaid" in "\n".join(timeline(drill(), Cut()))
    assert "```mermaid" not in "\n".join(timeline(drill(), Cut(phases=False)))


def test_a_run_of_which_nothing_is_known_has_no_timeline() -> None:
    assert timeline(replace(drill(), timeline=()), Cut()) == []

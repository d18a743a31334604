"""resilience.report.view.modes: no fallback before one was applied and after it ended, and no gap between."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from resilience.core.records import TestExecutionMode
from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory


def drill(**changes: object) -> View:
    story = factory.drill()
    return build(replace(story.incident, **changes), Columns.of(story.samples))  # type: ignore[arg-type]


def test_the_spans_follow_each_other_without_a_gap() -> None:
    restored = factory.drill().incident.restored
    assert restored is not None
    view = drill(restored=replace(restored, restored_at=restored.restored_at - timedelta(seconds=2)))
    assert [span.mode for span in view.modes] == ["no fallback", "degraded", "no fallback"]
    assert view.modes[0].start == view.starts_at
    assert view.modes[-1].end == view.ends_at
    for one, following in zip(view.modes, view.modes[1:], strict=False):
        assert one.end == following.start


def test_what_was_not_restored_is_in_force_to_the_end() -> None:
    assert drill(restored=None).modes[-1].mode == "degraded"


def test_mode_full_is_in_force_all_the_time_and_without_a_decision_nothing_is_known() -> None:
    decision = factory.drill().incident.decision
    assert decision is not None
    full = drill(decision=replace(decision, mode=TestExecutionMode.FULL), applied=None)
    assert [(span.mode, span.start, span.end) for span in full.modes] == [("full", full.starts_at, full.ends_at)]
    assert drill(decision=None).modes == ()

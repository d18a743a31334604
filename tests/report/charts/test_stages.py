"""resilience.report.charts.stages: the longest stage is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from resilience.report.charts.stages import say
from resilience.report.view import View
from tests.kits import incident_factory as factory


def test_the_longest_stage_is_named_with_its_time(drill: View) -> None:
    sentence, _ = say(drill)
    assert "the longest was run tests with 10.9 s." in sentence


def test_where_no_stage_has_ended_it_says_so(view_of: Callable[[factory.Story], View], drill: View) -> None:
    open_ended = tuple(replace(stage, finished_at=None) for stage in drill.incident.stages)
    assert say(replace(drill, incident=replace(drill.incident, stages=open_ended)))[0] == "No stage has ended yet."

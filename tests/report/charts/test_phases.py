"""resilience.report.charts.phases: a probe that hung names the phase after which it waited."""

from __future__ import annotations

from dataclasses import replace

from resilience.core.marks import NO_ANSWER, PHASES
from resilience.report.charts.phases import PARTS, say
from resilience.report.view import View


def test_a_probe_without_an_answer_says_after_which_phase_it_waited(drill: View) -> None:
    assert "database waited 2.0 s after" in say(drill)[0]


def test_where_none_hung_it_says_so(drill: View) -> None:
    assert "No probe was stuck in one phase." in say(replace(drill, phases=()))[0]


def test_every_part_of_a_bar_has_its_mark() -> None:
    assert list(PARTS) == [*(mark.word for mark in PHASES.values()), "other", NO_ANSWER.word]

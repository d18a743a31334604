"""resilience.report.charts.lines: the unwell are drawn first, and at most as many as can be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from resilience.core.records import ConnectivityStatus as S, Sample
from resilience.report.charts.lines import SHOWN, drawn_lines, event_marks, left_out, since, threshold
from resilience.report.series import Columns, micros
from resilience.report.view import View, build
from tests.kits import incident_factory as factory

START = datetime(2026, 11, 22, tzinfo=UTC)


def test_of_very_many_services_those_that_were_down_longest_are_drawn() -> None:
    samples = [
        Sample(at=START + timedelta(seconds=n), service=f"s{number}", status=S.UNAVAILABLE if n < number else S.AVAILABLE,
               response_time_s=0.01)
        for number in range(SHOWN + 6)
        for n in range(SHOWN + 8)
    ]  # fmt: skip
    drawn = drawn_lines(build(factory.green().incident, Columns.of(samples)))
    assert {line.service for line in drawn} == {f"s{number}" for number in range(6, SHOWN + 6)}


def test_services_that_are_not_drawn_are_counted_where_any_of_them_was_unwell() -> None:
    """Where none was, it said that "0 were unwell"."""
    samples = [Sample(at=START, service=f"s{number}", status=S.AVAILABLE, response_time_s=0.01) for number in range(20)]
    said = left_out(build(factory.green().incident, Columns.of(samples)))
    assert said.endswith("; the others were well all the time: they are in the tables.")


def test_services_stand_in_the_order_of_the_table(drill: View) -> None:
    order = [row.first.name for row in drill.services]
    drawn = [line.service for line in drawn_lines(drill)]
    assert drawn == [name for name in order if name in drawn]
    assert {*drawn[:2]} == {"database", "backend_api"}


def test_only_the_few_events_of_the_runbook_cross_a_chart(drill: View) -> None:
    marks = event_marks(drill)
    assert {mark.kind for mark in marks} <= {
        "mode",
        "applied",
        "tests_started",
        "tests_finished",
        "recovered",
        "restored",
    }
    assert [mark.at for mark in marks] == sorted(mark.at for mark in marks)
    assert len(marks) >= 5


def test_times_are_counted_from_the_first_thing_shown(drill: View) -> None:
    assert since(drill, micros(drill.starts_at) + 1_500_000) == 1.5


def test_a_service_without_a_threshold_has_none(drill: View) -> None:
    assert threshold(drill, "no such service") is None

"""resilience.report.series: samples in order of time, gaps that are no outage, stand-ins apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from resilience.report.series import Columns, intervals, outage
from tests.kits import incident_factory as factory


@pytest.mark.parametrize("half", [0, 1, 57])
def test_samples_of_earlier_runs_come_before_those_of_this_one(half: int) -> None:
    samples = list(factory.drill().samples)
    whole = Columns.of(samples)
    for first, second in ((samples[:half], samples[half:]), (samples[half:], samples[:half])):
        joined = Columns.of(second).after(Columns.of(first))
        assert len(joined) == len(whole)
        for key, line in whole.lines.items():
            assert [bytes(c) for c in joined.lines[key].columns()[:4]] == [bytes(c) for c in line.columns()[:4]]
            stages = [joined.stages[number] for number in joined.lines[key].stage]
            assert stages == [whole.stages[number] for number in line.stage]
        assert sorted("".join(joined.csv()).splitlines()) == sorted("".join(whole.csv()).splitlines())


def test_samples_out_of_order_are_put_in_order() -> None:
    story = factory.drill()
    line = Columns.of(reversed(story.samples)).lines["database", "staging"]
    assert list(line.at) == sorted(line.at)
    assert intervals(line) == intervals(Columns.of(story.samples).lines["database", "staging"])


def test_a_gap_in_looking_is_no_outage() -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    base = factory.green().samples[0]
    found = [replace(base, at=start + timedelta(seconds=s), service="x") for s in (*range(10), *range(600, 610))]
    line = Columns.of(found).lines["x", "staging"]
    assert [one.samples for one in intervals(line)] == [10, 10]
    assert outage([line]) is None


def test_stand_in_samples_are_never_in_the_line_of_staging() -> None:
    sample = factory.green().samples[0]
    columns = Columns.of([sample, replace(sample, target="stand_in")])
    assert [line.target for line in columns.staging()] == ["staging"]
    assert len(columns) == 2

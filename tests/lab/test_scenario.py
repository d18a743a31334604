"""A scenario's steps are found by their moment, and a range of counts says what is in it."""

from __future__ import annotations

import pytest

from resilience.lab.proxy import Dial, Mode
from resilience.lab.scenario import SERVICES, At, Range, Scenario, Step


def test_steps_are_found_by_their_moment_and_optional_services_come_after_the_usual() -> None:
    steps = tuple(Step(at=at, services=("redis",), dial=Dial(mode=Mode.REFUSE)) for at in At)
    scenario = Scenario(name="n", title="t", guide="g", description="d", services=("clickhouse",), steps=steps)
    assert [scenario.at(moment) for moment in At] == [(step,) for step in steps]
    assert scenario.all_services == (*SERVICES, "clickhouse")


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "words"),
    [
        (Range(at_least=2, at_most=2), (2,), (1, 3), "exactly 2"),
        (Range(at_least=2), (2, 9), (1,), "at least 2"),
        (Range(at_most=0), (0,), (1,), "at most 0"),
        (Range(at_least=1, at_most=3), (1, 3), (0, 4), "at least 1 and at most 3"),
    ],
    ids=str,
)
def test_a_range_holds_its_bounds_and_says_them(
    bounds: Range, inside: tuple[int, ...], outside: tuple[int, ...], words: str
) -> None:
    assert all(count in bounds for count in inside)
    assert not any(count in bounds for count in outside)
    assert str(bounds) == words

"""Series of samples: percentiles and loss, thresholds, flapping."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from resilience.core.records import ConnectivityStatus, Sample
from resilience.core.steadiness import Steadiness, percentile, summarise

S = ConnectivityStatus
START = datetime(2026, 1, 1, tzinfo=UTC)


def sample(good: bool | ConnectivityStatus, number: int = 0, seconds: float | None = 0.1) -> Sample:
    status = good if isinstance(good, ConnectivityStatus) else S.AVAILABLE if good else S.UNAVAILABLE
    return Sample(at=START + timedelta(seconds=number), service="database", status=status, response_time_s=seconds)


def states(looks: str, **thresholds: int) -> list[str]:
    steadiness = Steadiness("database", **thresholds)
    made = []
    for number, look in enumerate(looks):
        steadiness.look(sample(look == "+", number))
        made.append(steadiness.state)
    return made


def test_percentiles_and_loss_of_a_series() -> None:
    samples = [sample(True, n, n / 10) for n in range(1, 11)] + [sample(False, 11, 5.0)] * 2
    made = summarise(samples)["database"]
    assert (made.min_s, made.p50_s, made.p95_s, made.max_s) == (0.1, 0.5, 1.0, 1.0)
    assert made.loss == pytest.approx(2 / 12)
    assert made.transitions == 1


def test_a_series_without_an_answer_has_no_times() -> None:
    made = summarise([sample(False), sample(S.UNKNOWN)])["database"]
    assert (made.min_s, made.p50_s, made.loss, made.samples) == (None, None, 1.0, 2)


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values_and_grows(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found in ordered
    assert ordered[0] <= found <= (percentile(ordered, 1.0) or 0)


@pytest.mark.parametrize("hundredths", range(1, 101))
def test_a_percentile_is_the_nearest_rank_whatever_floating_point_makes_of_the_share(hundredths: int) -> None:
    for count in (1, 7, 28, 100, 1000):
        assert percentile(range(1, count + 1), hundredths / 100) == -(-count * hundredths // 100)


@pytest.mark.parametrize("share", [50, 95, -0.1, 1.01])
def test_a_share_in_percent_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="0 to 1 was expected"):
        percentile([1.0, 2.0], share)


def test_no_values_have_no_percentile() -> None:
    assert percentile([], 0.95) is None


def test_a_hard_outage_is_down_after_three_looks() -> None:
    assert states("+++---") == ["up", "up", "up", "up", "up", "down"]
    assert states("---")[-1] == "down"


def test_one_lost_look_is_not_an_outage() -> None:
    assert set(states("+++-++++++")) == {"up"}


def test_coming_back_needs_more_than_going_down() -> None:
    made = states("+++---" + "+" * 12)
    assert made[6] == "down"
    assert made[-1] == "up"
    assert made.count("down") >= 7


def test_a_service_that_comes_and_goes_is_flapping_and_settles() -> None:
    made = states("+-+-+-" + "+" * 15)
    assert "flapping" in made
    assert made[-1] == "up"
    assert states("+-+-+-" + "-" * 15)[-1] == "down"


@pytest.mark.parametrize("status", [S.UNKNOWN, S.NOT_CONFIGURED])
def test_what_says_nothing_changes_nothing(status: ConnectivityStatus) -> None:
    steadiness = Steadiness("database")
    steadiness.look(sample(True))
    assert steadiness.look(sample(status)) is None
    assert steadiness.state == "up"


def test_a_brown_out_brings_few_transitions() -> None:
    """40 % of looks fail at random: a single look gives about 480 transitions in 1,000."""
    rolled = random.Random(1278)
    steadiness = Steadiness("database")
    looks = [rolled.random() > 0.4 for _ in range(1000)]
    transitions = [t for n, good in enumerate(looks) if (t := steadiness.look(sample(good, n)))]
    single = sum(a != b for a, b in pairwise(looks))
    assert single > 400
    assert len(transitions) < 100


@pytest.mark.parametrize("bad", [{"up": 3, "down": 3}, {"down": 11}, {"up": -1}])
def test_thresholds_that_cannot_be_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="down"):
        Steadiness("database", **bad)

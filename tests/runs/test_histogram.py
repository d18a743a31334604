"""Histograms of latencies: packed and unpacked to themselves, merged by adding, and never too low by more than a bucket."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from resilience.core.steadiness import percentile
from resilience.runs.histogram import PER_OCTAVE, bucket_of, pack, percentile_of, unpack


@given(st.dictionaries(st.integers(0, 400), st.integers(1, 2**31)))
def test_a_histogram_packs_and_unpacks_to_itself(counts: dict[int, int]) -> None:
    assert unpack(pack(counts)) == counts


@given(st.integers(1, 10**9))
def test_a_bucket_is_at_most_nine_percent_above_what_is_in_it(took: int) -> None:
    assert took * (1 - 1e-9) <= 2 ** (bucket_of(took) / PER_OCTAVE) <= took * 1.0906


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=200), st.floats(0, 1))
def test_a_percentile_of_a_histogram_is_that_of_the_values_or_up_to_nine_percent_above(
    took: list[int], share: float
) -> None:
    counts: dict[int, int] = {}
    for value in took:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    exact = percentile(sorted(took), share)
    found = percentile_of(counts, share, max(took))
    assert exact is not None
    assert found is not None
    assert exact * (1 - 1e-9) <= found * 1e6 <= exact * 1.0906


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_an_empty_histogram_has_no_percentile(share: float) -> None:
    assert percentile_of({}, share, 0) is None

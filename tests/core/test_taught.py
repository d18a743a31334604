"""Ages are said as people say them, and what cannot be trusted says so in the same line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from resilience.core.taught import Fidelity, Taught, age, freshness, said

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "words", "fresh"),
    [
        (0, "0 min", "fresh"),
        (-1, "0 min", "fresh"),
        (0.99, "59 min", "fresh"),
        (1, "1 h", "fresh"),
        (24, "24 h", "aging"),
        (48, "2 days", "aging"),
        (7 * 24, "7 days", "stale"),
    ],
)
def test_an_age(hours: float, words: str, fresh: str) -> None:
    at = NOW - timedelta(hours=hours)
    assert (age(at, NOW), freshness(at, NOW, 7)) == (words, fresh)


def test_one_line_says_age_amount_fidelity_and_what_is_wrong() -> None:
    taught = Taught(
        service="backend_api", generation=3, source="traffic", at=NOW - timedelta(hours=2), exchanges=134, tests=60, size=1
    )  # fmt: skip
    line = "backend_api taught 2 h ago (60 tests, 134 answers)"
    assert said(taught, NOW, 7) == line
    fidelity = Fidelity(at=NOW, same=94, ran=100, gaps=4, differ=2)
    assert (
        said(replace(taught, fidelity=fidelity), NOW, 7) == line + ", fidelity 94 %: 94 of 100, 4 gaps, 2 differ"
    )  # fmt: skip
    assert said(replace(taught, stale="staging turned bad"), NOW, 7) == line + ", stale: staging turned bad"
    assert said(taught, NOW, 0.01) == line + ", stale"
    assert said(replace(taught, damaged="a file is missing"), NOW, 7) == line + ", damaged: a file is missing"
    assert "(134 answers)" in said(replace(taught, tests=0), NOW, 7)


def test_a_hundred_percent_is_said_only_of_all() -> None:
    assert Fidelity(at=NOW, same=999, ran=1000).percent == 99
    assert Fidelity(at=NOW, same=0, ran=0).percent == 0

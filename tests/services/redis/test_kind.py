"""What Redis answers has one meaning, by its first word."""

from __future__ import annotations

import pytest

from resilience.services.redis.kind import redis_fault


@pytest.mark.parametrize("text", ["", " ", "\x1b[31m", "-", "a" * 10_000, "LOADING", "-LOADING x"])
def test_hostile_first_words(text: str) -> None:
    assert len(redis_fault(text).detail) <= 2000

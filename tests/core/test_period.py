"""resilience.core.period: what people type for a period is read as whole days, and what is none is refused."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, strategies as st

from resilience.core.errors import UsageError
from resilience.core.period import FIRST, Period, period_of

TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("since", "until", "first", "last"),
    [
        ("1", "", "2026-11-25", "2026-11-25"),
        ("7 days", "", "2026-11-19", "2026-11-25"),
        (" 30D ", "", "2026-10-27", "2026-11-25"),
        ("2 weeks", "2026-11-14", "2026-11-01", "2026-11-14"),
        ("2026-10-01", "2026-10-31", "2026-10-01", "2026-10-31"),
        ("2026-11-25", "", "2026-11-25", "2026-11-25"),
        ("ALL", "", "1970-01-01", "2026-11-25"),
        ("99999 weeks", "", "1970-01-01", "2026-11-25"),
    ],
)
def test_dates_lengths_and_all_are_periods_whose_both_ends_are_in_them(
    since: str, until: str, first: str, last: str
) -> None:
    found = period_of(since, until, today=TODAY)
    assert (f"{found.first}", f"{found.last}") == (first, last)


@pytest.mark.parametrize(
    ("since", "until"),
    [("", ""), ("soon", ""), ("-3 days", ""), ("0 days", ""), ("3 months", ""), ("2026-11-26", ""), ("2026-13-01", ""),
     ("7 days", "yesterday"), ("2026-11-02", "2026-11-01")],
)  # fmt: skip
def test_what_is_no_period_is_refused_with_what_to_type(since: str, until: str) -> None:
    with pytest.raises(UsageError) as refused:
        period_of(since, until, today=TODAY)
    assert "Hint: " in str(refused.value)


@given(days=st.integers(1, 20_000))
def test_a_length_is_as_many_days_as_it_says(days: int) -> None:
    assert period_of(f"{days} days", "", today=TODAY).days == days


def test_a_period_says_how_long_it_is_and_all_of_it_where_it_begins() -> None:
    assert str(Period(first=TODAY, last=TODAY)) == "2026-11-25 to 2026-11-25 (1 day)"
    assert str(Period(first=FIRST, last=TODAY)) == "the beginning to 2026-11-25"

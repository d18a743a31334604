"""Turn what a person typed for "since" and "until" into a period of whole days of UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from resilience.core.errors import UsageError
from resilience.core.words import plural

ALL = "all"
_LENGTH = re.compile(r"(\d{1,5})\s*(d|day|days|w|week|weeks)?", re.IGNORECASE)
FIRST = date(1970, 1, 1)
"""The first day that a history can hold, whose times are counted from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Whole days of UTC, both ends in it."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def __str__(self) -> str:
        begins = "the beginning" if self.first == FIRST else f"{self.first}"
        return f"{begins} to {self.last}" + ("" if self.first == FIRST else f" ({plural(self.days, 'day')})")


def period_of(since: str, until: str, *, today: date) -> Period:
    """Return the period that ends with the day `until` (empty: today) and begins with `since`.

    `since` is a date, a length such as `30 days` or `6 weeks` that ends with the last day, or `all`. Raises UsageError for
    anything else, and for a period that ends before it begins.

    >>> str(period_of("7 days", "2026-11-25", today=date(2026, 12, 1)))
    '2026-11-19 to 2026-11-25 (7 days)'
    """
    last = _date(until, "until") if until.strip() else today
    text = since.strip()
    if text.lower() == ALL:
        return Period(first=FIRST, last=last)
    if found := _LENGTH.fullmatch(text):
        days = int(found[1]) * (7 if (found[2] or "d").lower().startswith("w") else 1)
        first = max(last - timedelta(days=days - 1), FIRST) if days else last + timedelta(days=1)
    else:
        first = _date(text, "since")
    if first > last:
        raise UsageError(f"a period from {first} to {last} holds no day.", hint="since 30 days, or since 2026-10-01")
    return Period(first=first, last=last)


def _date(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        expected = "a date was expected" if name == "until" else "a date, a number of days or `all` was expected"
        raise UsageError(f"{name} {text[:40]!r}: {expected}.", hint=f"{name} 2026-10-01, or since 30 days") from None

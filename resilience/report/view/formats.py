"""Turn times, stretches of time and shares into the short texts that every rendering shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from resilience.core.words import seconds


def when(at: datetime | None, *, day: bool = False) -> str:
    """Return '03:14:07' or '2026-11-22 03:14:07', always UTC; '–' for None."""
    if at is None:
        return "–"
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S")


def span(value: timedelta | float | None) -> str:
    """Return a stretch of time in the two largest units: '12.4 s', '4 min 10 s', '1 h 48 min', '2 d 3 h'."""
    if value is None:
        return "–"
    total = value.total_seconds() if isinstance(value, timedelta) else value
    if total < 120:
        return seconds(total)
    if total < 3600:
        return f"{int(total // 60)} min {int(total % 60):02d} s"
    if total < 172_800:
        return f"{int(total // 3600)} h {int(total % 3600 // 60):02d} min"
    return f"{int(total // 86_400)} d {int(total % 86_400 // 3600)} h"


def percent(share: float | None) -> str:
    """Return '0 %', '0.3 %', '42 %', '100 %'; never '0 %' or '100 %' for what is not; '–' for None."""
    if share is None:
        return "–"
    value = share * 100
    if value in (0, 100):
        return f"{value:.0f} %"
    if value < 0.1:
        return "< 0.1 %"
    if value > 99.9:
        return "> 99.9 %"
    return f"{value:.1f} %" if value < 10 or value > 90 else f"{value:.0f} %"

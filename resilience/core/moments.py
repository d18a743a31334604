"""Turn a moment into the words of a person at a terminal: in UTC, as reports hold it, beside what the clock on the wall shows."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from resilience.core.words import brief


def clock(at: datetime, *, now: datetime, zone: tzinfo | None = None, seconds: bool = False) -> str:
    """Return '03:14 UTC (04:14 here)', with the day where it is not the day of `now`; UTC alone where that is the local time.

    `zone` is where the person is, None for this machine's. `seconds` are told of UTC, where checks follow each other.
    """
    form = "%H:%M:%S" if seconds else "%H:%M"
    moment, local = at.astimezone(UTC), at.astimezone(zone)
    day = "" if moment.date() == now.astimezone(UTC).date() else f"{moment:%Y-%m-%d} "
    if not local.utcoffset():
        return f"{day}{moment:{form}} UTC"
    other = "" if local.date() == moment.date() else f"{local:%Y-%m-%d} "
    return f"{day}{moment:{form}} UTC ({other}{local:%H:%M} here)"


def ago(at: datetime, *, now: datetime) -> str:
    """Return 'just now', '42 min ago' or '5 h ago'; days from two on."""
    passed = max(0.0, (now - at).total_seconds())
    if passed < 10:
        return "just now"
    return f"{passed / 86400:.0f} days ago" if passed >= 2 * 86400 else f"{brief(passed)} ago"

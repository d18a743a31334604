"""Keep the looks at services in the order of time, and say what they tell of a service while something failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from resilience.core.records import FaultCode, SeenLook
from resilience.suite.signs import CONNECT, PATH, TALK, WRITE, WRITES, Reading, Said

C = FaultCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One fresh look at a service as the tests reach it; times in seconds since the epoch."""

    service: str
    at: float
    """When it began."""
    until: float = 0.0
    """When it ended; 0: at once."""
    red: bool
    fault: FaultCode | None = None
    detail: str = ""
    well: bool = False
    """Whether it answered; unknown is neither red nor well."""
    degraded: bool = False
    depth: str = ""
    """Empty: as the service is probed always; else PATH or WRITES."""
    told: bool = False
    """Whether it was the tests that saw it, not a probe."""
    started: str = ""
    """What tells one start of the server from another, where it says so."""

    @property
    def ended(self) -> float:
        return self.until or self.at

    def seen(self) -> SeenLook:
        """Return it as evidence."""
        return SeenLook(
            service=self.service,
            at=datetime.fromtimestamp(self.at, UTC),
            red=self.red,
            fault=self.fault,
            detail=self.detail or ("degraded" if self.degraded else "well" if self.well else ""),
        )


def explains(look: Look, reading: Reading | None) -> bool:
    """Whether what this look found explains such a failure, at the depth of what failed.

    A slow service explains only who waited in vain, or was told to come less often; nobody whom it refused in words without a
    code, among which is a wrong password. A refusal is explained by the same code.
    Where the server answered, a port that refuses does not explain it; a server that only refuses writes explains no other
    sign. None: a failure that says nothing of the far side, which any red look may explain, and a refused write as well: the
    code under test may have swallowed it.
    """
    if look.fault in WRITE:
        return reading is None or reading.writing
    if look.degraded and not look.red:
        if look.fault is C.APP_OVERLOAD:
            return reading is not None and reading.writing
        return (
            reading is not None
            and not reading.answered
            and (reading.deadline or reading.code in (C.APP_RATE_LIMIT, C.APP_OVERLOAD))
        )
    if not look.red:
        return False
    if reading is None or reading.code is None:
        return True
    if reading.said is Said.REFUSAL:
        return look.fault is reading.code
    if reading.answered:
        return look.fault not in CONNECT | TALK
    return True


def deep_enough(look: Look, reading: Reading | None) -> bool:
    """Whether a green look at this depth speaks against such a sign."""
    wanted = "" if reading is None else reading.depth
    return not wanted or look.depth == wanted or (wanted == PATH and look.depth == WRITES)


class Looks:
    """All looks of a run. `since` cuts off those before the present round: what was red before it, was well at its beginning."""

    def __init__(self, looks: Iterable[Look] = ()) -> None:
        self._looks: list[Look] = sorted(looks, key=lambda look: look.at)
        self.since = 0.0

    def __iter__(self) -> Iterator[Look]:
        return iter(self._looks)

    def add(self, look: Look) -> None:
        self._looks.append(look)
        self._looks.sort(key=lambda one: one.at)

    def of(self, service: str) -> list[Look]:
        return [look for look in self._looks if look.service == service]

    def last(self, service: str) -> Look | None:
        return next((look for look in reversed(self._looks) if look.service == service), None)

    def in_window(self, service: str, start: float, end: float, deadline_s: float) -> list[Look]:
        """Return the looks of this round from a probe's deadline before `start` to a deadline after `end`."""
        first = max(start - deadline_s, self.since)
        return [look for look in self.of(service) if look.ended >= first and look.at <= end + deadline_s]

    def red(self, service: str, start: float, end: float, deadline_s: float, reading: Reading | None) -> Look | None:
        """Return a look in the window that explains the failure: the nearest one; a red look wins over a green one.

        Where nobody looked in the window, as on a busy machine, the last look before and the first after it say it together.
        """
        window = self.in_window(service, start, end, deadline_s)
        near = window or [look for look in (self.before(service, start), self.after(service, end)) if look is not None]
        found = [look for look in near if explains(look, reading)]
        if not window and len(found) < 2:
            return None
        return min(found, key=lambda look: _away(look, start, end), default=None)

    def green(self, service: str, start: float, end: float, deadline_s: float, reading: Reading | None) -> Look | None:
        """Return the nearest look in the window that found the service well at the depth of what failed."""
        found = [
            look
            for look in self.in_window(service, start, end, deadline_s)
            if look.well and not look.red and deep_enough(look, reading)
        ]
        return min(found, key=lambda look: _away(look, start, end), default=None)

    def before(self, service: str, at: float, reading: Reading | None = None) -> Look | None:
        """Return the last look that had ended by then, of those that go as deep as the sign."""
        return next(
            (one for one in reversed(self.of(service)) if one.ended <= at and (one.red or deep_enough(one, reading))),
            None,
        )

    def after(self, service: str, at: float, reading: Reading | None = None) -> Look | None:
        """Return the first look that began after it, of those that go as deep as the sign."""
        return next((one for one in self.of(service) if one.at >= at and (one.red or deep_enough(one, reading))), None)

    def was_unwell(self, service: str, until: float) -> Look | None:
        """Return the last look up to this moment that found the service unavailable, slow or taking no writes, in any round.

        That blames nobody; it is reason enough to run a test again before the product is blamed.
        """
        found = (one for one in reversed(self.of(service)) if one.at <= until and (one.red or one.degraded))
        return next(found, None)

    def restarted(self, service: str, until: float) -> bool:
        """Whether two looks up to this moment saw different starts of the server."""
        starts = {look.started for look in self.of(service) if look.started and look.at <= until}
        return len(starts) > 1


def _away(look: Look, start: float, end: float) -> float:
    return max(0.0, start - look.ended, look.at - end)

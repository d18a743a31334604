"""Turn a series of samples into what they say together: percentiles and loss, steady states by k of n, flapping."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from resilience.core.records import ConnectivityStatus, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One service's samples. Times are of samples that got an answer; `loss` is the share that got none, 0 to 1.

    `samples` counts all of them; `loss` and `transitions` leave out those that are unknown or not configured.
    Percentiles are of the nearest rank, so each is a time that was measured.
    """

    service: str
    samples: int
    min_s: float | None
    p50_s: float | None
    p95_s: float | None
    max_s: float | None
    loss: float
    transitions: int
    statuses: Mapping[ConnectivityStatus, int]


_ANSWERED = frozenset({ConnectivityStatus.AVAILABLE, ConnectivityStatus.DEGRADED})


def summarise(samples: Iterable[Sample]) -> Mapping[str, Summary]:
    """Summarise by service, in the order of first appearance. Unconfigured and unknown samples count neither way."""
    by: dict[str, list[Sample]] = {}
    for sample in samples:
        by.setdefault(sample.service, []).append(sample)
    return {name: _summary(name, of) for name, of in by.items()}


def _summary(name: str, samples: list[Sample]) -> Summary:
    told = [s for s in samples if s.status in _ANSWERED or s.status is ConnectivityStatus.UNAVAILABLE]
    times = sorted(s.response_time_s for s in told if s.status in _ANSWERED and s.response_time_s is not None)
    up = [s.status in _ANSWERED for s in told]
    statuses: dict[ConnectivityStatus, int] = {}
    for sample in samples:
        statuses[sample.status] = statuses.get(sample.status, 0) + 1
    return Summary(
        service=name,
        samples=len(samples),
        min_s=times[0] if times else None,
        p50_s=percentile(times, 0.50),
        p95_s=percentile(times, 0.95),
        max_s=times[-1] if times else None,
        loss=up.count(False) / len(up) if up else 0.0,
        transitions=sum(a != b for a, b in pairwise(up)),
        statuses=statuses,
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest value that `share` (0 to 1) of the ordered values do not exceed: one that was measured.

    None for no values. Raises ValueError for a share beyond 0 to 1, such as the 95 of somebody who thinks in percent.
    """
    return ordered[rank(len(ordered), share) - 1] if ordered else None


def rank(count: int, share: float) -> int:
    """Return the nearest rank, from 1, of the percentile of `count` values; `share` is 0 to 1, as in `percentile`."""
    if not 0 <= share <= 1:
        raise ValueError(f"share={share}: 0 to 1 was expected, such as 0.95.")
    # 0.07 × 100 is 7.000000000000001 in floating point, and its rank is 7.
    return max(math.ceil(share * count - 1e-9), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A steady state that changed. `state`: up, down or flapping.

    `before` may also be unknown: nothing was seen yet.
    """

    at: datetime
    service: str
    before: str
    state: str


class Steadiness:
    """Follow one service: down and up by separate thresholds, flapping as a state of its own.

    Down after `down` failures among the last `window` looks, up again only when at most `up` of a full window failed:
    3 of 10 and 1 of 10 gave 22 transitions in 1,000 probes of which 40 % failed at random, a single look 481.
    An outage from its first look on is down after `down` looks. Flapping: at least `flaps` changes within the window.
    """

    def __init__(self, service: str, *, down: int = 3, up: int = 1, window: int = 10, flaps: int = 4) -> None:
        if not 0 <= up < down <= window:
            raise ValueError("0 <= up < down <= window")
        self.service = service
        self.down, self.up, self.window, self.flaps = down, up, window, flaps
        self._good: deque[bool] = deque(maxlen=window)
        self.state = "unknown"

    @property
    def flapping(self) -> bool:
        return self.state == "flapping"

    def look(self, sample: Sample) -> Transition | None:
        """Take a sample and give the transition it brings, if any. Unknown and unconfigured samples change nothing."""
        if sample.status not in _ANSWERED and sample.status is not ConnectivityStatus.UNAVAILABLE:
            return None
        self._good.append(sample.status in _ANSWERED)
        before, self.state = self.state, self._next()
        if before == self.state:
            return None
        return Transition(at=sample.at, service=self.service, before=before, state=self.state)

    def _next(self) -> str:
        """Return the state after this look: flapping is asked first, then down, then up.

        Flapping ends only when at most one change is left in the window: by `down` failures at its end, by a good
        later half, or by a full window with at most `up` failures. Down ends only by such a window. Up needs one good
        look at the very beginning, so that a first look already says something.
        """
        seen = list(self._good)
        bad = seen.count(False)
        changes = sum(a != b for a, b in pairwise(seen))
        if changes >= self.flaps:
            return "flapping"
        if self.state == "flapping" and changes > 1:
            return "flapping"  # calm for most of a window before anything else is believed
        if bad >= self.down:
            if self.state == "flapping" and not any(seen[-self.down :]):
                return "down"
            return "down" if self.state != "flapping" else self._settled(seen)
        if self.state in ("unknown", "up"):
            return "up" if seen[-1] or self.state == "up" else "unknown"
        if len(seen) == self.window and bad <= self.up:
            return "up"
        return self.state

    def _settled(self, seen: list[bool]) -> str:
        """Return up where the later half of the window was good; else it flaps on."""
        return "up" if all(seen[-self.window // 2 :]) else "flapping"


def flapping_services(samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return the services that flap by the end of these samples, in the order of first appearance."""
    followed: dict[str, Steadiness] = {}
    for sample in samples:
        followed.setdefault(sample.service, Steadiness(sample.service)).look(sample)
    return tuple(name for name, one in followed.items() if one.flapping)

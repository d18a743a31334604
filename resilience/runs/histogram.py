"""Count latencies in log-scaled buckets, so that minutes merge by adding counts and a percentile is read from the sum."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping

from resilience.core.steadiness import rank

PER_OCTAVE = 8
"""Histogram buckets per doubling: a percentile read from them is at most 9 % too high, never too low."""


def bucket_of(took_us: int) -> int:
    """Return the histogram bucket of a latency; 0 holds all up to one microsecond.

    In microseconds. Bucket n holds what is above 2^((n-1)/8) and not above 2^(n/8): the bounds grow by 9 %, so that a
    microsecond and a minute fit into some 200 buckets.
    """
    return max(math.ceil(math.log2(took_us) * PER_OCTAVE - 1e-9), 0) if took_us > 1 else 0


def pack(counts: dict[int, int]) -> bytes:
    """Return a histogram as bytes: bucket, count, bucket, count … in 32 bits each.

    In the byte order of this machine: a history is not carried from one architecture to another.
    """
    flat = array("I", [number for pair in sorted(counts.items()) for number in pair])
    return flat.tobytes()


def unpack(data: bytes) -> dict[int, int]:
    """Return what `pack` took."""
    flat = array("I")
    flat.frombytes(data)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def percentile_of(counts: Mapping[int, int], share: float, highest: int) -> float | None:
    """Return the nearest-rank percentile in seconds: the upper bound of its bucket, but never above the highest.

    `share` is 0 to 1, `highest` the largest latency in microseconds. None for no counts. Raises ValueError as `rank`
    does.
    """
    total = sum(counts.values())
    if not total:
        return None
    wanted = rank(total, share)
    for bucket in sorted(counts):
        wanted -= counts[bucket]
        if wanted <= 0:
            return float(min(2.0 ** (bucket / PER_OCTAVE), highest)) / 1e6
    return highest / 1e6

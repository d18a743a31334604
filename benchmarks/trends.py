"""What `07_trends` costs beside bare SQL and pandas of the same rows: `python benchmarks/trends.py [ROUNDS]`.

Two hundred services over 365 days, read as the frames of days and of services. The bare side does by hand what a person who knows
the tables would: one SELECT, the counts of the buckets unpacked by numpy, p50 and p95 by groupby. Both must say the same p95.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd

from resilience.core.period import period_of
from resilience.runs.frames import trend_frame
from resilience.runs.histogram import PER_OCTAVE, pack
from resilience.runs.history import History
from resilience.runs.trends import read_trends

SERVICES, FIRST, DAYS = 200, 20_000, 365
LIMIT = 1.5


def fill(path: Path) -> None:
    """Write the days of a year; each has some 25 buckets, as a service that is looked at all day has."""
    chance = random.Random(1)
    with History(path) as history, history.writing():
        environment = history.number_of("staging")
        for service in [history.number_of(f"service-{number:03}") for number in range(SERVICES)]:
            rows = []
            for day in range(FIRST, FIRST + DAYS):
                counts = {chance.randrange(80, 190): chance.randrange(1, 30) for _ in range(25)}
                answered, most = sum(counts.values()), int(2 ** (max(counts) / PER_OCTAVE))
                rows.append((environment, service, day, answered + 3, 3, most, pack(counts)))
            history.db.executemany("INSERT INTO day VALUES (?,?,?,?,?,?,?)", rows)


def ours(path: Path) -> tuple[Any, Any]:
    period = period_of("all", "", today=date(2026, 12, 1))
    with History(path) as history:
        trends = read_trends(history, "staging", period)
        return trend_frame("days", trends), trend_frame("services", trends)


def bare(path: Path) -> tuple[Any, Any]:
    db = sqlite3.connect(path)
    query = (
        "SELECT w.text AS service, day, samples, lost, counts FROM day JOIN word w ON w.id = day.service ORDER BY 1, 2"
    )
    days = pd.read_sql(query, db)
    db.close()
    pairs = np.frombuffer(b"".join(days["counts"]), dtype=np.uint32).reshape(-1, 2)
    row = np.repeat(np.arange(len(days)), days["counts"].str.len() // 8)
    buckets = pd.DataFrame({"row": row, "bucket": pairs[:, 0], "count": pairs[:, 1].astype("int64")})
    days["p50"], days["p95"] = (_percentile(buckets, "row", share) for share in (0.50, 0.95))
    days["availability"] = 1 - days["lost"] / days["samples"]
    buckets["service"] = days["service"].to_numpy()[row]
    services = days.groupby("service")[["samples", "lost"]].sum()
    summed = buckets.groupby(["service", "bucket"], as_index=False)["count"].sum()
    services["p50"], services["p95"] = (_percentile(summed, "service", share) for share in (0.50, 0.95))
    return days, services


def _percentile(buckets: Any, key: str, share: float) -> Any:
    run = buckets.groupby(key)["count"].cumsum()
    total = buckets.groupby(key)["count"].transform("sum")
    reached = run >= np.ceil(share * total)
    return 2.0 ** (buckets["bucket"][reached].groupby(buckets[key]).first() / PER_OCTAVE) / 1e6


def took(act: Callable[[Path], object], path: Path) -> float:
    began = time.perf_counter()
    act(path)
    return time.perf_counter() - began


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite"
        fill(path)
        mine, plain = ours(path), bare(path)
        for own, other in zip(mine, plain, strict=True):
            assert len(own) == len(other)
            assert np.abs(own["p95_s"].to_numpy() - other["p95"].to_numpy()).max() < 1e-5
        pairs = [(took(ours, path), took(bare, path)) for _ in range(rounds)]
    first, second = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"{len(mine[0]):,} days of services as frames, median of {rounds} rounds in turn")
    print(
        f"  ours {first:.3f} s   bare SQL and pandas {second:.3f} s   ratio {first / second:.2f} (at most {LIMIT:.2f})"
    )
    return 0 if first / second <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""Turn what the history says over a period into pandas frames for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import pandas as pd

from resilience.core.errors import UsageError, did_you_mean
from resilience.core.trends import IncidentTimes, TestCounts
from resilience.runs.trends import ByDay, Trends


def days_frame(trends: Trends) -> Any:
    """Return one row a service and day: day (UTC), service, samples, lost, availability, p50_s, p95_s, max_s."""
    frame = _services(trends.days)
    frame.insert(0, "day", pd.to_datetime(trends.days.day.astype("datetime64[D]").astype("datetime64[s]")))
    return frame


def services_frame(trends: Trends) -> Any:
    """Return one row a service over the whole period: service, samples, lost, availability, p50_s, p95_s, max_s."""
    return _services(trends.whole)


def _services(table: ByDay) -> Any:
    return pd.DataFrame(
        {
            "service": pd.Categorical.from_codes(table.service, list(table.services)),
            "samples": table.samples,
            "lost": table.lost,
            "availability": table.availability,
            "p50_s": table.p50_s,
            "p95_s": table.p95_s,
            "max_s": table.max_s,
        }
    )


def incidents_frame(trends: Trends) -> Any:
    """Return one row an outage, by its beginning, with the fields of `IncidentTimes`; what is not known is missing."""
    frame = _records(IncidentTimes, trends.incidents)
    frame["services"] = [", ".join(names) for names in frame["services"]]
    for name in ("opened_at", "closed_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    seconds = [name for name in frame.columns if name.endswith("_s")]
    return frame.astype(dict.fromkeys(seconds, "float64"))


def tests_frame(trends: Trends) -> Any:
    """Return one row a test that was ever anything but passed, the flaky first: test, flaky, and the rest of `TestCounts`."""
    frame = _records(TestCounts, trends.tests)
    frame.insert(1, "flaky", frame["passed_later"] + frame["changed"])
    frame["last_at"] = pd.to_datetime(frame["last_at"], utc=True)
    return frame


def _records(kind: type[Any], records: tuple[Any, ...]) -> Any:
    names = [one.name for one in fields(kind)]
    return pd.DataFrame({name: [getattr(record, name) for record in records] for name in names}, columns=names)


TREND_FRAMES: Mapping[str, Callable[[Trends], Any]] = {
    "days": days_frame,
    "services": services_frame,
    "incidents": incidents_frame,
    "tests": tests_frame,
}
"""What can be asked for by name. A frame of a period in which nothing was has its columns and no row."""


def trend_frame(name: str, trends: Trends) -> Any:
    """Return the frame of this name; UsageError names those that there are."""
    if name not in TREND_FRAMES:
        raise UsageError(f"there is no frame {name!r}.", hint=did_you_mean(name, TREND_FRAMES))
    return TREND_FRAMES[name](trends)

"""Turn samples, tests and services into pandas frames for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from resilience.core.errors import UsageError, did_you_mean
from resilience.core.records import Incident, InfrastructureHealth, Sample, TestSuiteResult
from resilience.report.series import FAULTS, PHASES, STATUSES, Columns


def samples_frame(samples: Iterable[Sample] | Columns) -> Any:
    """Return one row a sample, by time: at (UTC), service, target, status, response_time_s, fault, dns_s … query_s.

    Columns are taken over as whole arrays and words as categories, so that no loop runs over a day of samples.
    """
    columns = Columns.of(samples)
    parts = []
    statuses = [status.value for status in STATUSES]
    faults = [fault.value for fault in FAULTS]
    for line in columns.lines.values():
        number = np.frombuffer(line.fault, dtype=np.uint8).astype(np.int16)
        number = np.where(number == 255, -1, number)
        part = pd.DataFrame(
            {
                "at": pd.to_datetime(np.frombuffer(line.at, dtype=np.int64), unit="us", utc=True),
                "service": line.service,
                "target": line.target,
                "status": pd.Categorical.from_codes(np.frombuffer(line.status, dtype=np.uint8), statuses),
                "response_time_s": np.frombuffer(line.seconds, dtype=np.float64),
                "fault": pd.Categorical.from_codes(number, faults),
                **{
                    f"{name}_s": np.frombuffer(column, dtype=np.float32)
                    for name, column in zip(PHASES, line.phases, strict=True)
                },
            }
        )
        parts.append(part)
    if not parts:
        empty = {
            "at": pd.DatetimeIndex([], tz="UTC"),
            "service": [],
            "target": [],
            "status": [],
            "response_time_s": [],
            "fault": [],
        }
        return pd.DataFrame({**empty, **{f"{name}_s": [] for name in PHASES}})
    return pd.concat(parts, ignore_index=True).sort_values("at", kind="stable", ignore_index=True)


def tests_frame(result: TestSuiteResult | None) -> Any:
    """Return one row a test: id, outcome, rounds, duration_s, fault, service, suspect, message, reason."""
    names = ("id", "outcome", "rounds", "duration_s", "fault", "service", "suspect", "message", "reason")
    rows = [{name: _word(getattr(test, name)) for name in names} for test in (result.tests if result else ())]
    return pd.DataFrame(rows, columns=list(names))


def services_frame(health: InfrastructureHealth | None) -> Any:
    """Return one row a service as judged: name, type, status, fault, phase, response_time_s, critical, endpoint, detail, hint."""
    names = ("name", "type", "status", "fault", "phase", "response_time_s", "critical", "endpoint", "detail", "hint")
    rows = [{name: _word(getattr(one, name)) for name in names} for one in (health.services if health else ())]
    return pd.DataFrame(rows, columns=list(names))


FRAMES: Mapping[str, Callable[[Incident, Iterable[Sample]], Any]] = {
    "services": lambda incident, samples: services_frame(incident.latest or incident.health),
    "samples": lambda incident, samples: samples_frame(samples),
    "tests": lambda incident, samples: tests_frame(incident.tests),
}
"""What can be asked for by name. A frame of what is not known yet has its columns and no row."""


def frame(name: str, incident: Incident, samples: Iterable[Sample]) -> Any:
    """Return the frame of this name; UsageError names those that there are.

    Texts are not redacted here. pandas is imported with this module, so import it only where a person wants a frame.
    """
    if name not in FRAMES:
        raise UsageError(f"there is no frame {name!r}.", hint=did_you_mean(name, FRAMES))
    return FRAMES[name](incident, samples)


def _word(value: object) -> object:
    """Return an enum's member as the plain word it is, so that a cell shows and compares text."""
    return str(value) if isinstance(value, str) else value

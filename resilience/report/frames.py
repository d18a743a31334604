"""Turn samples, tests and services into pandas frames for notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from resilience.core.records import ConnectivityStatus, FaultCode, InfrastructureHealth, Sample, TestSuiteResult
from resilience.report.series import FAULTS, PHASES, STATUSES, Columns


def samples_frame(samples: Iterable[Sample] | Columns) -> Any:
    """Return one row a sample, by time: at (UTC), service, target, status, response_time_s, fault, dns_s … query_s."""
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


def _word(value: object) -> object:
    return (
        value.value
        if isinstance(value, ConnectivityStatus | FaultCode)
        else str(value)
        if isinstance(value, str)
        else value
    )

"""Turn samples into rows of latency: before, during and after the outage, and where the time of a probe went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from resilience.core.marks import PHASES
from resilience.core.records import ConnectivityStatus
from resilience.report.series import Line, Stats, Window, moment, remarkable, stats


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRow:
    """One service's latency before, during and after the outage."""

    service: str
    before: Stats
    during: Stats
    after: Stats


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRow:
    """Where the seconds of one probe went; `rest_s` is spent waiting in the phase that did not end.

    `which`: median, failed or worst. `parts` are phase and seconds, in their order; `total_s` is the whole probe.
    """

    service: str
    which: str
    at: datetime
    status: ConnectivityStatus
    fault: str
    total_s: float
    parts: tuple[tuple[str, float], ...]
    rest_s: float = 0.0


def latency(lines: Sequence[Line], window: Window | None) -> tuple[LatencyRow, ...]:
    """Return a row a service; without an outage all samples are "before"."""
    rows = []
    for line in lines:
        if window is None:
            none = Stats(samples=0, lost=0)
            rows.append(LatencyRow(service=line.service, before=stats(line), during=none, after=none))
            continue
        rows.append(
            LatencyRow(
                service=line.service,
                before=stats(line, None, window.start),
                during=stats(line, window.start, window.end),
                after=stats(line, window.end, None) if window.end is not None else Stats(samples=0, lost=0),
            )
        )
    return tuple(rows)


def phases(lines: Sequence[Line]) -> tuple[PhaseRow, ...]:
    """Return the median and the worst probe of each service; what no phase accounts for is time spent in the unfinished one."""
    rows = []
    for line in lines:
        for which, index in sorted(remarkable(line).items()):
            phases = line.phases_at(index)
            parts = tuple(
                (name, value)
                for name, value in ((mark.word, getattr(phases, f"{name}_s")) for name, mark in PHASES.items())
                if value is not None
            )
            total = line.seconds_at(index) or 0.0
            fault = line.fault_at(index)
            rows.append(
                PhaseRow(
                    service=line.service,
                    which=which,
                    at=moment(line.at[index]),
                    status=line.status_at(index),
                    fault=fault.value if fault else "",
                    total_s=total,
                    parts=parts,
                    rest_s=max(total - sum(value for _, value in parts), 0.0),
                )
            )
    return tuple(rows)

"""Turn samples into columns per service: intervals of one status, and latency before, during and after an outage.

A million samples take one pass and about 50 bytes each; nothing here needs pandas.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from resilience.core import marks
from resilience.core.records import ConnectivityStatus, FaultCode, Phases, Sample
from resilience.core.steadiness import percentile

STATUSES = tuple(ConnectivityStatus)
FAULTS = tuple(FaultCode)
_STATUS = {status: number for number, status in enumerate(STATUSES)}
_FAULT = {fault: number for number, fault in enumerate(FAULTS)}
_NO_FAULT = 255
_NAN = math.nan
PHASES = tuple(marks.PHASES)
_ANSWERED = (_STATUS[ConnectivityStatus.AVAILABLE], _STATUS[ConnectivityStatus.DEGRADED])
_DOWN = _STATUS[ConnectivityStatus.UNAVAILABLE]
_BAD = (_DOWN, _STATUS[ConnectivityStatus.DEGRADED])
SEVERITY = (
    ConnectivityStatus.NOT_CONFIGURED,
    ConnectivityStatus.AVAILABLE,
    ConnectivityStatus.UNKNOWN,
    ConnectivityStatus.DEGRADED,
    ConnectivityStatus.UNAVAILABLE,
)
"""From harmless to worst: where many samples share a pixel, the worst is drawn."""


_SEVERITY = tuple(SEVERITY.index(one) for one in STATUSES)


def micros(at: datetime) -> int:
    """Return microseconds since 1970, exactly."""
    delta = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def moment(at: int) -> datetime:
    """Return the time of a count of microseconds since 1970."""
    return datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=at % 1_000_000)


@dataclass(slots=True)
class Line:
    """The samples of one service on one target, by time. `at` in microseconds, `seconds` NaN where there is none.

    `status`, `fault` and `stage` are numbers: of STATUSES, of FAULTS (255: none) and of `Columns.stages`. `ordered`
    is whether the samples came by time.
    """

    service: str
    target: str
    at: array[int] = field(default_factory=lambda: array("q"))
    status: array[int] = field(default_factory=lambda: array("B"))
    seconds: array[float] = field(default_factory=lambda: array("d"))
    fault: array[int] = field(default_factory=lambda: array("B"))
    stage: array[int] = field(default_factory=lambda: array("H"))
    phases: tuple[array[float], ...] = field(default_factory=lambda: tuple(array("f") for _ in PHASES))
    ordered: bool = True
    stretches: tuple[int, int, list[tuple[int, int, int, int, int]]] | None = None
    """Kept once computed, as every rendering asks for them."""

    def __len__(self) -> int:
        return len(self.at)

    def columns(self) -> tuple[array[int] | array[float], ...]:
        return (self.at, self.status, self.seconds, self.fault, self.stage, *self.phases)

    def status_at(self, index: int) -> ConnectivityStatus:
        return STATUSES[self.status[index]]

    def fault_at(self, index: int) -> FaultCode | None:
        return None if self.fault[index] == _NO_FAULT else FAULTS[self.fault[index]]

    def seconds_at(self, index: int) -> float | None:
        value = self.seconds[index]
        return None if math.isnan(value) else value

    def phases_at(self, index: int) -> Phases:
        values = [None if math.isnan(column[index]) else column[index] for column in self.phases]
        return Phases(dns_s=values[0], tcp_s=values[1], tls_s=values[2], first_byte_s=values[3], query_s=values[4])


@dataclass(slots=True)
class Columns:
    """All samples, by service and target, in the order in which they came.

    `after` changes the earlier columns and returns them: hand them on, do not keep them.
    """

    lines: dict[tuple[str, str], Line] = field(default_factory=dict)
    order: array[int] = field(default_factory=lambda: array("H"))
    stages: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.order)

    @classmethod
    def of(cls, samples: Iterable[Sample] | Columns) -> Columns:
        """Take samples in one pass, then put each line into the order of time.

        Two samples of one service may have the same time; their order is kept.
        """
        if isinstance(samples, Columns):
            return samples
        self = cls()
        numbers: dict[tuple[str, str], int] = {}
        stages: dict[str, int] = {}
        lines: list[Line] = []
        order = self.order
        empty = Phases()
        for sample in samples:
            key = (sample.service, sample.target)
            number = numbers.get(key)
            if number is None:
                number = numbers[key] = len(lines)
                lines.append(Line(*key))
                self.lines[key] = lines[-1]
            line = lines[number]
            at = micros(sample.at)
            if line.at and at < line.at[-1]:
                line.ordered = False
            line.at.append(at)
            line.status.append(_STATUS[sample.status])
            line.seconds.append(_NAN if sample.response_time_s is None else sample.response_time_s)
            line.fault.append(_NO_FAULT if sample.fault is None else _FAULT[sample.fault])
            line.stage.append(stages.setdefault(sample.stage, len(stages)))
            phases = sample.phases
            if phases is empty or phases == empty:
                values: tuple[float | None, ...] = (None, None, None, None, None)
            else:
                values = (phases.dns_s, phases.tcp_s, phases.tls_s, phases.first_byte_s, phases.query_s)
            for column, value in zip(line.phases, values, strict=True):
                column.append(_NAN if value is None else value)
            order.append(number)
        self.stages = list(stages)
        for line in lines:
            if not line.ordered:
                _sort(line)
        return self

    def after(self, earlier: Columns) -> Columns:
        """Return these samples behind those of earlier runs, which are taken over and grow."""
        if not len(earlier):
            return self
        keys = list(self.lines)
        for key in keys:
            earlier.lines.setdefault(key, Line(*key))
        places = {key: number for number, key in enumerate(earlier.lines)}
        stages = {stage: number for number, stage in enumerate(earlier.stages)}
        renamed = [stages.setdefault(stage, len(stages)) for stage in self.stages]
        for key, line in self.lines.items():
            grown = earlier.lines[key]
            ordered = not len(grown) or not len(line) or grown.at[-1] <= line.at[0]
            stage = array("H", [renamed[number] for number in line.stage])
            columns = (line.at, line.status, line.seconds, line.fault, stage, *line.phases)
            for column, more in zip(grown.columns(), columns, strict=True):
                mutable: Any = column
                mutable.extend(more)
            if not ordered:
                _sort(grown)
        numbers = [places[key] for key in keys]
        earlier.order.extend(array("H", [numbers[number] for number in self.order]))
        earlier.stages = list(stages)
        return earlier

    def staging(self) -> tuple[Line, ...]:
        """Return the lines of the real services; a stand-in is never drawn in one line with staging."""
        return tuple(line for line in self.lines.values() if line.target == "staging")

    def csv(self) -> Iterator[str]:
        """Return samples.csv in pieces of whole lines, in the order recorded.

        Times are UTC with microseconds, latencies in seconds; a field that is not known is empty. A cell that a
        spreadsheet would run as a formula begins with an apostrophe.
        """
        yield _HEAD
        rows = [
            zip(line.at, line.stage, line.status, line.seconds, line.fault, zip(*line.phases, strict=True), strict=True)
            for line in self.lines.values()
        ]
        heads = [f"{_cell(line.service)},{_cell(line.target)}," for line in self.lines.values()]
        stages = [_cell(stage) for stage in self.stages]
        statuses = [status.value for status in STATUSES]
        faults = [fault.value for fault in FAULTS] + [""] * (256 - len(FAULTS))
        numbers = ",".join(["%.4g"] * len(PHASES)) + "\n"
        second, prefix = -1, ""
        held: list[str] = []
        for number in self.order:
            at, stage, status, took, fault, phases = next(rows[number])
            whole, rest = divmod(at, 1_000_000)
            if whole != second:
                second, prefix = whole, datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            # Five numbers in one go take half the time of five looks at whether they are there.
            shown = numbers % phases
            if "nan" in shown:
                shown = shown.replace("nan", "")
            seconds = "" if took != took else "%.6g" % took  # noqa: UP031 - as above
            held.append(
                f"{prefix}.{rest:06d}Z,{heads[number]}{stages[stage]},{statuses[status]},{seconds},{faults[fault]},{shown}"
            )
            if len(held) >= 10_000:
                yield "".join(held)
                held.clear()
        yield "".join(held)

    def texts(self) -> str:
        """Return every text that samples.csv holds, once: all else in it are numbers, whatever digits a password is made of."""
        names = (text for line in self.lines.values() for text in (line.service, line.target))
        words = (*STATUSES, *FAULTS)
        cells = dict.fromkeys((*names, *self.stages, *(word.value for word in words)))
        return _HEAD + "\n".join(map(_cell, cells))


_HEAD = "at,service,target,stage,status,response_time_s,fault," + ",".join(f"{name}_s" for name in PHASES) + "\n"


def _cell(text: str) -> str:
    # A leading =, +, - or @ makes spreadsheets run the cell as a formula.
    text = f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n\r') else text


def _sort(line: Line) -> None:
    """Put a line into the order of time; samples of one time keep theirs."""
    by_time = sorted(range(len(line.at)), key=line.at.__getitem__)
    for column in line.columns():
        values: Any = [column[index] for index in by_time]
        mutable: Any = column
        mutable[:] = array(column.typecode, values)
    line.ordered = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A stretch of one status of a service, from its first sample to the first sample of the next."""

    start: int
    end: int
    status: ConnectivityStatus
    samples: int = 1


def intervals(line: Line, *, until: int | None = None, resolution: int = 0) -> tuple[Interval, ...]:
    """Return the stretches of one status, at most one per `resolution` microseconds, the worst status winning.

    A stretch ends where nobody looked for over ten usual distances (at least 30 s): a gap is not an outage.

    `until` is where the picture ends: the last stretch reaches it where somebody looked shortly before. With a
    `resolution` a short outage of one sample is still seen, as the worst of those joined is kept.
    """
    if not len(line):
        return ()
    if line.stretches is None:
        line.stretches = _stretches(line)
    usual, patience, raw = line.stretches
    found = _merged(raw, resolution)
    # What the last sample saw holds for one more usual distance, no longer than the picture.
    final = found[-1]
    end = final[3] + min(usual, patience)
    if until is not None:
        end = until if until - final[3] <= patience else min(end, until)
    final[1] = max(end, final[3])
    return tuple(
        Interval(start=start, end=max(end, start), status=STATUSES[number], samples=samples)
        for start, end, number, _, samples in found
    )


def _merged(raw: Iterable[tuple[int, int, int, int, int]], resolution: int) -> list[list[int]]:
    """Join neighbours that share a status or lie within one `resolution`; the worst of those joined is kept, as it is news."""
    found: list[list[int]] = []
    for start, end, status, last, samples in raw:
        before = found[-1] if found and found[-1][1] == start else None
        if before is None or not (before[2] == status or (resolution and start - before[0] < resolution)):
            found.append([start, end, status, last, samples])
            continue
        before[1], before[3] = end, last
        before[4] += samples
        if _SEVERITY[status] > _SEVERITY[before[2]]:
            before[2] = status
    return found


def _stretches(line: Line) -> tuple[int, int, list[tuple[int, int, int, int, int]]]:
    """Return the usual distance, the longest that is no gap, and each stretch.

    A stretch is start, end, status, last sample and count. The usual distance is the median of some thousand
    distances, in microseconds: a million would cost time and tell no more.
    """
    count, at, status = len(line), line.at, line.status
    usual = 0
    if count > 1:
        step = max(count // 2000, 1)
        distances = sorted(at[index + 1] - at[index] for index in range(0, count - 1, step))
        usual = distances[len(distances) // 2]
    patience = max(10 * usual, 30_000_000)
    found: list[tuple[int, int, int, int, int]] = []
    start, kind, last, first = at[0], status[0], at[0], 0
    for index in range(1, count):
        now = at[index]
        if now - last > patience:
            found.append((start, last + min(usual, patience), kind, last, index - first))
            start, kind, first = now, status[index], index
        elif status[index] != kind:
            found.append((start, now, kind, last, index - first))
            start, kind, first = now, status[index], index
        last = now
    found.append((start, last, kind, last, count - first))
    return usual, patience, found


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Latency in seconds of the samples that were answered, and the share of samples that were not."""

    samples: int
    lost: int
    p50_s: float | None = None
    p95_s: float | None = None
    max_s: float | None = None

    @property
    def loss(self) -> float | None:
        return self.lost / self.samples if self.samples else None


def stats(line: Line, start: int | None = None, end: int | None = None) -> Stats:
    """Return the figures of the samples with `start` <= at < `end`.

    Microseconds; None leaves that side open. `lost` are unavailable ones; unknown samples count neither as lost nor
    as samples.
    """
    first = 0 if start is None else bisect_left(line.at, start)
    last = len(line) if end is None else bisect_left(line.at, end)
    took = sorted(answered(line, first, last))
    lost = line.status[first:last].count(_DOWN)
    unknown = line.status[first:last].count(_STATUS[ConnectivityStatus.UNKNOWN])
    return Stats(
        samples=max(last - first - unknown, 0),
        lost=lost,
        p50_s=percentile(took, 0.50),
        p95_s=percentile(took, 0.95),
        max_s=took[-1] if took else None,
    )


def answered(line: Line, first: int, last: int) -> list[float]:
    """Return the seconds of those samples that the service answered; how long a failure took is not a latency."""
    status, seconds = line.status, line.seconds
    return [s for index in range(first, last) if status[index] in _ANSWERED and (s := seconds[index]) == s]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The outage that all services are compared by; `end` is None while it lasts. Microseconds."""

    start: int
    end: int | None


def outage(lines: Sequence[Line], *, started: int | None = None, ended: int | None = None) -> Window | None:
    """Return the stretch from the first bad sample to the first moment after which all were well, or None.

    `started` and `ended` are what is known from elsewhere and win.

    A line whose last sample is bad makes it last: `end` is None. The lines are those of staging.
    """
    first = min((line.at[i] for line in lines for i in _first_bad(line)), default=None)
    start = started if started is not None and (first is None or started <= first) else first
    if start is None:
        return None
    if ended is not None and ended >= start:
        return Window(start=start, end=ended)
    ends = []
    for line in lines:
        last = _last_bad(line)
        if last is None:
            continue
        if last == len(line) - 1:
            return Window(start=start, end=None)
        ends.append(line.at[last + 1])
    return Window(start=start, end=max(ends) if ends else None)


def _first_bad(line: Line) -> Iterator[int]:
    places = [place for number in _BAD if (place := _index(line.status, number)) is not None]
    if places:
        yield min(places)


def _index(values: array[int], wanted: int) -> int | None:
    try:
        return values.index(wanted)
    except ValueError:
        return None


def _last_bad(line: Line) -> int | None:
    return next((index for index in range(len(line) - 1, -1, -1) if line.status[index] in _BAD), None)


def remarkable(line: Line) -> dict[str, int]:
    """Return the indices of the median probe of those answered and of the worst.

    The longest failed one, else the longest.

    The keys are "median", and "failed" or "worst": a failed probe says more than a slow one.
    """
    if not len(line):
        return {}
    known = [index for index in range(len(line)) if line.seconds[index] == line.seconds[index]]
    if not known:
        return {}
    worst = max(known, key=lambda index: (line.status[index] == _DOWN, line.seconds[index]))
    good = sorted((i for i in known if line.status[i] in _ANSWERED), key=line.seconds.__getitem__)
    found = {"failed" if line.status[worst] == _DOWN else "worst": worst}
    if good:
        found["median"] = good[(len(good) - 1) // 2]
    return found

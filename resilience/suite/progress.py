"""Turn what is known of a running command into Progress, at most a few times a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from resilience.core.redact import Redactor
from resilience.suite.events import Record
from resilience.suite.records import Progress, Turn

EVENTS_PER_S = 10.0


class Teller:
    """Tells how far a run is; without a listener it costs nothing."""

    def __init__(self, on_event: Callable[[Progress], None] | None, redactor: Redactor) -> None:
        self._on_event, self._redactor = on_event, redactor
        self._began = time.monotonic()
        self._last = 0.0
        self._turn: tuple[int, int] | None = None
        self._ran_from: float | None = None

    def running(self, turn: Turn, record: Record, held: Collection[str]) -> None:
        """Tell of a command that starts, then collects, then runs its tests, by whose time alone the rest is judged."""
        now = time.monotonic()
        if self._on_event is None or now - self._last < 1 / EVENTS_PER_S:
            return
        self._last = now
        if self._turn != (turn.number, turn.round):
            self._turn, self._ran_from = (turn.number, turn.round), None
        known = any(session.collected is not None for session in record.sessions.values())
        # What the selection left out never runs: counted, it would make the end recede.
        collected = sum(not (test.collector or test.left_out) for test in record.tests.values()) if known else 0
        if known and self._ran_from is None:
            self._ran_from = now
        ran = now - self._ran_from if self._ran_from is not None else 0.0
        rate = record.finished / ran if ran > 0 else 0.0
        left = max(0, collected - record.finished)
        current = next((s for s in record.sessions.values() if s.current), None)
        self._tell(
            turn, record, held, phase="running" if known else "collecting" if record.sessions else "starting",
            collected=collected, rate=rate,
            eta_s=left / rate if rate > 0 and collected else None,
            current=current.current or "" if current else "",
            current_s=max(0.0, time.time() - current.since) if current else 0.0,
            failures=tuple(self._redactor.text(name) for name in record.failing),
        )  # fmt: skip

    def between(self, turn: Turn, record: Record, phase: str, note: str, held: Collection[str]) -> None:
        """Tell what is done between two rounds."""
        self._tell(turn, record, held, phase=phase, collected=record.collected, note=note)

    def _tell(
        self, turn: Turn, record: Record, held: Collection[str], *, phase: str, collected: int, rate: float = 0.0,
        eta_s: float | None = None, current: str = "", current_s: float = 0.0, note: str = "",
        failures: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        if self._on_event is None:
            return
        progress = Progress(
            command=self._redactor.text(turn.command.command), number=turn.number + 1, commands=turn.commands,
            round=turn.round, phase=phase, collected=collected, finished=record.finished, counts=dict(record.counts),
            rate=rate, eta_s=eta_s, current=current, current_s=current_s, elapsed_s=time.monotonic() - self._began,
            held=tuple(held), note=note, failures=failures,
        )  # fmt: skip
        self._on_event(progress)

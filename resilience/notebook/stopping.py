"""Know when a headless run has to stop: SIGINT, SIGTERM, SIGHUP, the end of the run's time or of the stage's."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from resilience.host import signals
from resilience.show import sticky


class Stopping:
    """What stops a run. Limits are in seconds, None for none; `signal` is the first one heard.

    Time is monotonic: a clock that is set does not end a run.
    """

    def __init__(self, *, total_timeout_s: float | None = None, stage_timeout_s: float | None = None) -> None:
        self.started = time.monotonic()
        self.deadline = None if total_timeout_s is None else self.started + total_timeout_s
        self.stage_timeout_s = stage_timeout_s
        self.asked = asyncio.Event()
        self.signal: int | None = None
        self.out_of_time = False

    @property
    def ended(self) -> bool:
        """Say whether nothing more may be started, not even the kernel that makes the report."""
        return self.asked.is_set() or self.out_of_time

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGINT, SIGTERM and SIGHUP as "stop" within this block, on the loop that is running.

        The first signal counts; a second one changes nothing. Behind the block the handlers of before are back: asyncio
        alone would leave SIGTERM to end the process at once, in the middle of what it still writes. SIGHUP that is
        ignored stays so, as under nohup.
        """
        loop = asyncio.get_running_loop()
        heard: dict[signal.Signals, Any] = {}

        def stop(number: int) -> None:
            if self.signal is None:
                sticky.interrupt("stopping, writing the report")
            self.signal = self.signal or number
            self.asked.set()

        for number in signals.ENDING:
            before = signal.getsignal(number)
            if number is not signal.SIGINT and before is signal.SIG_IGN:
                continue
            # Not the main thread, or no signals on this platform: the caller then stops us by cancelling.
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, stop, number)
                heard[number] = before
        try:
            yield
        finally:
            for number, before in heard.items():
                loop.remove_signal_handler(number)
                if before is not None:
                    signal.signal(number, before)

    def remaining(self, stage_started: float) -> float | None:
        """Return the seconds that are left to the stage that began then (monotonic), or None where nothing limits it."""
        limits = [] if self.deadline is None else [self.deadline]
        if self.stage_timeout_s is not None:
            limits.append(stage_started + self.stage_timeout_s)
        return max(0.0, min(limits) - time.monotonic()) if limits else None

    def run_is_over(self) -> bool:
        """Say, and remember, whether the time of the whole run is over, and not only that of one stage."""
        self.out_of_time = self.deadline is not None and time.monotonic() >= self.deadline
        return self.out_of_time

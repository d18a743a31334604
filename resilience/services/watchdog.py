"""Turn an event loop that stands still into an interruption, from outside of it."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import sys
import threading
import time
import traceback


class LoopBlocked(Exception):
    """Raised inside code that kept the event loop from running for longer than any probe may take."""


class Watchdog:
    """Watch a loop's pulse from a thread, and interrupt what holds it. `where` names what that was, else it is empty.

    A driver that spins without awaiting cannot be cancelled. Python code is interrupted by LoopBlocked. Code in C that keeps
    the interpreter's lock (asyncpg on zero bytes) lets no thread of Python run: against that PostgreSQL's messages are
    checked before asyncpg sees them, and `last_resort_s` arms faulthandler's own thread, which needs no lock: it writes
    where the process stands to stderr and ends it with exit code 1. Not for a process that is not ours alone.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, grace_s: float, last_resort_s: float | None = None) -> None:
        self.where = ""
        self._loop, self._grace_s, self._last_resort_s = loop, grace_s, last_resort_s
        self._beat = time.monotonic()
        self._ident = threading.get_ident()
        self._stop = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._every_s = min(0.25, grace_s / 4)
        self._thread = threading.Thread(target=self._watch, daemon=True, name="probe watchdog")

    def __enter__(self) -> Watchdog:
        self._pulse()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._last_resort_s is not None:
            faulthandler.cancel_dump_traceback_later()

    def _pulse(self) -> None:
        self._beat = time.monotonic()
        self._timer = self._loop.call_later(self._every_s, self._pulse)
        if self._last_resort_s is not None:
            faulthandler.dump_traceback_later(self._last_resort_s, exit=True, file=sys.__stderr__ or sys.stderr)

    def _watch(self) -> None:
        while not self._stop.wait(self._every_s):
            if time.monotonic() - self._beat < self._grace_s:
                continue
            frame = sys._current_frames().get(self._ident)
            if frame is not None:
                last = traceback.extract_stack(frame, limit=1)[-1]
                self.where = f"{last.name} ({last.filename.rpartition('/')[2]}:{last.lineno})"
            self._beat = time.monotonic()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._ident), ctypes.py_object(LoopBlocked))

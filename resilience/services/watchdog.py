"""Turn an event loop that a probe keeps standing still into an interruption of that probe, from outside of the loop."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import sys
import threading
import time
from contextvars import ContextVar, Token
from types import CodeType, FrameType

_WATCHED: ContextVar[bool] = ContextVar("watched by a watchdog", default=False)
_HANDLE_RUN: CodeType = asyncio.Handle._run.__code__


class LoopBlocked(Exception):
    """Raised inside code that kept the event loop from running for longer than any probe may take."""

    def __init__(self) -> None:
        super().__init__(
            "this probe kept the event loop from running for longer than any probe may take, and was ended"
        )


class Watchdog:
    """Watch a loop's pulse from a thread, and interrupt the probe that holds it. `where` names what held it, else it is empty.

    Interrupted is only what was begun inside of the `with`, in its own task, in tasks and callbacks that began there: other
    work of the same loop, such as that of the tests' own output, is named and left alone, as nobody could do it again.

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
        self._watched: Token[bool] | None = None
        self._every_s = min(0.25, grace_s / 4)
        self._thread = threading.Thread(target=self._watch, daemon=True, name="probe watchdog")

    def __enter__(self) -> Watchdog:
        self._pulse()
        self._watched = _WATCHED.set(True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        if self._watched is not None:
            _WATCHED.reset(self._watched)
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
        """Wait for the pulse to fail; then interrupt what is watched, note where the loop stood, and wait anew."""
        while not self._stop.wait(self._every_s):
            if time.monotonic() - self._beat < self._grace_s:
                continue
            frame = sys._current_frames().get(self._ident)
            if frame is not None:
                if _is_watched(frame):
                    # Before anything that lets the other thread go on, so that nothing else is met.
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(self._ident), ctypes.py_object(LoopBlocked)
                    )
                code = frame.f_code
                self.where = f"{code.co_name} ({code.co_filename.rpartition('/')[2]}:{frame.f_lineno})"
            self._beat = time.monotonic()


def _is_watched(frame: FrameType) -> bool:
    """Say whether the innermost task or callback that runs here was begun inside of a watchdog's `with`."""
    at: FrameType | None = frame
    while at is not None:
        if at.f_code is _HANDLE_RUN:
            watched: bool = at.f_locals["self"]._context.get(_WATCHED, False)
            return watched
        at = at.f_back
    return False

"""Keep one line at the foot of a terminal that says what is going on, how far it is and since when.

It needs the standard library alone, so that it stands there before what does the work is loaded.
"""

from __future__ import annotations

import os
import sys
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import TextIO

from resilience.host import streams

_TICK_S = 0.1
_APPEARS_S = 0.1
"""Seconds after which the line appears: what is faster shows its result alone."""
_STEADY_S = 0.5
"""Seconds for which a text stands at least, unless something else is going on: counters that run are not read."""
_QUIET_S = 0.05
"""Seconds for which nothing else may have been written: a line drawn into somebody's escape sequence would break it."""


def lasted(total_s: float) -> str:
    """Return a length of time in whole seconds: '7 s' or '2 min 05 s'."""
    whole = int(total_s)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02d} s"


@dataclass(slots=True)
class _Said:
    what: str
    since: float
    expected_s: float | None
    far: str = ""


class Line:
    """What is said at the foot of the terminal. Without a terminal it says nothing, and costs nothing.

    The rows above it scroll as ever, whoever writes to them: the last row is taken out of the scrolling (DECSTBM), as apt
    does. It is drawn from a thread of its own, so that seconds go on where the work blocks, and only where its text changed,
    so that it does not flicker.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self.live = _is_terminal(self._stream)
        self._said: _Said | None = None
        self._drawn = ""
        self._drawn_at = ("", float("-inf"))
        self._rows = 0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def say(self, what: str, *, expected_s: float | None = None) -> None:
        """Say what is going on from now on; `expected_s` is how long it took before."""
        if self._said is None or self._said.what != what:
            self._said = _Said(what, monotonic(), expected_s)
        self._said.expected_s = expected_s

    def far(self, text: str) -> None:
        """Say how far it is, behind what is going on; since when stays."""
        if self._said is not None:
            self._said.far = text

    def open(self) -> None:
        if self.live:
            self._thread = threading.Thread(target=self._draw_on, name="sticky-line", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Give the last row back, and leave nothing of the line."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
        with self._lock:
            if self._rows:
                self._write(f"\x1b7\x1b[{self._rows};1H\x1b[2K\x1b[r\x1b8")
                self._rows, self._drawn = 0, ""

    def interrupt(self, text: str) -> None:
        """Print a line of its own at once, also from the handler of a signal."""
        self._write(f"\n{text}\n" if self.live else f"{text}\n")

    def text(self, now: float) -> str:
        """Return the line as it is at this moment: what, how far, since when, and how long it took before."""
        said = self._said
        if said is None:
            return ""
        passed = lasted(now - said.since)
        expected = (
            f" of about {lasted(said.expected_s)}" if said.expected_s is not None and said.expected_s >= 1 else ""
        )
        return f"{said.what}, {passed}{expected}" + (f": {said.far}" if said.far else "")

    def _draw_on(self) -> None:
        """Draw until the end, so that at least the seconds change; nothing before it has lasted longer than a glance."""
        if self._ended.wait(_APPEARS_S):
            return
        while not self._ended.wait(_TICK_S):
            with suppress(OSError, ValueError), self._lock:
                self._draw()

    def _draw(self) -> None:
        """Draw what changed: at once what is going on, its counters at most twice a second, and nothing into what others write."""
        now, what = monotonic(), self._said.what if self._said is not None else ""
        steady = self._drawn_at[0] == what and now - self._drawn_at[1] < _STEADY_S
        size = os.get_terminal_size(self._stream.fileno())
        if steady or size.lines < 4 or now - streams.last_written() < _QUIET_S:
            return
        text = _fitting(self.text(now), size.columns - 1)
        if text == self._drawn and size.lines == self._rows:
            return
        if size.lines != self._rows:
            # A row of its own for the line, which leaves the cursor in its column; the rows above scroll alone from then on.
            self._write(f"\x1bD\x1b7\x1b[1;{size.lines - 1}r\x1b8\x1b[1A")
            self._rows = size.lines
        self._write(f"\x1b7\x1b[{self._rows};1H\x1b[2K\x1b[7m {text} \x1b[27m\x1b8" if text else "")
        self._drawn, self._drawn_at = text, (what, now)

    def _write(self, text: str) -> None:
        """Write past the stream's own buffer: a signal's handler may come while that is being written."""
        with suppress(OSError, ValueError):
            os.write(self._stream.fileno(), text.encode(self._stream.encoding or "utf-8", "replace"))


def _fitting(text: str, columns: int) -> str:
    """Cut a text to these columns, two for a wide sign, without what a terminal would obey."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    width = 1
    fits: list[str] = []
    for sign in plain:
        width += 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        if width > columns - 1:
            return "".join(fits[:-1]) + "…"
        fits.append(sign)
    return "".join(fits)


def _is_terminal(stream: TextIO) -> bool:
    if os.environ.get("TERM", "") in ("", "dumb"):
        return False
    with suppress(OSError, ValueError, AttributeError):
        return os.isatty(stream.fileno())
    return False


class _Current:
    line: Line | None = None


def current() -> Line | None:
    """Return the line that is kept now, where one is."""
    return _Current.line


def say(what: str) -> None:
    """Say on the line that is kept now what is going on."""
    if _Current.line is not None:
        _Current.line.say(what)


def interrupt(text: str) -> None:
    """Print a line of its own at once where a line is kept; elsewhere nobody waits for it."""
    if _Current.line is not None:
        _Current.line.interrupt(text)
        _Current.line.say(text)


def end() -> None:
    """Take the line away before results are shown; nothing is drawn any more."""
    if _Current.line is not None:
        _Current.line.close()


@contextmanager
def line(what: str, *, expected_s: float | None = None) -> Iterator[Line]:
    """Say what is going on for as long as the block lasts; within another line's block, on that line."""
    outer = _Current.line
    if outer is not None:
        before = outer._said
        outer.say(what, expected_s=expected_s)
        try:
            yield outer
        finally:
            outer._said = before
        return
    made = Line()
    made.say(what, expected_s=expected_s)
    _Current.line = made
    made.open()
    try:
        yield made
    finally:
        _Current.line = None
        made.close()

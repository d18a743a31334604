"""Turn the bytes that a command printed into the redacted lines of its log, in a thread of their own."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

from resilience.core.redact import Redactor
from resilience.suite.aside import Aside

_LONGEST_LINE = 256 * 1024
"""A line longer than this is cut in the log, so that one without end is not kept whole in memory."""
_HELD = 16 * 1024
_SLICE = 64 * 1024
_MOST_WAITING = 4 * 1024 * 1024
"""What may wait for the thread; then no more is read until it caught up. The command writes to a file meanwhile."""
_TAIL_LINES, _TAIL_WIDTH = 400, 2000


class Log:
    """The log of one execution. What is put in is written in order, without secrets, by a thread.

    Redacting 1 MiB takes seconds of a loaded core: on the event loop it would keep the probes from their deadlines and a
    person's Ctrl-C from an answer. `trouble` says why lines are missing, where they are.
    """

    def __init__(self, file: Path, redactor: Redactor) -> None:
        self.file, self.trouble = file, ""
        self._redactor = redactor
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._given = self._taken = 0
        self._line = b""
        self._last: deque[str] = deque(maxlen=_TAIL_LINES)
        self._aside = Aside(self._write, "log of the tests")
        self._aside.start()

    def put(self, data: bytes) -> None:
        self._given += len(data)
        self._waiting.put(data)

    @property
    def full(self) -> bool:
        """Whether the thread is so far behind that it should get nothing more now."""
        return self._given - self._taken > _MOST_WAITING

    @property
    def tail(self) -> str:
        """The last lines, without secrets; whole once the log is closed."""
        return "\n".join(self._last)

    async def close(self, within_s: float | None = None) -> None:
        """Wait until all is written; where that takes longer than `within_s`, say in `trouble` how much is missing."""
        self._waiting.put(None)
        if not await self._aside.done(within_s) and not self.trouble:
            missing = self._given - self._taken
            self.trouble = (
                f"{self.file.name} ends {missing / 1e6:.1f} MB early: the run was interrupted while it was written"
            )

    def _write(self) -> None:
        try:
            with self.file.open("wb") as kept:
                while not self._aside.stopped and (data := self._waiting.get()) is not None:
                    self._take(data, kept)
                    self._taken += len(data)
                if self._line and not self._aside.stopped:
                    self._keep([self._line], kept)
        except Exception as exc:  # noqa: BLE001 - a log that cannot be written is said, and takes no verdict with it
            self.trouble = f"{self.file.name} could not be written in full: {type(exc).__name__}: {exc}"
            while (data := self._waiting.get()) is not None:
                self._taken += len(data)

    def _take(self, data: bytes, kept: BinaryIO) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        while lines and not self._aside.stopped:
            size = count = 0
            while count < len(lines) and size < _SLICE:
                size += len(lines[count]) + 1
                count += 1
            self._keep(lines[:count], kept)
            del lines[:count]
        if len(self._line) > _LONGEST_LINE:
            # The end is held back, as a secret may go on in what is read next; nor is one cut in two here.
            text = self._line.decode("utf-8", "surrogateescape")
            at = self._redactor.cut(text, len(text) - _HELD)
            self._keep([text[:at].encode("utf-8", "surrogateescape")], kept)
            self._line = text[at:].encode("utf-8", "surrogateescape")
        kept.flush()

    def _keep(self, lines: list[bytes], kept: BinaryIO) -> None:
        """Write these lines redacted. At once, as that is several times cheaper than one by one."""
        text = self._redactor.text(b"\n".join(lines).decode("utf-8", "replace"))
        self._last.extend(line[:_TAIL_WIDTH] for line in text.split("\n")[-_TAIL_LINES:])
        kept.write(text.encode("utf-8", "replace") + b"\n")

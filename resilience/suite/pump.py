"""Turn what a command writes, as it grows, into bytes for the screen, lines for the log and events of our plug-in."""

from __future__ import annotations

import sys
from collections import deque
from typing import BinaryIO

from resilience.core.redact import Redactor
from resilience.suite.records import Output as Output

_HELD = 16 * 1024


def to_stdout(data: bytes) -> None:
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is not None:
        sys.stdout.flush()
        buffer.write(data)
        buffer.flush()
    else:
        sys.stdout.write(data.decode("utf-8", "replace"))
        sys.stdout.flush()


class Pump:
    """What a command prints and what the plug-in writes, read as it grows."""

    def __init__(self, source: BinaryIO, stream: BinaryIO, kept: BinaryIO, sink: Output, redactor: Redactor) -> None:
        self.source, self.stream, self.kept, self.sink, self.redactor = source, stream, kept, sink, redactor
        self.rest = b""
        self.line = b""
        self.last: deque[str] = deque(maxlen=400)

    def output(self) -> bool:
        try:
            data = self.source.read(1 << 20)
        except OSError:
            return False  # a pseudo-terminal whose last writer is gone
        if not data:
            return False
        self.sink(data)
        *lines, self.line = (self.line + data).split(b"\n")
        for line in lines:
            self._keep(line)
        if len(self.line) > 1 << 20:
            # The end is held back, as a secret may go on in what is read next; nor is one cut in two here.
            text = self.line.decode("utf-8", "surrogateescape")
            at = self.redactor.cut(text, len(text) - _HELD)
            self._keep(text[:at].encode("utf-8", "surrogateescape"))
            self.line = text[at:].encode("utf-8", "surrogateescape")
        self.kept.flush()
        return True

    def _keep(self, line: bytes) -> None:
        text = self.redactor.text(line.decode("utf-8", "replace"))
        self.last.append(text[:2000])
        self.kept.write(text.encode("utf-8", "replace") + b"\n")

    def events(self) -> list[bytes]:
        data = self.stream.read(1 << 20)
        if not data:
            return []
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [line for line in lines if line]

    def close(self) -> None:
        if self.line:
            self._keep(self.line)
            self.line = b""

    @property
    def tail(self) -> str:
        return "\n".join(self.last)

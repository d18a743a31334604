"""Turn what a command writes, as it grows, into bytes for the screen and the log, and events of our plug-in."""

from __future__ import annotations

import sys
from typing import BinaryIO

from resilience.host.streams import written
from resilience.suite.log import Log
from resilience.suite.records import Output as Output


def to_stdout(data: bytes) -> None:
    """Pass on what the tests print; where stdout takes no more, the tests go on all the same."""
    written(lambda: _write(data), sys.stdout)


def _write(data: bytes) -> None:
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

    def __init__(self, source: BinaryIO, stream: BinaryIO, log: Log, sink: Output) -> None:
        self.source, self.stream, self.log, self.sink = source, stream, log, sink
        self.rest = b""

    def output(self) -> bool:
        """Pass on what was printed since; return whether there may be more of it."""
        if self.log.full:
            return True
        try:
            data = self.source.read(1 << 20)
        except OSError:
            return False  # a pseudo-terminal whose last writer is gone
        if not data:
            return False
        self.sink(data)
        self.log.put(data)
        return True

    def events(self) -> list[bytes]:
        data = self.stream.read(1 << 20)
        if not data:
            return []
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [line for line in lines if line]

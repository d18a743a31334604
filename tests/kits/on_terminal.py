"""A command on a real terminal: what it writes and when, and what stands at the foot."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_DRAWN = re.compile(r"\x1b7\x1b\[\d+;1H\x1b\[2K\x1b\[7m (.*?) \x1b\[27m\x1b8")


@dataclass
class Terminal:
    """A pseudo-terminal of `rows` × `columns` with a command in it. Times are in seconds since the command began."""

    command: Sequence[str]
    cwd: Path
    columns: int = 100
    rows: int = 30
    environ: Mapping[str, str] = field(default_factory=dict)
    raw: str = ""
    changes: list[tuple[float, str]] = field(default_factory=list)
    """What was written, as it came."""
    code: int | None = None

    def __enter__(self) -> Terminal:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self._began = time.monotonic()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(ours)
            os.login_tty(theirs)
            os.chdir(self.cwd)
            os.execvpe(self.command[0], [*self.command], {**kept, "TERM": "xterm-256color", **self.environ})
        os.close(theirs)
        self._fd = ours
        return self

    def read(self, *, until: str = "", within_s: float = 60.0) -> str:
        """Read until a text was written, or the command ended; return all that was written so far."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and not (until and until in self.raw):
            if not select.select([self._fd], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self._fd, 1 << 16)
            except OSError:
                break
            if not data:
                break
            text = data.decode("utf-8", "replace")
            self.raw += text
            self.changes.append((time.monotonic() - self._began, text))
        else:
            assert not until or until in self.raw, f"{until!r} was not written: {self.raw[-2000:]}"
        return self.raw

    def press(self, keys: str) -> float:
        """Type, and return when."""
        os.write(self._fd, keys.encode())
        return time.monotonic() - self._began

    def end(self, within_s: float = 60.0) -> int:
        """Read to the end; return the exit code."""
        self.read(within_s=within_s)
        _, status = os.waitpid(self._pid, 0)
        self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def __exit__(self, *_: object) -> None:
        if self.code is None:
            os.kill(self._pid, 9)
            os.waitpid(self._pid, 0)
        os.close(self._fd)

    @property
    def foot(self) -> list[str]:
        """What stood at the foot, one after the other."""
        return _DRAWN.findall(self.raw)

    @property
    def above(self) -> str:
        """What was written above the foot, without colours."""
        return re.sub(r"\x1b\][^\x1b]*\x1b\\|\x1b\[[0-9;?]*[A-Za-z]|\x1b[78D]", "", _DRAWN.sub("", self.raw)).replace(
            "\r", ""
        )

"""Return a command a terminal like ours, so that its colours and width are as if it had been typed by itself."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import BinaryIO


def wanted() -> bool:
    """Whether we write to a terminal ourselves, and there are pseudo-terminals here."""
    try:
        return os.name == "posix" and os.isatty(sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):
        return False


def pair() -> tuple[BinaryIO, BinaryIO]:
    """Return what is read, without blocking, and what the command writes to; of our terminal's size, changing no byte."""
    import fcntl
    import termios

    ours, theirs = os.openpty()
    with contextlib.suppress(OSError, termios.error, ValueError):
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8))
    modes = termios.tcgetattr(theirs)
    modes[1] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    os.set_blocking(ours, False)
    return os.fdopen(ours, "rb", buffering=0), os.fdopen(theirs, "wb", buffering=0)

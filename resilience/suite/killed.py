"""Turn the exit code of a process into the signal with which somebody outside ended it, where it was that."""

from __future__ import annotations

import signal

FROM_OUTSIDE = (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)
"""A person, a scheduler or a kernel short of memory sends these; a crash of the process's own is another signal."""


def killed(exit_code: int) -> str:
    """Return the name of that signal; empty where the process ended, or crashed, by itself."""
    return next((one.name for one in FROM_OUTSIDE if exit_code == 128 + one), "")

"""Turn an open file into a lock between processes, waited for no longer than it is worth."""

from __future__ import annotations

import fcntl
import time
from typing import IO

PAUSE_S = 0.005


def try_lock(file: IO[bytes], *, shared: bool = False) -> bool:
    """Take the lock if it is free now, and say whether it was. It is given back when the file is closed, however that is."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock(file: IO[bytes], *, timeout_s: float, shared: bool = False) -> bool:
    """Take the lock, and say whether it could be had in time: its holder may have been stopped with it in hand."""
    until = time.monotonic() + timeout_s
    while not try_lock(file, shared=shared):
        if time.monotonic() > until:
            return False
        time.sleep(PAUSE_S)
    return True

"""Turn a stream that takes nothing any more into one that goes nowhere, so that the work and its exit code go on."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from time import monotonic
from typing import IO

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO))
"""A disk or quota that is full, a limit of the file's size, a terminal that was hung up."""


class _Written:
    last = 0.0


def last_written() -> float:
    """Return when something was last written for people (monotonic): nobody may write into the middle of it."""
    return _Written.last


def written(write: Callable[[], object], stream: IO[str]) -> None:
    """Write for people, and lose it where nobody can have it: a reader that left early, a full disk, a terminal that is gone.

    Only for what is shown beside the work, such as progress: a document must be whole or an error. A loss that is not the
    reader's own doing is said once on stderr.
    """
    try:
        write()
        _Written.last = monotonic()
    except OSError as exc:
        if not isinstance(exc, BrokenPipeError) and exc.errno not in _FULL:
            raise
        let_go(stream)
        if not isinstance(exc, BrokenPipeError) and stream is not sys.stderr:
            sys.stderr.write(
                f"resilience: nothing more can be shown here ({exc.strerror}); the work goes on, and its exit code counts\n"
            )


def let_go(stream: IO[str]) -> None:
    """Turn a stream that nobody reads any more to nowhere, also for what is flushed when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)

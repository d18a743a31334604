"""Turn work that would hold the event loop into a thread beside it, which can be left behind in good order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

_LOOK_S = 0.01


class Aside:
    """Work in a thread of its own. It asks `stopped` between two slices, and ends early once it is.

    The thread never keeps this process from its end: what is not done then was not worth the wait.
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=work, daemon=True, name=name)

    def start(self) -> None:
        self._thread.start()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    async def done(self, within_s: float | None = None) -> bool:
        """Wait until the work is done; return whether it came to its end within these seconds. None waits for ever.

        Where the time is up the work is told to stop and not waited for, as one slice may take a second.
        """
        until = None if within_s is None else time.monotonic() + within_s
        # A thread's end is no event of the loop, and waiting for it in yet another thread would outlive a cancellation.
        while self._thread.is_alive():
            if until is not None and time.monotonic() >= until:
                self._stop.set()
                return False
            await asyncio.sleep(_LOOK_S)
        return not self.stopped

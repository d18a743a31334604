"""Return free ports of 127.0.0.1 that no client's connection takes by chance."""

from __future__ import annotations

import random
import socket

_FIRST, _LAST = 20_000, 32_000
"""Below the range the kernel takes source ports from (Linux: 32768 and up, others: 49152 and up)."""
_given: set[int] = set()


def free_port() -> int:
    """Return a port that nobody uses now and that this process has not given before.

    Between 20000 and 32000. Nobody holds it in between: a server that starts at once may still find it taken. Raises
    OSError.
    """
    for _ in range(500):
        port = random.randint(_FIRST, _LAST)  # noqa: S311 - no secret
        if port in _given:
            continue
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError(f"no free port of 127.0.0.1 between {_FIRST} and {_LAST}")

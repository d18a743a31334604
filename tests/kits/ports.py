"""Ports of 127.0.0.1 on which nothing listens."""

from __future__ import annotations

import contextlib
import random
import socket


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, below those that the system gives to clients in the meantime."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(10_240, 32_000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            if port not in ports:
                ports.append(port)
    return ports


def free_port() -> int:
    """Return one such port."""
    return free_ports(1)[0]

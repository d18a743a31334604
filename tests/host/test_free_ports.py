"""A port is given once, is free, and lies where no client's connection is put."""

from __future__ import annotations

import socket

from resilience.host.free_ports import free_port


def test_ports_are_free_below_the_kernels_own_range_and_never_given_twice() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(20_000 <= port <= 32_000 for port in ports)
    for port in ports:
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))

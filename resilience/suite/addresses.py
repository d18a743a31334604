"""Turn services and stand-ins into the addresses by which failing tests are told apart."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from resilience.core.records import StandIn
from resilience.core.settings import Service
from resilience.suite.endpoints import Endpoint

_PORTS = {
    "postgresql": 5432,
    "postgres": 5432,
    "redis": 6379,
    "rediss": 6379,
    "http": 80,
    "https": 443,
    "ws": 80,
    "wss": 443,
}


def endpoints_of(
    services: Iterable[Service], stand_ins: Iterable[StandIn], *, resolve_s: float = 1.0
) -> tuple[Endpoint, ...]:
    """Return where tests may find each service: its staging address, and its stand-in's where one is ready."""
    standing = {one.service: one for one in stand_ins if one.ready}
    found: list[tuple[Service, str, int | None, bool]] = []
    for service in services:
        for url, stand_in in (
            (service.url.reveal(), False),
            (service.local.reveal() if service.name in standing else "", True),
        ):
            pair = _address(url)
            if pair is not None:
                found.append((service, *pair, stand_in))
        one = standing.get(service.name)
        pair = _address(one.endpoint) if one is not None else None
        if pair is not None and (service, *pair, True) not in found:
            found.append((service, *pair, True))
    aliases = _resolve({host for _, host, _, _ in found}, resolve_s)
    return tuple(
        Endpoint(
            service=service.name,
            type=service.type,
            host=host,
            port=port,
            stand_in=stand_in,
            aliases=aliases.get(host, frozenset()),
            markers=frozenset(service.markers),
        )
        for service, host, port, stand_in in found
    )


def _address(url: str) -> tuple[str, int | None] | None:
    if not url:
        return None
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    return host, port or _PORTS.get(parts.scheme.partition("+")[0])


def _resolve(hosts: Collection[str], limit_s: float) -> dict[str, frozenset[str]]:
    """Return the hosts' addresses as far as they are known in time; a dead resolver must not hold up the run."""
    found: dict[str, frozenset[str]] = {}

    def look_up(host: str) -> None:
        try:
            found[host] = frozenset(str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            return

    threads = [threading.Thread(target=look_up, args=(host,), daemon=True) for host in hosts]
    for thread in threads:
        thread.start()
    until = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return dict(found)

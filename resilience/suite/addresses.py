"""Turn services and stand-ins into the addresses by which failing tests are told apart."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from resilience.core.kind import Kind
from resilience.core.records import StandIn
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.core.urls import UrlError, url_parts
from resilience.suite.endpoints import Endpoint
from resilience.suite.records import Door


def endpoints_of(
    services: Iterable[Service],
    stand_ins: Iterable[StandIn],
    doors: Iterable[Door] = (),
    *,
    resolve_s: float = 1.0,
) -> tuple[Endpoint, ...]:
    """Return where tests may find each service: its staging address, its stand-in's where one is ready, and further doors.

    The address of a stand-in that is not applied is `idle`: who is refused there came to a stand-in that does not run.
    """
    standing = {one.service: one for one in stand_ins if one.ready}
    found: list[tuple[Service, str, int | None, bool]] = []
    idle: list[tuple[Service, str, int | None, bool]] = []
    for service in services:
        for url, stand_in in (
            (service.url, False),
            (service.local if service.name in standing else Secret(""), True),
        ):
            pair = _of_url(url, service.kind)
            if pair is not None:
                found.append((service, *pair, stand_in))
        one = standing.get(service.name)
        pair = _of_endpoint(one.endpoint) if one is not None else _of_url(service.local, service.kind)
        if pair is not None and one is None:
            idle.append((service, *pair, True))
        elif pair is not None and (service, *pair, True) not in found:
            found.append((service, *pair, True))
    led = {service.name: service for service, *_ in (*found, *idle)}
    found += [(led[one.service], "127.0.0.1", one.port, one.stand_in) for one in doors if one.service in led]
    taken = {(host, port) for _, host, port, _ in found}
    idle = [one for one in idle if one[1:3] not in taken]
    aliases = _resolve({host for _, host, _, _ in (*found, *idle)}, resolve_s)
    return tuple(
        Endpoint(
            service=service.name,
            kind=service.kind,
            host=host,
            port=port,
            stand_in=stand_in,
            prepared=bool(service.prepare) and service.name in standing and not standing[service.name].error,
            idle=number >= len(found),
            deadline_s=service.timeout_s,
            aliases=aliases.get(host, frozenset()),
            markers=frozenset(service.markers),
        )
        for number, (service, host, port, stand_in) in enumerate((*found, *idle))
    )


def _of_url(url: Secret, kind: Kind) -> tuple[str, int | None] | None:
    """Return host and port of a URL; None where there is none, or a unix socket, which no client's error names by port."""
    try:
        parts = url_parts(url, kind)
    except UrlError:
        return None
    return None if parts.socket else (parts.host, parts.port)


def _of_endpoint(endpoint: str) -> tuple[str, int | None] | None:
    """Return host and port of a stand-in's place, "host:port" with whatever follows."""
    try:
        parts = urlsplit(f"//{endpoint}")
        return (parts.hostname, parts.port) if parts.hostname else None
    except ValueError:
        return None


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

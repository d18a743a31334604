"""Turn the addresses that a failure names into the service it speaks of; a host alone is not enough where a port is known."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resilience.core.kind import Kind
from resilience.services.registry import KINDS
from resilience.suite.chains import modules
from resilience.suite.events import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where tests may find a service: its staging address, or its stand-in's. `aliases` are the host's addresses."""

    service: str
    kind: Kind
    host: str
    port: int | None
    stand_in: bool = False
    aliases: frozenset[str] = frozenset()
    markers: frozenset[str] = frozenset()


def kinds_of(endpoints: Iterable[Endpoint]) -> tuple[Kind, ...]:
    """Return the kinds whose clients tests may use: the built-in ones, and those of the endpoints."""
    return tuple(dict.fromkeys((*KINDS, *(endpoint.kind for endpoint in endpoints))))


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "ip6-localhost", "::ffff:127.0.0.1"})  # noqa: S104
_PAIRS = (
    re.compile(r"\(\s*'([^'\s]+)'\s*,\s*(\d{1,5})"),
    re.compile(r'"([^"\s]+)"(?: \([^)]*\))?,? port (\d{1,5})'),
    re.compile(r"host\s*=\s*'?([\w.:\-]+)'?,?\s*port\s*=\s*(\d{1,5})"),
    re.compile(r"(?:^|[\s/@(\[])((?:[A-Za-z0-9](?:[\w\-]*\.)*[\w\-]*)|\[[0-9a-fA-F:]+\]):(\d{1,5})(?![\d:])"),
)


def addresses_of(failure: Failure) -> tuple[tuple[str, int | None], ...]:
    """Return the addresses a failure names: its exceptions' own first, then those in their texts."""
    found: dict[tuple[str, int | None], None] = {}
    for node in failure.chain:
        for host, port in node.get("addresses", ()):
            found[str(host), port] = None
    for node in failure.chain:
        text = str(node.get("text", ""))
        for pattern in _PAIRS:
            for host, port in pattern.findall(text):
                if 0 < int(port) < 65536:
                    found[host.strip("[]"), int(port)] = None
    return tuple(found)


def _same_host(host: str, endpoint: Endpoint) -> bool:
    host = host.lower().rstrip(".")
    own = endpoint.host.lower()
    return (
        host == own
        or host in endpoint.aliases
        or (host in _LOOPBACK and (own in _LOOPBACK or bool(endpoint.aliases & _LOOPBACK)))
    )


def whose(pairs: Iterable[tuple[str, int | None]], endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """Return the endpoint that one of these addresses belongs to. A port must agree wherever both sides name one."""
    by_host: Endpoint | None = None
    for host, port in pairs:
        for endpoint in endpoints:
            if not _same_host(host, endpoint):
                continue
            if port is not None and endpoint.port is not None:
                if port == endpoint.port:
                    return endpoint
            elif port is None and host.lower() not in _LOOPBACK:
                by_host = by_host or endpoint
    return by_host


def _foreign_port(pairs: Iterable[tuple[str, int | None]], endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """Return the endpoint of a configured host that is spoken to on another port; this machine has too many for that."""
    for host, _ in pairs:
        for endpoint in endpoints:
            if host.lower() not in _LOOPBACK and _same_host(host, endpoint):
                return endpoint
    return None


def by_protocol(chain: Sequence[Mapping[str, Any]], endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """Return the only endpoint whose protocol the exception's client speaks, or None where there are none or several."""
    spoken = modules(chain)
    fitting = [endpoint for endpoint in endpoints if not spoken.isdisjoint(endpoint.kind.clients)]
    return _one_service(fitting)


def by_marker(markers: Collection[str], endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """Return the only endpoint whose tests carry one of these markers, or None where there are none or several."""
    return _one_service([endpoint for endpoint in endpoints if endpoint.markers & set(markers)])


def _one_service(fitting: Sequence[Endpoint]) -> Endpoint | None:
    return fitting[0] if len({endpoint.service for endpoint in fitting}) == 1 else None


def attribute(
    failure: Failure, markers: Collection[str], endpoints: Sequence[Endpoint]
) -> tuple[Endpoint | None, str, tuple[str, int | None] | None]:
    """Return the endpoint a failure speaks of, how that is known (address, host, protocol, marker, ""), and a foreign address."""
    named = addresses_of(failure)
    endpoint = whose(named, endpoints)
    if endpoint is not None:
        return endpoint, "address", None
    spoke = tuple(failure.spoke)
    if not named:
        endpoint = whose(tuple(reversed(spoke)), endpoints)
        if endpoint is not None:
            return endpoint, "address", None
    endpoint = _foreign_port(named or spoke, endpoints)
    if endpoint is not None:
        return endpoint, "host", None
    foreign = next(iter(named), None) or (spoke[-1] if spoke else None)
    if foreign is not None:
        return None, "", foreign
    endpoint = by_protocol(failure.chain, endpoints)
    if endpoint is not None:
        return endpoint, "protocol", None
    endpoint = by_marker(markers, endpoints)
    return (endpoint, "marker", None) if endpoint is not None else (None, "", None)


def elsewhere(pairs: Sequence[tuple[str, int | None]], endpoints: Sequence[Endpoint]) -> bool:
    return bool(pairs) and whose(pairs, endpoints) is None


def address_text(pair: tuple[str, int | None]) -> str:
    host, port = pair
    return f"[{host}]:{port}" if ":" in host and port else f"{host}:{port}" if port else host

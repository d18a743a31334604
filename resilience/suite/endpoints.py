"""Turn the addresses that a failure names into the service it speaks of; a host alone is not enough where a port is known."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resilience.core.kind import Kind
from resilience.core.records import FaultCode
from resilience.services.registry import KINDS
from resilience.suite.chains import modules
from resilience.suite.events import Failure
from resilience.suite.signs import Reading, Said

Pair = tuple[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where tests may find a service: its staging address, or its stand-in's. `aliases` are the host's addresses."""

    service: str
    kind: Kind
    host: str
    port: int | None
    stand_in: bool = False
    prepared: bool = False
    """Whether a stand-in was prepared, and nothing failed in it: what is missing there may be missing everywhere."""
    idle: bool = False
    """The address of a stand-in that is not applied: nothing of ours listens there."""
    deadline_s: float = 10.0
    """How long a look at the service may take."""
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


def addresses_in(chain: Sequence[Mapping[str, Any]]) -> tuple[Pair, ...]:
    """Return the addresses that exceptions name: their own and their clients' frames' first, then those in their texts."""
    found: dict[Pair, None] = {}
    for node in chain:
        for host, port in node.get("addresses", ()):
            found[str(host), port] = None
    for node in chain:
        text = str(node.get("text", ""))
        for pattern in _PAIRS:
            for host, port in pattern.findall(text):
                if 0 < int(port) < 65536:
                    found[host.strip("[]"), int(port)] = None
    return tuple(pair for pair in found if pair[0].lower() not in _NOBODY)


_NOBODY = frozenset({"testserver", "test", "testserver.local", "asgi", "wsgi"})
"""Hosts that test clients of web frameworks invent: nobody was spoken to."""


def _same_host(host: str, endpoint: Endpoint) -> bool:
    host = host.lower().rstrip(".")
    own = endpoint.host.lower()
    return (
        host == own
        or host in endpoint.aliases
        or (host in _LOOPBACK and (own in _LOOPBACK or bool(endpoint.aliases & _LOOPBACK)))
    )


def whose(pairs: Iterable[Pair], endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """Return the endpoint that one of these addresses belongs to: host and port, never the host alone."""
    for host, port in pairs:
        for endpoint in endpoints:
            if port is not None and port == endpoint.port and _same_host(host, endpoint):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom the failing operation was for. Both None: the failure names nobody."""

    endpoint: Endpoint | None = None
    foreign: Pair | None = None
    """An address that no configured service has."""


def target_of(failure: Failure, reading: Reading, endpoints: Sequence[Endpoint]) -> Target:
    """Return whom the failing operation was for: the socket that failed, not one that was open before.

    The addresses of the link that says it come first, then those of the others. Where none is named, the last connection that
    was tried is the one that failed, if connecting is what failed. Only a name that could not be resolved needs no port.
    """
    node = failure.chain[reading.node : reading.node + 1]
    named = _named(failure, reading, node)
    if not named:
        return Target(endpoint=_by_client(failure, endpoints))
    for pair in named:
        endpoint = whose([pair], endpoints)
        if endpoint is None and pair[1] is None and reading.code in RESOLVING:
            endpoint = next((one for one in endpoints if _same_host(pair[0], one)), None)
        if endpoint is not None:
            return Target(endpoint=endpoint)
    own = {(str(host), port) for link in node or failure.chain for host, port in link.get("addresses", ())}
    own |= set(failure.spoke[-1:])
    return Target(foreign=next((p for p in named if p[1] is not None and (p in own or _is_address(p[0]))), None))


def _named(failure: Failure, reading: Reading, node: Sequence[Mapping[str, Any]]) -> tuple[Pair, ...]:
    """Return the addresses that a failure names, those of the link that says it first.

    A database's answer comes with its statement, whose values look like addresses, ('async', 1): it names none in its text.
    """
    named = addresses_in(node) or addresses_in(failure.chain)
    if any(link.get("sqlstate") for link in node) and not any(link.get("addresses") for link in failure.chain):
        named = ()
    return tuple(failure.spoke[-1:]) if not named and reading.connecting else tuple(named)


def _is_address(host: str) -> bool:
    """Whether a text's host is one: `12:30` and `models.py:12` look like host and port as well."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return True


def _by_client(failure: Failure, endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """Return whom a client spoke to whose error names nobody: the only service of its kind that the test connected to.

    A server's answer and a lost connection come from a connection of that very client. Where none was seen, as it was opened
    before the test, it is the only service of the kind, unless the test spoke to strangers.
    """
    live = [endpoint for endpoint in endpoints if not endpoint.idle]
    mine = [endpoint for endpoint in live if not modules(failure.chain).isdisjoint(endpoint.kind.clients)]
    pairs = (*failure.spoke, *failure.used)
    met = [endpoint for endpoint in mine if whose(pairs, [endpoint]) is not None]
    if met:
        return _one_service(met)
    strangers = any(whose([pair], endpoints) is None for pair in pairs)
    return None if strangers else _one_service(mine)


RESOLVING = frozenset({FaultCode.DNS_NXDOMAIN, FaultCode.DNS_NODATA, FaultCode.DNS_TEMPFAIL, FaultCode.DNS_TIMEOUT})


def used_by(
    failure: Failure, reading: Reading, markers: Collection[str], endpoints: Sequence[Endpoint]
) -> frozenset[str]:
    """Return the services that a test used, by what it connected to, what was open, what its fixtures and markers say.

    What an error names counts only where it speaks of a connection; the only service of the client that raised it, only where
    it names nobody: a client that was told wrongly never tried.
    """
    speaks = reading.said is not Said.NOTHING and not reading.wrongly
    named = addresses_in(failure.chain) if speaks else ()
    pairs = (*failure.spoke, *failure.used, *named, *((seen[0], seen[1]) for seen in failure.seen))
    found = {endpoint.service for pair in pairs if (endpoint := whose([pair], endpoints)) is not None}
    found |= {endpoint.service for endpoint in endpoints if endpoint.markers & set(markers)}
    only = by_protocol(failure.chain, endpoints) if reading.said is Said.SIGN and not named else None
    return frozenset(found | ({only.service} if only is not None else set()))


def may_use(failure: Failure, endpoints: Sequence[Endpoint]) -> frozenset[str]:
    """Return the services that a test may have used unseen: by a child process, or by a client in C.

    A client that no kind knows speaks to services of the kinds that know none; a loop in C carries any client.
    """
    unseen = set(failure.unseen)
    if failure.children or not unseen.isdisjoint(_LOOPS):
        return frozenset(endpoint.service for endpoint in endpoints)
    strange = unseen.difference(*(kind.clients for kind in kinds_of(endpoints)))
    return frozenset(
        endpoint.service
        for endpoint in endpoints
        if not unseen.isdisjoint(endpoint.kind.clients) or (strange and not endpoint.kind.clients)
    )


_LOOPS = frozenset({"uvloop"})


def address_text(pair: Pair) -> str:
    """Return an address as people write it."""
    host, port = pair
    return f"[{host}]:{port}" if ":" in host and port else f"{host}:{port}" if port else host

"""Turn a service's `local` URL into the place on this machine where its stand-in answers, or refuse it by name."""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from resilience.core.errors import StandInError
from resilience.core.records import ServiceType
from resilience.core.settings import Service
from resilience.services.place import Endpoint

PORTS: dict[str, int] = {
    ServiceType.POSTGRESQL: 5432,
    ServiceType.REDIS: 6379,
    ServiceType.CLICKHOUSE: 8123,
    ServiceType.HTTP: 80,
    ServiceType.WEBSOCKET: 80,
    ServiceType.OPENAI: 80,
}
SCHEMES: dict[str, tuple[str, ...]] = {
    ServiceType.POSTGRESQL: ("postgresql", "postgres"),
    ServiceType.REDIS: ("redis", "valkey"),
    ServiceType.CLICKHOUSE: ("http", "clickhouse"),
    ServiceType.HTTP: ("http",),
    ServiceType.WEBSOCKET: ("ws",),
    ServiceType.OPENAI: ("http",),
}


def endpoint(service: Service, deny_hosts: Sequence[str] = ()) -> Endpoint:
    """Read the service's `local` URL.

    Raises StandInError where it is not set, is not on this machine's loopback, or asks for what a stand-in has not (TLS).
    """
    if service.local_unset:
        names = ", ".join(service.local_unset)
        raise StandInError(
            f"{service.name}: its `local` URL needs {names}, which {'is' if len(service.local_unset) == 1 else 'are'} not set.",
            hint=f"set {service.local_unset[0]} in the env file, e.g. config/.env.test.local",
        )
    if not service.local:
        raise StandInError(
            f"{service.name}: no `local` URL is configured, so nothing can stand in for it.",
            hint=f'add local = "…" under [[service]] name = "{service.name}"',
        )
    try:
        url = urlsplit(service.local.reveal())
        host, port = url.hostname or "", url.port
    except ValueError as exc:
        raise StandInError(
            f"{service.name}: its `local` URL cannot be read ({exc}).", hint="type://user:password@localhost:port/name"
        ) from exc
    scheme = url.scheme.partition("+")[0].lower()
    if scheme not in SCHEMES[service.type]:
        expected = " or ".join(f"{name}://" for name in SCHEMES[service.type])
        raise StandInError(
            f"{service.name}: its `local` URL begins with {scheme}://, expected {expected} (a stand-in on loopback speaks no TLS).",
            hint=f'local = "{SCHEMES[service.type][0]}://localhost:{port or PORTS[service.type]}"',
        )
    bind = loopback(host)
    if bind is None:
        raise StandInError(
            f"{service.name}: its `local` URL names the host {host or '(none)'}, which is not on this machine's loopback.",
            hint="use localhost or 127.0.0.1",
        )
    if any(fnmatch.fnmatch(host, pattern.lower()) for pattern in deny_hosts):
        raise StandInError(
            f"{service.name}: {host} is in [safety] deny_hosts.", hint="take it out of deny_hosts to stand in for it"
        )
    path = unquote(url.path)
    database = (
        path.strip("/") if service.type in (ServiceType.POSTGRESQL, ServiceType.REDIS, ServiceType.CLICKHOUSE) else ""
    )
    user = unquote(url.username or "")
    if service.type == ServiceType.POSTGRESQL:
        user = user or "postgres"
        database = database or user
    return Endpoint(
        kind=service.kind,
        host=host,
        bind=bind,
        port=port or PORTS[service.type],
        user=user,
        password=unquote(url.password or ""),
        database=database,
        path="" if database else path,
    )


def loopback(host: str) -> str | None:
    """Return the loopback address to bind for this host, None for any other. Names are not looked up: only `localhost` counts."""
    if host.lower().rstrip(".") == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return str(address) if address.is_loopback else None

"""Turn a service's `local` URL into the place on this machine where its stand-in answers, or refuse it by name."""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Sequence
from urllib.parse import unquote

from resilience.core.errors import StandInError
from resilience.core.kind import Doubles
from resilience.core.settings import Service
from resilience.core.urls import SchemeError, UrlError, url_parts
from resilience.services.place import Endpoint, local_schemes


def endpoint(service: Service, deny_hosts: Sequence[str] = ()) -> Endpoint:
    """Return where the service's `local` URL leads.

    Its kind says what stands for a port, a user or a database not named.

    A URL that leads off this machine's loopback is refused whatever its host resolves to: a stand-in that can be
    reached from outside, or is not here, is none.

    Raises StandInError where it is not set, is not on this machine's loopback, or asks for what a stand-in has not
    (TLS).

    `deny_hosts` are patterns with wildcards (fnmatch). What comes back holds the credentials; `Endpoint.shown` does
    not.
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
    kind = service.kind
    schemes = local_schemes(kind)
    try:
        url = url_parts(service.local, kind)
        if kind.schemes[url.scheme].tls or url.port is None:
            raise SchemeError
    except SchemeError as exc:
        expected = " or ".join(f"{name}://" for name in schemes)
        begins = service.local.reveal().partition("://")[0]
        raise StandInError(
            f"{service.name}: its `local` URL begins with {begins}://, expected {expected} (a stand-in on loopback speaks no TLS).",
            hint=f'local = "{schemes[0]}://localhost:{kind.schemes[schemes[0]].port}"',
        ) from exc
    except UrlError as exc:
        raise StandInError(
            f"{service.name}: its `local` URL cannot be read ({exc}).", hint="type://user:password@localhost:port/name"
        ) from exc
    host = url.host.lower()
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
    doubles, path = kind.doubles or Doubles(), unquote(url.path)
    user = url.user or doubles.user
    database = path.strip("/") if doubles.has_database else ""
    if doubles.database_is_user:
        database = database or user
    return Endpoint(
        kind=kind,
        host=host,
        bind=bind,
        port=url.port,
        user=user,
        password=url.password.reveal(),
        database=database,
        path="" if database else path,
        wished=service.port_wish.port if service.port_wish else 0,
    )


def loopback(host: str) -> str | None:
    """Return the loopback address to bind for this host, None for any other.

    Names are not looked up: only `localhost` counts.

    For `localhost` that is 127.0.0.1, where our servers are bound; a server of somebody else's on ::1 is refused at
    the start.
    """
    if host.lower().rstrip(".") == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return str(address) if address.is_loopback else None

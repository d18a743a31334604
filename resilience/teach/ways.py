"""Turn a service of staging, or its stand-in, into the ways that lead to it by other ports of this machine."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.core.urls import UrlParts, url_parts

WORKERS = 16
"""So many workers of pytest-xdist get ports of their own; what further ones ask is nobody's, and not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How tests reach one service through the recorder: variable → value, and the same for each worker."""

    service: str
    exports: Mapping[str, str]
    workers: tuple[Mapping[str, str], ...]
    ports: tuple[int, ...]


def refused(service: Service, deny_hosts: Sequence[str]) -> str:
    """Return why a service cannot be recorded; empty where it can."""
    if why := unreachable(service, deny_hosts):
        return why
    if not service.staging_exports:
        return f"{service.name}: no export leads tests to it, so they would pass by the recorder"
    return ""


def unreachable(service: Service, deny_hosts: Sequence[str]) -> str:
    """Return why a service cannot be asked for anything that its stand-in could say; empty where it can."""
    doubles = service.kind.doubles
    if doubles is None or not doubles.recordable:
        return f"{service.name}: a service of type {service.type} teaches no traffic"
    if not service.configured:
        return f"{service.name}: its url is not configured"
    host = url_parts(service.url, service.kind).host
    if any(fnmatch.fnmatch(host.lower(), pattern.lower()) for pattern in deny_hosts):
        return f"{service.name}: {host} is in [safety] deny_hosts"
    return ""


def address_of(service: Service) -> str:
    """Return scheme, host and port of a service of staging."""
    parts = url_parts(service.url, service.kind)
    scheme = "https" if service.kind.schemes[parts.scheme].tls else "http"
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    port = parts.port if parts.port is not None else service.kind.schemes[parts.scheme].port
    return f"{scheme}://{host}:{port}"


def origin_of(service: Service) -> str:
    """Return the address as servers write it: the port left out where it is the scheme's own."""
    origin = address_of(service)
    return origin.removesuffix(":443") if origin.startswith("https:") else origin.removesuffix(":80")


def way(service: Service, ports: Mapping[str, int]) -> Way:
    exports, parts, tls = service.staging_exports, url_parts(service.url, service.kind), service.recorder_tls
    return Way(
        service=service.name,
        exports=led(exports, parts, ports[""], tls=tls),
        workers=tuple(led(exports, parts, ports[name], tls=tls) for name in ports if name),
        ports=tuple(ports.values()),
    )


def workers_of(ways: Sequence[Way]) -> str:
    """Return the variable that leads workers of pytest-xdist to ports of their own: JSON, variable → a value for each worker."""
    found: dict[str, list[str]] = {}
    for one in ways:
        for values in one.workers:
            for name, value in values.items():
                found.setdefault(name, []).append(value)
    return json.dumps(found)


def led(exports: Mapping[str, Secret], parts: UrlParts, port: int, *, tls: bool = False) -> dict[str, str]:
    """Return exports with this port of 127.0.0.1 in the place of the address that these parts name; the rest is not turned.

    A scheme becomes the one without TLS, unless the port speaks `tls` as well: then each export keeps its own.
    """
    told = str(parts.port) if parts.port is not None else ""
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    found = {}
    for name, secret in exports.items():
        value = secret.reveal()
        if value == parts.host:
            found[name] = "127.0.0.1"
        elif told and value == told:
            found[name] = str(port)
        else:
            scheme, sign, rest = value.partition("://")
            kept = scheme if tls else scheme.replace("https", "http").replace("wss", "ws")
            plain = f"{kept}://" if sign else ""
            rest = rest if sign else value
            for netloc in (f"{host}:{told}", host):
                if netloc in rest:
                    rest = rest.replace(netloc, f"127.0.0.1:{port}", 1)
                    break
            found[name] = plain + rest
    return found

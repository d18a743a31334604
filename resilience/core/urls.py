"""Take the URLs of services apart, and say what is wrong with one without showing it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from resilience.core.records import ServiceType
from resilience.core.secret import Secret

SCHEMES: Mapping[str, tuple[str, ...]] = {
    ServiceType.POSTGRESQL: ("postgresql", "postgres"),
    ServiceType.REDIS: ("redis", "rediss", "unix"),
    ServiceType.CLICKHOUSE: ("http", "https"),
    ServiceType.HTTP: ("http", "https"),
    ServiceType.WEBSOCKET: ("ws", "wss"),
    ServiceType.OPENAI: ("http", "https"),
}
"""The URL schemes a service of each type may have; `postgresql+driver` is read as `postgresql`."""

DEFAULT_PORTS: Mapping[str, int] = {
    "postgresql": 5432,
    "redis": 6379,
    "rediss": 6379,
    "http": 80,
    "https": 443,
    "ws": 80,
    "wss": 443,
}

_NO_PASSWORD = Secret("")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlParts:
    """A service's URL taken apart and decoded. `host` is a folder or socket where it begins with a slash."""

    scheme: str
    host: str
    port: int | None
    user: str = ""
    password: Secret = _NO_PASSWORD
    path: str = ""
    query: str = ""

    @property
    def database(self) -> str:
        return unquote(self.path.lstrip("/"))

    @property
    def is_local(self) -> bool:
        """Whether this machine itself is meant: loopback, localhost or a socket in the file system."""
        return is_loopback(self.host)


def url_parts(url: Secret | str, kind: str) -> UrlParts:
    """Take a URL apart; the port is the scheme's own where none is given, None for sockets.

    Raises ValueError with a text that never shows a value, and the character to blame where there is one.
    """
    text = url.reveal() if isinstance(url, Secret) else url
    if not text:
        raise ValueError("empty")
    if bad := next((sign for sign in text if ord(sign) < 33 or ord(sign) == 127), None):
        raise ValueError("a space or line break" if bad in " \r\n\t" else "a control character")
    match = _SCHEME.match(text)
    if match is None:
        raise ValueError("no scheme")
    scheme = match[1].lower()
    if kind == ServiceType.POSTGRESQL:
        scheme = scheme.partition("+")[0]
        scheme = "postgresql" if scheme == "postgres" else scheme
    if scheme not in SCHEMES[kind]:
        raise ValueError(f"the scheme {scheme}://")
    rest = text[match.end() :]
    end = next((at for at, sign in enumerate(rest) if sign in "/?#"), len(rest))
    netloc, tail = rest[:end], rest[end:]
    userinfo, _, address = netloc.rpartition("@")
    host, port = _host_and_port(address, tail, scheme)
    if "@" in userinfo:
        raise ValueError("an unescaped @ in the user info")
    if "@" in tail and not userinfo and kind in (ServiceType.POSTGRESQL, ServiceType.REDIS, ServiceType.CLICKHOUSE):
        raise ValueError(f"an unescaped {tail[0]} in the user info")
    if "#" in tail:
        raise ValueError("an unescaped #")
    if re.search(r"%(?![0-9A-Fa-f]{2})", userinfo):
        raise ValueError("an unescaped % in the user info")
    user, _, password = userinfo.partition(":")
    if ":" in password:
        raise ValueError("an unescaped : in the password")
    path, _, query = tail.partition("?")
    if kind == ServiceType.POSTGRESQL and not host:
        given = dict(parse_qsl(query))
        host = given.get("host", "")
        port = int(given["port"]) if given.get("port", "").isdecimal() else None
    if scheme == "unix":
        host, path = path, ""
    if not host:
        raise ValueError("no host")
    if port is None and not host.startswith("/"):
        port = DEFAULT_PORTS.get(scheme)
    return UrlParts(
        scheme=scheme,
        host=host,
        port=None if host.startswith("/") else port,
        user=unquote(user),
        password=Secret(unquote(password)),
        path=path,
        query=query,
    )


def _host_and_port(address: str, tail: str, scheme: str) -> tuple[str, int | None]:
    if address.startswith("["):
        host, closed, port = address[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise ValueError("a bracket in the host that is not closed")
        port = port[1:]
        try:
            ipaddress.IPv6Address(host.partition("%")[0])
        except ValueError:
            raise ValueError("no IPv6 address between the brackets") from None
    else:
        host, _, port = address.partition(":")
        if ":" in port:
            raise ValueError(
                "an unescaped / in the user info" if "@" in tail else "an IPv6 address without brackets, or two ports"
            )
        host = unquote(host)
    if not port:
        return host, None
    if not port.isdecimal() or not port.isascii():
        if "@" in tail:
            raise ValueError(f"an unescaped {tail[0]} in the user info")
        if tail.startswith("#"):
            raise ValueError("an unescaped #")
        raise ValueError("a port that is not a number")
    number = int(port) if len(port) < 10 else 10**9
    if not 1 <= number <= 65535:
        raise ValueError(f"the port {port[:12]}, where 1 to 65535 can be")
    return host, number


def is_loopback(host: str) -> bool:
    """Whether a host name, address or socket is this machine by its writing alone; nothing is looked up."""
    name = host.strip("[]").rstrip(".").lower()
    if name.startswith("/") or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def url_regions(masked: str) -> tuple[int, int]:
    """Return where the user info of a URL template ends and where its path starts; 0 and the length for no URL."""
    scheme = _SCHEME.match(masked)
    if scheme is None:
        return 0, len(masked)
    end = next((at for at in range(scheme.end(), len(masked)) if masked[at] in "/?#"), len(masked))
    return max(masked.rfind("@", scheme.end(), end), 0), end

"""Take the URLs of services apart, and say what is wrong with one without showing it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from resilience.core.kind import Kind, Scheme
from resilience.core.secret import Secret

_NO_PASSWORD = Secret("")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlParts:
    """A service's URL taken apart and decoded. `host` is a folder or socket where it begins with a slash.

    `path` and `query` stay as they are written; user, password, host and socket are decoded.
    """

    scheme: str
    """As the kind writes it: without the kind's prefix, without a driver, an alias resolved."""
    host: str
    port: int | None
    """The scheme's own where the URL names none; None: `socket` is connected to."""
    tls: bool = False
    socket: str = ""
    """The path of a unix socket."""
    user: str = ""
    password: Secret = _NO_PASSWORD
    path: str = ""
    query: str = ""

    @property
    def database(self) -> str:
        return unquote(self.path.lstrip("/"))

    @property
    def is_local(self) -> bool:
        """Whether this machine itself is meant: loopback, localhost or a socket in the file system.

        By the writing alone: a name that happens to resolve to 127.0.0.1 is not local.
        """
        return is_loopback(self.host)


class UrlError(ValueError):
    """A URL that cannot be used; the text says what is wrong and never shows a value.

    Its text goes into messages and reports, so it names the sign that is wrong and not what stands around it.
    """


class SchemeError(UrlError):
    """A URL whose scheme is none of the kind's."""


def url_parts(url: Secret | str, kind: Kind) -> UrlParts:
    """Take a URL of this kind apart: the one parser for settings, probes, stand-ins and attribution.

    A host named in the query counts where the kind says so: a socket's folder always, as libpq has it, a host where the
    URL has no other. Raises UrlError, and SchemeError where the scheme is not the kind's.

    Stricter than RFC 3986, since an unescaped sign in a password silently leads to another host, user or database:
    such a URL is refused, with the sign named. User and password end at the last @ before the path.

    >>> url_parts("redis://:s3cret@cache.internal/2", KINDS["redis"]).port
    6379
    """
    text = url.reveal() if isinstance(url, Secret) else url
    if not text:
        raise UrlError("empty")
    _check_signs(text)
    match = _SCHEME.match(text)
    if match is None:
        raise SchemeError("no scheme")
    scheme, told = _scheme(match[1].lower(), kind)
    rest = text[match.end() :]
    end = next((at for at, sign in enumerate(rest) if sign in "/?#"), len(rest))
    netloc, tail = rest[:end], rest[end:]
    userinfo, _, address = netloc.rpartition("@")
    host, port = _host_and_port(address, tail)
    _check_user_info(userinfo, tail, kind)
    user, _, password = userinfo.partition(":")
    path, _, query = tail.partition("?")
    if kind.host_in_query:
        host, port = _from_query(query, host, port)
    socket = ""
    if told.socket:
        host, socket, path = path, unquote(path), ""
    elif host.startswith("/"):
        socket = f"{host.rstrip('/')}/{kind.socket_name.replace('{port}', str(port or told.port))}"
    if not host:
        raise UrlError("no host")
    if not (socket or port or told.port):
        raise UrlError("no port")
    return UrlParts(
        scheme=scheme,
        host=host,
        port=None if socket else port or told.port,
        tls=told.tls,
        socket=socket,
        user=unquote(user),
        password=Secret(unquote(password)),
        path=path,
        query=query,
    )


def _check_signs(text: str) -> None:
    """Raise UrlError for a sign that no URL holds: mostly a value pasted with its line break."""
    if bad := next((sign for sign in text if ord(sign) < 33 or ord(sign) == 127), None):
        raise UrlError("a space or line break" if bad in " \r\n\t" else "a control character")


def _from_query(query: str, host: str, port: int | None) -> tuple[str, int | None]:
    """Return host and port with what the query says of them: a socket's folder always, a host where there is none."""
    given = dict(parse_qsl(query))
    if not given.get("host", "").startswith("/") and host:
        return host, port
    return given.get("host", ""), _port(given["port"]) if given.get("port") else port


def _scheme(written: str, kind: Kind) -> tuple[str, Scheme]:
    """Return the scheme as the kind writes it, and what is known of it. Raises SchemeError.

    The kind's prefix and a driver (`postgresql+asyncpg`) are taken off, and an alias becomes what it stands for.
    """
    plain = written.removeprefix(kind.url_prefix)
    if kind.driver_in_scheme:
        plain = plain.partition("+")[0]
    told = kind.schemes.get(plain)
    if told is None:
        raise SchemeError(f"the scheme {written}://")
    return told.alias_of or plain, told


def _check_user_info(userinfo: str, tail: str, kind: Kind) -> None:
    """Raise UrlError where a password in the URL holds a sign that ends it, or the host, too early."""
    if "@" in userinfo:
        raise UrlError("an unescaped @ in the user info")
    if "@" in tail and not userinfo and kind.password_in_url:
        raise UrlError(f"an unescaped {tail[0]} in the user info")
    if "#" in tail:
        raise UrlError("an unescaped #")
    if re.search(r"%(?![0-9A-Fa-f]{2})", userinfo):
        raise UrlError("an unescaped % in the user info")
    if ":" in userinfo.partition(":")[2]:
        raise UrlError("an unescaped : in the password")


def _host_and_port(address: str, tail: str) -> tuple[str, int | None]:
    """Return host and port of `host:port`, `[v6]:port` or either alone; port None where none is given. Raises UrlError.

    The text never shows a value. A second colon or a port that is no number is mostly an unescaped password, so where an @
    follows behind the / it is called that.
    """
    if address.startswith("["):
        host, closed, port = address[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise UrlError("a bracket in the host that is not closed")
        port = port[1:]
        try:
            ipaddress.IPv6Address(host.partition("%")[0])
        except ValueError:
            raise UrlError("no IPv6 address between the brackets") from None
    else:
        host, _, port = address.partition(":")
        if ":" in port:
            raise UrlError(
                "an unescaped / in the user info" if "@" in tail else "an IPv6 address without brackets, or two ports"
            )
        host = unquote(host)
    if not port:
        return host, None
    if not port.isdecimal() or not port.isascii():
        if "@" in tail:
            raise UrlError(f"an unescaped {tail[0]} in the user info")
        if tail.startswith("#"):
            raise UrlError("an unescaped #")
    return host, _port(port)


def _port(text: str) -> int:
    """Return the number of a port. Raises UrlError for anything but ASCII digits from 1 to 65535."""
    if not text.isdecimal() or not text.isascii():
        raise UrlError("a port that is not a number")
    number = int(text) if len(text) < 10 else 10**9
    if not 1 <= number <= 65535:
        raise UrlError(f"the port {text[:12]}, where 1 to 65535 can be")
    return number


def is_loopback(host: str) -> bool:
    """Whether a host name, address or socket is this machine by its writing alone; nothing is looked up.

    All of 127.0.0.0/8, ::1, IPv4-mapped forms of these, `localhost` and names below it (RFC 6761), and any path.
    """
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

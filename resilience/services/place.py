"""Where a stand-in answers on this machine, and how it is asked there."""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:  # the mocks pass through here, and every mock waits for them
    from resilience.core.kind import Kind

COUNTS = "/__resilience__/connections"
"""Where a server of ours that speaks HTTP says how often it was used, and its pid, which proves that it is ours.

The mocks say the nonce of their checkout as well.
"""
ANSWERS = "/__resilience__/answers"
"""Where the mocks say what they answered, and from what."""
WORKERS = "/__resilience__/workers"
"""Where they say which port of theirs is which worker's of pytest-xdist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a stand-in answers. `bind` is the one loopback address it is bound to.

    `host` is what the team wrote, such as localhost, and is shown; clients of ours go to `bind`.
    """

    kind: Kind
    host: str
    bind: str
    port: int
    user: str = ""
    password: str = ""
    database: str = ""
    path: str = ""
    wished: int = 0
    """The port that was wanted, where another checkout has it and `port` is used in its place; else 0."""

    @property
    def home(self) -> int:
        """The port by which the stand-in and its data are named: they stay the same where it moves to another one."""
        return self.wished or self.port

    @property
    def type(self) -> str:
        """The kind's name."""
        return self.kind.name

    @property
    def shown(self) -> str:
        """Host and port, and what follows them, without credentials."""
        tail = f"/{self.database}" if self.database else self.path
        return f"{self.host}:{self.port}{tail}"

    @property
    def netloc(self) -> str:
        """The bound address and the port, as they stand in a URL."""
        return netloc(self.bind, self.port)

    def url(self, scheme: str) -> str:
        """Return the URL with its credentials: at the bound address, for localhost may lead to another server on ::1."""
        user = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user or self.password else ""
        return f"{scheme}://{user}{self.netloc}{'/' + quote(self.database) if self.database else quote(self.path)}"

    def digest(self) -> str:
        """Name the place and its credentials without showing them."""
        text = "\0".join((self.type, self.bind, str(self.port), self.user, self.password, self.database, self.path))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def local_schemes(kind: Kind) -> tuple[str, ...]:
    """Return the schemes that a `local` URL may have: those of its stand-ins; of a kind that has none, all without TLS."""
    plain = tuple(name for name, scheme in kind.schemes.items() if not scheme.tls and not scheme.socket)
    return kind.local_schemes or plain


def netloc(bind: str, port: int) -> str:
    """Return an address and a port as they stand in a URL."""
    return f"[{bind}]:{port}" if ":" in bind else f"{bind}:{port}"


def ask(
    where: str,
    path: str,
    timeout_s: float,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    *,
    at_most: int = 65536,
) -> tuple[dict[str, str], str]:
    """Ask over HTTP, past any proxy of the environment.

    Return the headers in lower case and the first `at_most` bytes of the body.

    `where` is an address and a port; see `netloc`.

    Raises urllib.error.HTTPError for a status of 400 or more, OSError where nothing answers in `timeout_s` seconds a
    read. Blocking: call it on a thread.
    """
    # Here, as whoever only has to know where a stand-in answers, an assessment too, does without an HTTP client.
    import urllib.request

    request = urllib.request.Request(
        f"http://{where}{path}", data=body, headers={"User-Agent": "resilience", **(headers or {})}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout_s) as response:
        return {name.lower(): value for name, value in response.headers.items()}, response.read(at_most).decode(
            "utf-8", "replace"
        )


def ask_json(where: str, path: str, timeout_s: float, *, at_most: int = 65536) -> Any:
    """Return a JSON answer."""
    return json.loads(ask(where, path, timeout_s, at_most=at_most)[1])


def port_open(host: str, port: int, timeout_s: float = 0.5) -> bool:
    """Say whether something listens there. On loopback the answer takes microseconds.

    It proves nothing of what listens: a tunnel or a stray server answers as well. Blocking, for at most `timeout_s`.
    """
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False

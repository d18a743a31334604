"""Where a stand-in answers on this machine, and how it is asked over HTTP."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from resilience.core.kind import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a stand-in answers. `bind` is the one loopback address it is bound to."""

    kind: Kind
    host: str
    bind: str
    port: int
    user: str = ""
    password: str = ""
    database: str = ""
    path: str = ""

    @property
    def type(self) -> str:
        """The kind's name."""
        return self.kind.name

    @property
    def shown(self) -> str:
        """Host and port, and what follows them, without credentials."""
        tail = f"/{self.database}" if self.database else self.path
        return f"{self.host}:{self.port}{tail}"

    def digest(self) -> str:
        """Name the place and its credentials without showing them."""
        text = "\0".join((self.type, self.bind, str(self.port), self.user, self.password, self.database, self.path))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def ask(
    place: Endpoint, path: str, timeout_s: float, headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[dict[str, str], str]:
    """Ask over HTTP, past any proxy of the environment; return the headers in lower case and the first 64 KiB of the body."""
    host = f"[{place.bind}]" if ":" in place.bind else place.bind
    request = urllib.request.Request(
        f"http://{host}:{place.port}{path}", data=body, headers={"User-Agent": "resilience", **(headers or {})}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout_s) as response:
        return {name.lower(): value for name, value in response.headers.items()}, response.read(65536).decode(
            "utf-8", "replace"
        )


def ask_json(place: Endpoint, path: str, timeout_s: float) -> Any:
    """Return a JSON answer."""
    return json.loads(ask(place, path, timeout_s)[1])

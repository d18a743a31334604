"""What a mock is told of the service that it imitates, and what each sort of mock must answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from resilience.host.under_way import UnderWay

MARK = "X-Resilience-Mock"
"""The header by which every answer of a mock says whose it is and from where it was had."""
ECHO, RECORDED, CONTRACT, MISS, SYNTHETIC = "echo", "recorded", "contract", "miss", "synthetic"
"""From where a stand-in has an answer. Synthetic is what it knows by itself: that it is well, tokens that verify, and what was
dialled."""
UNDER_WAY: ContextVar[UnderWay | None] = ContextVar("under_way", default=None)
"""The test that was under way when the request that is being answered came; it is looked up once."""
Answered = tuple[float, str, str, str]
"""One answer: when (seconds since the epoch), from where, to what, and the id of the test that asked, empty where nobody knows."""
HEALTH = ("health", "healthz", "ready", "readyz", "live", "livez", "ping", "status", "up")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """What is wrong with a mock on purpose. `fail_next` counts down; -1: every request. `fail_rate` draws by lot.

    The drill turns it while the mock runs; times are in seconds. With nothing dialled a mock never fails.
    """

    latency_s: float = 0.0
    fail_status: int = 503
    fail_next: int = 0
    fail_rate: float = 0.0
    drop: bool = False
    """Cut the connection instead of answering with `fail_status`."""
    agent_thinking_s: float = 0.05
    agent_tool_s: float = 0.05
    token_s: float = 0.0
    """Pause between the chunks of a streamed answer."""
    close_after: int = 0
    """WebSocket: close after so many messages; 0: never."""
    close_code: int = 1011


@dataclass(slots=True, kw_only=True)
class Mock:
    """One service to imitate.

    `port` 0 takes a free one. `used` counts requests of others than us, which proves that tests reached it.
    """

    name: str
    kind: str
    """Which of its type's mocks imitates it: backend, auth, …"""
    imitation: str = ""
    """What imitates it, by dotted name; empty in what the version before wrote, and then told by `kind`."""
    bind: str = "127.0.0.1"
    port: int = 0
    path: str = ""
    user: str = ""
    password: str = ""
    routes: tuple[str, ...] = ()
    """`METHOD /path STATUS`, the method and the status where they are not `GET` and `200`: answered with an echo."""
    dial: Dial = field(default_factory=Dial)
    used: int = 0
    told: deque[Answered] = field(default_factory=lambda: deque(maxlen=50_000))
    """The latest answers, those to our own looks left out."""
    expect_json: Mapping[str, str] = field(default_factory=dict)
    """What the team's own health check wants to find in the body."""
    expect_body: str = ""
    expect_status: int = 200
    taught: tuple[str, ...] = ()
    """The folders of what staging taught of it."""
    teach_key: str = ""
    """The key of their pseudonyms, in hexadecimal digits."""
    tls: bool = False
    """Whether its ports speak TLS as well, with who begins with it."""
    origin: str = ""
    """Scheme, host and port of staging's own, which stand in recorded headers."""

    @property
    def base(self) -> str:
        """Below what its routes lie: `path` without the part that only asks whether it is well."""
        head, _, last = self.path.rstrip("/").rpartition("/")
        return head if last in HEALTH else self.path.rstrip("/")

    @property
    def health_paths(self) -> tuple[str, ...]:
        """Where it is asked whether it is well."""
        return self.path.rstrip("/"), self.base, f"{self.base}/health"

    def health(self) -> web.Response:
        """Answer a health check with what the team expects of the real one, so that their own check is content.

        `mock` says the truth.
        """
        body: dict[str, Any] = {"status": "ok", "service": self.name, "mock": True}
        if self.expect_body:
            body["expected"] = self.expect_body
        for dotted, value in self.expect_json.items():
            *parents, last = dotted.split(".")
            inner = body
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
        return web.json_response(body, status=self.expect_status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the mocks are told. The agent's limits are the guide's AGENT_* variables."""

    services: tuple[Mock, ...]
    token: str
    checkout: str = ""
    """The nonce of the checkout whose mocks they are."""
    key_file: str = ""
    tls: str = ""
    """The folder of the authority that clients are to trust, where a service has TLS."""
    under_way: str = ""
    """Where the suite's processes note which test they are in: see `resilience.host.under_way`."""
    agent_execution_s: float = 20.0
    agent_thinking_s: float = 15.0
    agent_tool_s: float = 10.0


def bearer(request: web.Request) -> str:
    """Return the bearer token of a request (RFC 6750); empty where it has none."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


def port_of(request: web.Request) -> int:
    """Return the port of ours that a request came to."""
    transport = request.transport
    name = transport.get_extra_info("sockname") if transport is not None else None
    return int(name[1]) if name else 0


class Imitation:
    """How one sort of mock answers; there is one for all services of its sort."""

    rank: ClassVar[int] = 9
    """Where several services share a port, the lowest gets what none of them claims."""
    upgrades: ClassVar[bool] = False
    """Whether a request to upgrade is its own, wherever it is sent."""
    makes_up: ClassVar[bool] = True
    """Whether its answers say nothing of the real service, so that a test that fails on one proves nothing."""
    well_at_its_path: ClassVar[bool] = True
    """Whether the service's own path, asked plainly, says that it is well, as /health always does."""

    says_health: ClassVar[bool] = False
    """Whether it may know better than the mock what a test that asks whether the service is well is to be told."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.workers: dict[int, str] = {}
        """Port → the worker of pytest-xdist that it belongs to."""

    def claims(self, path: str) -> bool:
        """Return whether a path that lies below nobody's own is this sort's."""
        return False

    async def answer(self, request: web.Request, mock: Mock) -> web.StreamResponse:
        """Answer a request to this service that is neither failed on purpose nor asks whether it is well."""
        raise NotImplementedError

    def source(self, request: web.Request, response: web.StreamResponse) -> str:
        """Return from where this answer was had; what a client meets as "not there" is a miss, whatever the real one has."""
        return MISS if response.status in (404, 426) else ECHO if self.makes_up else SYNTHETIC

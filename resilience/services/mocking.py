"""What a mock is told of the service that it imitates, and how it answers that it is well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

HEALTH = ("health", "healthz", "ready", "readyz", "live", "livez", "ping", "status", "up")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """What is wrong with a mock on purpose. `fail_next` counts down; -1: every request. `fail_rate` draws by lot."""

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
    """One service to imitate."""

    name: str
    kind: str
    bind: str = "127.0.0.1"
    port: int = 0
    path: str = ""
    user: str = ""
    password: str = ""
    routes: tuple[str, ...] = ()
    """`METHOD /path STATUS`, the method and the status where they are not `GET` and `200`: answered with an echo."""
    dial: Dial = field(default_factory=Dial)
    used: int = 0
    expect_json: Mapping[str, str] = field(default_factory=dict)
    """What the team's own health check wants to find in the body."""
    expect_body: str = ""
    expect_status: int = 200

    @property
    def base(self) -> str:
        """Below what its routes lie: `path` without the part that only asks whether it is well."""
        head, _, last = self.path.rstrip("/").rpartition("/")
        return head if last in HEALTH else self.path.rstrip("/")

    @property
    def wells(self) -> tuple[str, ...]:
        """Where it is asked whether it is well."""
        return self.path.rstrip("/"), self.base, f"{self.base}/health"

    def health(self) -> web.Response:
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
    key_file: str = ""
    agent_execution_s: float = 20.0
    agent_thinking_s: float = 15.0
    agent_tool_s: float = 10.0


def bearer(request: web.Request) -> str:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


class Process(Protocol):
    """The process that mocks."""

    config: Config
    keys: Any

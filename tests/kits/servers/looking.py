"""Ask a probe about one server, in one line."""

from __future__ import annotations

import time
from typing import Any

from resilience.core.assess import judge
from resilience.core.records import ConnectivityResult, Observation
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.services.looking import ProbeContext, probe
from resilience.services.registry import KINDS
from tests.kits.kinds import ServiceType

SCHEME = {
    ServiceType.POSTGRESQL: "postgresql://u:p@{host}:{port}/db",
    ServiceType.REDIS: "redis://{host}:{port}/0",
    ServiceType.CLICKHOUSE: "http://{host}:{port}/",
    ServiceType.HTTP: "http://{host}:{port}/health",
    ServiceType.WEBSOCKET: "ws://{host}:{port}/ws",
    ServiceType.OPENAI: "http://{host}:{port}/v1",
}
TLS = {
    ServiceType.POSTGRESQL: "postgresql://u:p@{host}:{port}/db?sslmode=verify-full",
    ServiceType.REDIS: "rediss://{host}:{port}/0",
    ServiceType.CLICKHOUSE: "https://{host}:{port}/",
    ServiceType.HTTP: "https://{host}:{port}/health",
    ServiceType.WEBSOCKET: "wss://{host}:{port}/ws",
    ServiceType.OPENAI: "https://{host}:{port}/v1",
}
SLACK_S = 2.0
"""Two busy cores: a deadline held is what is asserted, not by how much."""


def service(kind: ServiceType, url: str, *, timeout_s: float = 5.0, **more: Any) -> Service:
    return Service(name=str(kind), kind=KINDS[kind], url=Secret(url), timeout_s=timeout_s, **more)


async def look(kind: ServiceType, url: str, *, timeout_s: float = 5.0, **more: Any) -> Observation:
    """Probe once; the deadline held, or the test fails."""
    began = time.monotonic()
    with ProbeContext(deny_hosts=more.pop("deny_hosts", ())) as context:
        observation = await probe(service(kind, url, timeout_s=timeout_s, **more), context=context)
    assert time.monotonic() - began < timeout_s + SLACK_S
    return observation


def result(observation: Observation, kind: ServiceType, url: str, **more: Any) -> ConnectivityResult:
    return judge(service(kind, url, **more), observation)

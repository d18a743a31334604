"""The kinds of the outage guide by name, for tests that walk them all: `ServiceType.REDIS` is the text "redis"."""

from __future__ import annotations

from enum import StrEnum


class ServiceType(StrEnum):
    """A key of `resilience.services.registry.KINDS` for each kind of the guide."""

    POSTGRESQL = "postgresql"
    REDIS = "redis"
    CLICKHOUSE = "clickhouse"
    HTTP = "http"
    WEBSOCKET = "websocket"
    OPENAI = "openai"

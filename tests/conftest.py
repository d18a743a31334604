"""What tests of several rooms share."""

from __future__ import annotations

import os

import pytest

from tests.kits import ports


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    return ports.free_port()


@pytest.fixture(autouse=True)
def _nobodys_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of whoever runs the tests decide nothing in them."""
    for name in list(os.environ):
        if name.startswith(
            ("RESILIENCE_", "STAGING_", "POSTGRES_", "REDIS_", "CLICKHOUSE_", "TEST_RETRY_", "WEBSOCKET_")
        ):
            monkeypatch.delenv(name)

"""What tests of several rooms share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

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


@pytest.fixture(autouse=True, scope="session")
def _signals_as_in_a_shell() -> Iterator[None]:
    """Let `nohup make test` and `make test &` test the same: what is ignored here would be ignored in each child.

    SIGHUP gets a handler that does nothing, so that nohup keeps its promise and children start with the default.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT)}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    if before[signal.SIGINT] is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)

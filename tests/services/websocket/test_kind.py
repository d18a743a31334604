"""Each way in which a WebSocket ends has one meaning."""

from __future__ import annotations

from resilience.services.websocket.kind import ws_close_fault


def test_every_close_code_has_one_meaning() -> None:
    for number in (None, *range(1000, 5000)):
        assert (ws_close_fault(number) is None) == (number == 1000)

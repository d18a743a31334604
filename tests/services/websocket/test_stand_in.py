"""A WebSocket service is imitated by the mock that says over plain HTTP that it is well."""

from __future__ import annotations

from resilience.services.websocket.stand_in import STAND_INS
from resilience.stand_ins.endpoints import endpoint
from tests.kits.stand_in_kit import service


def test_its_mock_is_well_with_200_where_staging_upgrades_with_101() -> None:
    one = service("websocket", "ws://localhost:1/ws", expect_status=(101,))
    assert STAND_INS.mock(one) == "websocket"
    assert STAND_INS.health_status(one) == 200
    assert STAND_INS.probed(one, endpoint(one)).local.reveal() == "ws://127.0.0.1:1/ws"

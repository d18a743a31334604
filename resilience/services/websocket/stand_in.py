"""Turn a WebSocket service into the mock that imitates it."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.settings import Service
from resilience.services.http.stand_in import ask_path
from resilience.services.place import Endpoint
from resilience.services.standing_in import MockedStandIns


class _WebSocket(MockedStandIns):
    """A mock that echoes, and plays the guide's events of an agent."""

    mocks: Mapping[str, str] = {"websocket": "resilience.services.websocket.mock:WebSocket"}

    def health_status(self, service: Service) -> int:
        """Return 200: what staging is expected to answer, 101, is an upgrade, and /health is asked without one."""
        return 200

    async def ask(self, place: Endpoint, query: str) -> None:
        await ask_path(place, query)


STAND_INS = _WebSocket()

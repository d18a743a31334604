"""Turn an HTTP service into the mock that imitates it, or into the look that proves a real one in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from resilience.core.kind import is_authentication
from resilience.core.settings import Service
from resilience.services.place import Endpoint, ask as ask_http
from resilience.services.standing_in import MockedStandIns

HEALTH = "/health"
"""What is asked where the team names no path of its own; each mock of ours has it."""


async def ask_path(place: Endpoint, query: str) -> None:
    """Ask a ready query that is a path; anything else asks whether the service is well."""
    await asyncio.to_thread(ask_http, place.netloc, query if query.startswith("/") else HEALTH, 5.0)


class _Http(MockedStandIns):
    """Mocks of a backend and of an authentication service, which is one kind of service and two of imitation."""

    mocks: Mapping[str, str] = {
        "backend": "resilience.services.http.mock:Backend",
        "auth": "resilience.services.http.mock:Auth",
    }

    def mock(self, service: Service) -> str:
        """Return the mock that the key `mock` names, else the one that the service's name asks for.

        The guide's auth_service has no key; a name counts by its words, so that author_api is a backend.
        """
        return str(service.options.get("mock", "")) or ("auth" if is_authentication(service.name) else "backend")

    def probed(self, service: Service, place: Endpoint) -> Service:
        return super().probed(service, place if place.path.strip("/") else replace(place, path=HEALTH))

    async def ask(self, place: Endpoint, query: str) -> None:
        await ask_path(place, query)


STAND_INS = _Http()

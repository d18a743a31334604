"""Turn an OpenAI-compatible service into the mock that imitates it."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.services.http.stand_in import ask_path
from resilience.services.place import Endpoint
from resilience.services.standing_in import MockedStandIns


class _OpenAI(MockedStandIns):
    """A mock whose answers repeat the last message."""

    mocks: Mapping[str, str] = {"llm": "resilience.services.openai.mock:Llm"}

    async def ask(self, place: Endpoint, query: str) -> None:
        await ask_path(place, query)


STAND_INS = _OpenAI()

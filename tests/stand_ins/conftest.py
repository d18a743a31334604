"""What the tests of the stand-ins share: a checkout of which nothing is left at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.settings import Service, Settings
from tests.kits.mock_kit import http, mocks  # noqa: F401 - fixtures
from tests.kits.stand_in_kit import eventually, processes_naming, settings_for
from tests.kits.supervisor_kit import folder  # noqa: F401 - a fixture


@pytest.fixture
async def checkout(tmp_path: Path) -> AsyncIterator[Callable[..., Settings]]:
    """Settings with these services; at the end nothing of theirs may be left."""
    made: list[Settings] = []

    def make(services: list[Service], **fields: object) -> Settings:
        made.append(settings_for(tmp_path, services, **fields))
        return made[-1]

    yield make
    for settings in made:
        await local.stop(settings)
    assert eventually(lambda: not processes_naming(tmp_path)), "something of ours is left"

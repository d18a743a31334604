"""A team's repository whose interpreter has pytest and pytest-resilience, and whose backend is not there at first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kits.light_kit import Backend, Team, team_python


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    yield made
    made.down()


@pytest.fixture
def team(tmp_path: Path, backend: Backend) -> Team:
    return Team(tmp_path / "team", team_python(), backend)

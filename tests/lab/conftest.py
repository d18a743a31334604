"""A drill's world, and the environment its processes get."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from resilience.lab import Lab


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder of our own, so that the template of PostgreSQL's data is made once for these tests."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def environ(state: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(state)}


@pytest.fixture
async def lab(tmp_path: Path, environ: dict[str, str]) -> AsyncIterator[Lab]:
    async with Lab("database-unavailable", tmp_path / "lab", environ=environ) as lab:
        yield lab

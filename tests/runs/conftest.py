"""A team with one service of staging, for the tests of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kits.run_kit import change
from tests.kits.small_staging import SmallStaging, project


@pytest.fixture
def staging() -> Iterator[SmallStaging]:
    with SmallStaging() as server:
        yield server


@pytest.fixture
def team(tmp_path: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    folder = project(tmp_path / "team", staging.port)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def stood_in(team: Path, free_port: int) -> Path:
    """The team's backend has a mock to stand in for it."""
    change(team, "critical = true\n", f'critical = true\nlocal = "http://127.0.0.1:{free_port}/health"\n')
    return team

"""One staging of real servers for all of the guide's snippets, and a team's repository for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.lab.lab import Lab
from resilience.lab.proxy import HEALTHY
from tests.kits.guide_kit import GuideTeam
from tests.kits.light_kit import team_python


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    opened = Lab("healthy", tmp_path_factory.mktemp("guide") / "lab")
    asyncio.run(opened.__aenter__())
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def team(tmp_path: Path, lab: Lab) -> Iterator[GuideTeam]:
    made = GuideTeam(tmp_path / "team", team_python(), lab)
    done = made.resilience("init", "--guide", "--write")
    assert done.returncode == 0, done.stderr
    yield made
    for name in lab.staging.doors:
        asyncio.run(lab.turn(name, HEALTHY))
    assert made.resilience("restore").returncode == 0
    made.resilience("services", "down")

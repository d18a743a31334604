"""What the tests of a run share: a team with one service of staging, its configuration, and the record as it is on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.core.records import Incident, Vantage
from resilience.core.settings import Settings
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run
from tests.kits.records import AT
from tests.kits.small_staging import SmallStaging, project

SECRET = "planted-S3cret/with+signs"


def change(team: Path, old: str, new: str) -> None:
    config = team / "resilience.toml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


def settings_of(team: Path) -> Settings:
    return load_settings(team / "resilience.toml")


def on_disk(run: Run) -> dict[str, object]:
    return json.loads((run.folder / "incident.json").read_text())  # type: ignore[no-any-return]


def an_incident(**fields: object) -> Incident:
    return Incident(
        run="2026-11-22/031407Z-x",
        slug="x",
        environment="staging",
        started_at=AT,
        vantage=Vantage(host="h", user="u"),
        **fields,  # type: ignore[arg-type]
    )


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

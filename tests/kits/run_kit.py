"""What the tests of a run share: the team's configuration, changed and read, and the record as it is on disk."""

from __future__ import annotations

import json
from pathlib import Path

from resilience.core.records import Incident, Vantage
from resilience.core.settings import Settings
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run
from tests.kits.records import AT

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

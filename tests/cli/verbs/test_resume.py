"""A run is taken up where it stopped, by its name or as the newest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run
from tests.kits.typing_in import Type


@pytest.mark.slow
def test_a_run_that_stopped_before_its_first_stage_goes_to_its_end(type_in: Type, team: Path) -> None:
    run = Run.create(load_settings(team / "resilience.toml"))
    said = type_in("resume", f"{run.folder.parent.name}/{run.folder.name}")
    document = json.loads((run.folder / "incident.json").read_text())
    assert said.code == document["exit_code"], said.err
    assert document["verdict"] != "running"
    assert (run.folder / "report.html").exists()


def test_a_parameter_that_is_no_pair_is_refused_before_anything_is_run(type_in: Type, team: Path) -> None:
    run = Run.create(load_settings(team / "resilience.toml"))
    type_in("resume", "-p", "samples").complains("-p samples", "name=value")
    assert json.loads((run.folder / "incident.json").read_text())["verdict"] == "running"

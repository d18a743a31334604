"""resilience.runs.remains: of a damaged or newer record what can be read is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from resilience.core import codec
from resilience.core.redact import Redactor
from resilience.report import render
from resilience.runs.remains import load
from tests.kits import incident_factory as factory


def test_a_cut_record_leaves_the_samples(tmp_path: Path) -> None:
    story = factory.drill()
    folder = tmp_path / "2026-11-22" / "031407Z-run"
    folder.mkdir(parents=True)
    (folder / "incident.json").write_bytes(codec.to_json(story.incident)[:700])
    lines = [codec.to_json(one, indent=0) for one in story.samples]
    (folder / "samples.jsonl").write_bytes(b"\n".join([*lines, lines[0][:40]]))
    incident, samples, missing = load(folder)
    assert incident.started_at == datetime(2026, 11, 22, 3, 14, 7, tzinfo=UTC)
    assert len(missing) == 2
    render(incident, samples, folder, redactor=Redactor(), charts=False, missing=missing)
    text = (folder / "report.md").read_text()
    assert "incident.json could not be read" in text
    assert "database no longer answers" in text


def test_of_a_newer_record_the_known_part_is_shown(tmp_path: Path) -> None:
    story = factory.drill()
    data = json.loads(codec.to_json(story.incident))
    (tmp_path / "incident.json").write_text(json.dumps({**data, "schema": 99, "moon": "full"}))
    incident, _, missing = load(tmp_path)
    assert incident == story.incident
    assert "schema 99" in missing[0]

"""Turn what is left of a run's folder into an incident and its samples, and say what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from resilience.core import codec
from resilience.core.errors import RecordError
from resilience.core.records import SCHEMA, Incident, Sample, Vantage, Verdict
from resilience.report.series import Columns, read


def load(folder: Path) -> tuple[Incident, Iterable[Sample] | Columns, tuple[str, ...]]:
    """Return what is left of a run in its folder: the incident, its samples as they are read, and what is missing.

    Of a record by a newer version the known part is taken; in place of one that cannot be read stands one that says so.
    """
    problems: list[str] = []
    path = folder / "incident.json"
    try:
        incident = _known_part(path, problems)
    except (OSError, ValueError, RecordError) as exc:
        problems.append(
            f"incident.json could not be read ({type(exc).__name__}); what is shown comes from the samples alone"
        )
        incident = Incident(
            run=f"{folder.parent.name}/{folder.name}",
            slug=folder.name,
            environment="unknown environment",
            started_at=_started(folder),
            vantage=Vantage(host="unknown", user="unknown"),
            verdict=Verdict.UNKNOWN,
        )
    samples = folder / "samples.jsonl"
    if not samples.exists():
        return incident, (), tuple(problems)
    found = Columns.of(read(samples, problems=problems))
    return incident, found, tuple(problems)


def _known_part(path: Path, problems: list[str]) -> Incident:
    data = path.read_bytes()
    try:
        return codec.from_json(data, Incident, source=path.name)
    except RecordError:
        head = json.loads(data)
        if not isinstance(head, dict) or not isinstance(head.get("schema"), int) or head["schema"] <= SCHEMA:
            raise
        problems.append(
            f"incident.json is of schema {head['schema']}, newer than {SCHEMA}: only what is known of it is shown"
        )
        return codec.from_json(json.dumps({**head, "schema": SCHEMA}), Incident, source=path.name)


def _started(folder: Path) -> datetime:
    try:
        return datetime.strptime(f"{folder.parent.name} {folder.name[:6]}+0000", "%Y-%m-%d %H%M%S%z")
    except ValueError:
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)

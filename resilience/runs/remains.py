"""Turn what is left of a run's folder into an incident and its samples, and say what is missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from resilience.core import codec
from resilience.core.errors import RecordError
from resilience.core.records import SCHEMA, Incident, Vantage, Verdict
from resilience.report.series import Columns
from resilience.runs.folder import INCIDENT, read_incident, read_samples
from resilience.runs.owner import as_found


def load(folder: Path) -> tuple[Incident, Columns, tuple[str, ...]]:
    """Return what is left of a run in its folder: the incident, its samples as they are read, and what is missing.

    Of a record by a newer version the known part is taken; in place of one that cannot be read stands one that says so.

    It never raises for what is in the folder: a report is wanted most where a run went wrong. The third value says in
    sentences what is missing.
    """
    problems: list[str] = []
    try:
        incident = _known_part(folder, problems)
    except (OSError, ValueError, RecordError) as exc:
        problems.append(
            f"{INCIDENT} could not be read ({type(exc).__name__}); what is shown comes from the samples alone"
        )
        incident = Incident(
            run=f"{folder.parent.name}/{folder.name}",
            slug=folder.name,
            environment="unknown environment",
            started_at=_started(folder),
            vantage=Vantage(host="unknown", user="unknown"),
            verdict=Verdict.UNKNOWN,
        )
    found = Columns.of(read_samples(folder, problems=problems))
    return incident, found, tuple(problems)


def _known_part(folder: Path, problems: list[str]) -> Incident:
    try:
        return as_found(read_incident(folder))
    except RecordError:
        head = json.loads((folder / INCIDENT).read_bytes())
        if not isinstance(head, dict) or not isinstance(head.get("schema"), int) or head["schema"] <= SCHEMA:
            raise
        problems.append(
            f"{INCIDENT} is of schema {head['schema']}, newer than {SCHEMA}: only what is known of it is shown"
        )
        return codec.from_json(json.dumps({**head, "schema": SCHEMA}), Incident, source=INCIDENT)


def _started(folder: Path) -> datetime:
    try:
        return datetime.strptime(f"{folder.parent.name} {folder.name[:6]}+0000", "%Y-%m-%d %H%M%S%z")
    except ValueError:
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)

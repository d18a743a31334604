"""Lay pytest-resilience as a team installs it, beside a last assessment for it to read."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.kits.light_kit import wheel


def snapshot(path: Path, *, age: timedelta = timedelta(0), **statuses: str) -> Path:
    document = {
        "schema": 1,
        "started_at": (datetime.now(UTC) - age).isoformat().replace("+00:00", "Z"),
        "overall_status": "unavailable",
        "is_staging_available": "unavailable" not in statuses.values(),
        "services": [{"name": name, "status": status} for name, status in statuses.items()],
    }
    path.write_text(json.dumps(document))
    return path


def installed(folder: Path) -> Path:
    """Lay what the wheel holds into a folder for sys.path, as pip would."""
    with zipfile.ZipFile(wheel()) as built:
        built.extractall(folder)
    return folder

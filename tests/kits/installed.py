"""Lay our pytest plug-in as a team installs it, beside a last assessment for it to read."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from resilience.suite import pytest_plugin as plugin

MODULE = Path(plugin.__file__)


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
    """Lay the module as an installed distribution would."""
    info = folder / "resilience_pytest_plugin-0.1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copyfile(MODULE, folder / "resilience_pytest_plugin.py")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: resilience-pytest-plugin\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[pytest11]\nresilience = resilience_pytest_plugin\n")
    return folder

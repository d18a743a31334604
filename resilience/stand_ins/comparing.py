"""Turn what staging was last seen with into what its stand-in lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from resilience.services.place import Endpoint
from resilience.services.standing_in import major, stand_ins_of


def seen_on_staging(state: Path, name: str) -> Mapping[str, str]:
    """Return what the last good look at staging found of this service: server_version, extensions. Empty where never seen."""
    try:
        raw = json.loads((state / "seen.json").read_bytes())
        facts = raw.get(name, {})
        return {str(key): str(value) for key, value in facts.items()} if isinstance(facts, dict) else {}
    except (OSError, ValueError, AttributeError):
        return {}


async def gaps(place: Endpoint, seen: Mapping[str, str], version: str) -> tuple[str, ...]:
    """Name what the stand-in lacks against staging as last seen: its major version, and what its kind compares besides."""
    stand_ins = stand_ins_of(place.kind)
    theirs = seen.get("server_version", "")
    other = theirs and version and major(theirs) not in stand_ins.majors(version)
    versions = (f"version {version} here, {theirs} on staging",) if other else ()
    return (*versions, *await stand_ins.gaps(place, seen))

"""Turn what staging was last seen with into what its stand-in lacks."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.services.place import Endpoint
from resilience.services.standing_in import major, stand_ins_of


async def gaps(place: Endpoint, seen: Mapping[str, str], version: str) -> tuple[str, ...]:
    """Name what the stand-in lacks against staging as last seen: its major version, and what its kind compares besides.

    Each gap is a sentence. Without a good look at staging nothing is known of it, and nothing is named.
    """
    stand_ins = stand_ins_of(place.kind)
    theirs = seen.get("server_version", "")
    other = theirs and version and major(theirs) not in stand_ins.majors(version)
    versions = (f"version {version} here, {theirs} on staging",) if other else ()
    return (*versions, *await stand_ins.gaps(place, seen))

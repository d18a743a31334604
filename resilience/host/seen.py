"""Remember in `seen.json` what answered on staging: from which networks, when, in which version and with which extensions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from resilience.core.records import ConnectivityStatus, InfrastructureHealth
from resilience.host.files import make_private_folder, write_atomically

FILE = "seen.json"
_NETWORKS = 8
"""Networks remembered of a service, the latest last: a laptop that travels must not make the file grow."""


def load(state: Path) -> dict[str, dict[str, Any]]:
    """Return what was seen of each service so far; nothing where the file is missing or damaged, as it is only a memory."""
    try:
        seen = json.loads((state / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(seen, dict):
        return {}
    return {name: entry for name, entry in seen.items() if isinstance(entry, dict)}


def facts(state: Path, name: str) -> dict[str, str]:
    """Return what the last good look found of this service: server_version, extensions. Empty where it was never seen."""
    return {key: str(value) for key, value in load(state).get(name, {}).items()}


def reached(seen: Mapping[str, Mapping[str, Any]], network: str) -> frozenset[str]:
    """Return the services that have answered from this host and network before."""
    return frozenset(name for name, entry in seen.items() if network in entry.get("networks", ()))


def remember(state: Path, seen: Mapping[str, Mapping[str, Any]], health: InfrastructureHealth) -> None:
    """Add the services that answered in this look to `seen`, on disk. A folder that cannot be written loses only this."""
    noted: dict[str, Mapping[str, Any]] = dict(seen)
    for result in health.services:
        if result.status not in (ConnectivityStatus.AVAILABLE, ConnectivityStatus.DEGRADED):
            continue
        entry = noted.get(result.name, {})
        networks = list(dict.fromkeys([*entry.get("networks", ()), health.vantage.network]))[-_NETWORKS:]
        noted[result.name] = {
            "networks": networks,
            "last": health.started_at.isoformat(timespec="seconds"),
            "server_version": result.facts.get("server_version", entry.get("server_version", "")),
            "extensions": result.facts.get("extensions", entry.get("extensions", "")),
        }
    if noted != seen:
        with suppress(OSError):
            make_private_folder(state)
            write_atomically(state / FILE, json.dumps(noted, indent=1).encode(), mode=0o600, durable=False)

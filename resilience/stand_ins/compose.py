"""Turn docker/docker-compose.local.yml into running services, where a container engine really answers."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.core.records import ServiceType
from resilience.core.settings import Settings
from resilience.host import processes
from resilience.services.place import Endpoint

NAME = "docker-compose.local.yml"
SERVICES: dict[str, str] = {
    ServiceType.POSTGRESQL: "postgres",
    ServiceType.REDIS: "redis",
    ServiceType.CLICKHOUSE: "clickhouse",
}
PREFIX: dict[str, str] = {
    ServiceType.POSTGRESQL: "POSTGRES",
    ServiceType.REDIS: "REDIS",
    ServiceType.CLICKHOUSE: "CLICKHOUSE",
}
ASK_S = 2.0


def known(kind: str) -> bool:
    """Say whether the compose file has a service of this type."""
    return kind in SERVICES


def file(settings: Settings) -> Path | None:
    """Return the checkout's compose file, else the one that ships with us."""
    package = Path(__file__).resolve().parents[1]
    for path in (
        settings.root / "docker" / NAME,
        package / "_shipped" / "docker" / NAME,
        package.parent / "docker" / NAME,
    ):
        if path.is_file():
            return path
    return None


def project(settings: Settings) -> str:
    """Return the compose project: one per checkout, so that two do not share containers."""
    return f"resilience-{hashlib.sha256(str(settings.data).encode()).hexdigest()[:8]}"


async def why_not() -> str:
    """Return why compose cannot be used, empty where an engine and compose answer. `docker --version` would prove nothing."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    if os.environ.get("DOCKER_HOST", "").startswith(("tcp://", "ssh://", "http")):
        return "DOCKER_HOST names an engine elsewhere, whose ports are not this machine's"
    for argv, expected in (
        (("docker", "version", "--format", "{{.Server.Version}}"), "no container engine answers"),
        (("docker", "compose", "version", "--short"), "docker has no compose plug-in"),
    ):
        try:
            code, output = await processes.run(argv, timeout_s=ASK_S)
        except (TimeoutError, OSError) as exc:
            return f"{expected} ({type(exc).__name__})"
        if code != 0 or not output.strip():
            return expected
    return ""


async def up(settings: Settings, place: Endpoint, *, timeout_s: float) -> None:
    """Start the service and wait until its health check is good. Raises StandInError, TimeoutError."""
    code, output = await _compose(settings, place, ("up", "-d", "--wait", SERVICES[place.type]), timeout_s)
    if code != 0:
        last = (output.strip().splitlines() or [f"exit code {code}"])[-1]
        raise StandInError(f"docker compose up failed: {last[:300]}", hint=f"docker compose -f {file(settings)} logs")


async def stop(settings: Settings, kind: str, *, remove_data: bool = False) -> None:
    """Stop the service's container; its volume stays, unless its data are to be made anew. Never raises for a dead engine."""
    name = SERVICES[kind]
    steps: Sequence[tuple[str, ...]] = [("rm", "--stop", "--force", *(["--volumes"] if remove_data else []), name)]
    for step in steps:
        try:
            await _compose(settings, None, step, 30.0)
        except (TimeoutError, OSError):
            return
    if remove_data:
        await _remove_volume(f"{project(settings)}_{name}-data")


async def _remove_volume(volume: str) -> None:
    try:
        await processes.run(("docker", "volume", "rm", "--force", volume), timeout_s=10.0)
    except (TimeoutError, OSError):
        return


async def _compose(
    settings: Settings, place: Endpoint | None, words: Sequence[str], timeout_s: float
) -> tuple[int, str]:
    argv = ("docker", "compose", "--project-name", project(settings), "--file", str(file(settings)), *words)
    environment = {
        name: os.environ[name]
        for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_RUNTIME_DIR")
        if name in os.environ
    }
    return await processes.run(
        argv,
        timeout_s=timeout_s,
        cwd=settings.root,
        env={**processes.minimal_environment(), **environment, **variables(place)},
    )


def variables(place: Endpoint | None) -> dict[str, str]:
    """Return what the compose file reads. Where nothing is started, any value does: compose refuses an unset one."""
    given = {"POSTGRES_PASSWORD": "-", "REDIS_PASSWORD": "-", "CLICKHOUSE_PASSWORD": "-"}
    if place is None:
        return given
    prefix = PREFIX[place.type]
    given |= {f"{prefix}_PASSWORD": place.password, f"{prefix}_BIND": place.bind, f"{prefix}_PORT": str(place.port)}
    if place.type != ServiceType.REDIS:
        given |= {f"{prefix}_USER": place.user, f"{prefix}_DB": place.database or "default"}
    return given

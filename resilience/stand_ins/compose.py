"""Turn docker/docker-compose.local.yml into running services, where a container engine really answers."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.core.kind import Composed, Kind
from resilience.host import processes
from resilience.services.place import Endpoint
from resilience.services.registry import KINDS
from resilience.stand_ins.checkout import Folders

NAME = "docker-compose.local.yml"
ASK_S = 2.0


def services() -> tuple[Composed, ...]:
    """Return the services of our compose file, as the kinds name them."""
    return tuple(kind.doubles.compose for kind in KINDS if kind.doubles and kind.doubles.compose)


def file(folders: Folders) -> Path | None:
    """Return the checkout's compose file, else the one that ships with us."""
    package = Path(__file__).resolve().parents[1]
    for path in (
        folders.root / "docker" / NAME,
        package / "_shipped" / "docker" / NAME,
        package.parent / "docker" / NAME,
    ):
        if path.is_file():
            return path
    return None


def project(folders: Folders) -> str:
    """Return the compose project: one per checkout, so that two do not share containers."""
    return f"resilience-{hashlib.sha256(str(folders.data).encode()).hexdigest()[:8]}"


async def why_not() -> str:
    """Return why compose cannot be used, empty where an engine and compose answer.

    `docker --version` would prove nothing.

    Each question has 2 s: an engine that hangs must not hold up the providers after it. An engine on another machine
    would publish its ports there.
    """
    if shutil.which("docker") is None:
        return "docker is not installed"
    if os.environ.get("DOCKER_HOST", "").startswith(("tcp://", "ssh://", "http://", "https://")):
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


async def up(folders: Folders, place: Endpoint, *, timeout_s: float) -> None:
    """Start the service and wait until its health check is good. Raises StandInError, TimeoutError."""
    code, output = await _compose(folders, place, ("up", "-d", "--wait", _composed(place.kind).service), timeout_s)
    if code != 0:
        last = (output.strip().splitlines() or [f"exit code {code}"])[-1]
        raise StandInError(f"docker compose up failed: {last[:300]}", hint=f"docker compose -f {file(folders)} logs")


async def stop(folders: Folders, kind: Kind, *, remove_data: bool = False) -> None:
    """Stop the service's container; its volume stays, unless its data are to be made anew.

    Never raises for a dead engine.

    Our own compose project only; a container of the team's own project is never touched.
    """
    name = _composed(kind).service
    steps: Sequence[tuple[str, ...]] = [("rm", "--stop", "--force", *(["--volumes"] if remove_data else []), name)]
    for step in steps:
        try:
            await _compose(folders, None, step, 30.0)
        except (TimeoutError, OSError):
            return
    if remove_data:
        await _remove_volume(f"{project(folders)}_{name}-data")


async def _remove_volume(volume: str) -> None:
    try:
        await processes.run(("docker", "volume", "rm", "--force", volume), timeout_s=10.0)
    except (TimeoutError, OSError):
        return


async def _compose(folders: Folders, place: Endpoint | None, words: Sequence[str], timeout_s: float) -> tuple[int, str]:
    """Run `docker compose` with what it needs of our environment and what the file reads: no secret of the team's else."""
    argv = ("docker", "compose", "--project-name", project(folders), "--file", str(file(folders)), *words)
    environment = {
        name: os.environ[name]
        for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_RUNTIME_DIR")
        if name in os.environ
    }
    return await processes.run(
        argv,
        timeout_s=timeout_s,
        cwd=folders.root,
        env={**processes.minimal_environment(), **environment, **variables(place)},
    )


def variables(place: Endpoint | None) -> dict[str, str]:
    """Return what the compose file reads. Where nothing is started, any value does: compose refuses an unset one.

    The password goes by the environment, so that it is in no file and no argument list.
    """
    given = {f"{one.prefix}_PASSWORD": "-" for one in services()}
    if place is None:
        return given
    composed = _composed(place.kind)
    prefix = composed.prefix
    given |= {f"{prefix}_PASSWORD": place.password, f"{prefix}_BIND": place.bind, f"{prefix}_PORT": str(place.port)}
    if composed.users:
        given |= {f"{prefix}_USER": place.user, f"{prefix}_DB": place.database or "default"}
    return given


def _composed(kind: Kind) -> Composed:
    if kind.doubles is None or kind.doubles.compose is None:
        raise StandInError(f"{NAME} has nothing of type {kind.name}.")
    return kind.doubles.compose

"""Turn a server that answers into a stand-in that can be used: schema and seed made, asked, compared with staging."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resilience.core.errors import StandInError
from resilience.core.records import ServiceType
from resilience.core.settings import Service, Settings
from resilience.host import seen
from resilience.host.processes import Launch, private_log
from resilience.services.place import Endpoint, ask as ask_http
from resilience.services.postgresql import stand_in as postgresql
from resilience.services.redis import stand_in as redis


async def prepare(
    service: Service, settings: Settings, exports: Mapping[str, str], log: Path, *, timeout_s: float
) -> None:
    """Run the service's `prepare` commands in the project's root, one after the other, output to the log.

    They run each time, because only they know whether the schema has changed since. Raises StandInError at the first that
    fails or is not done in time.
    """
    until = time.monotonic() + timeout_s
    log.parent.mkdir(parents=True, exist_ok=True)
    for command in service.prepare:
        argv = (*shlex.split(settings.env_command), "sh", "-c", command)
        launch = Launch(name=service.name, argv=argv, cwd=str(settings.root), log=str(log))
        with private_log(log) as file:
            file.write(f"$ {command}\n".encode())
            file.flush()
            try:
                process = await asyncio.create_subprocess_exec(
                    *launch.command(),
                    cwd=settings.root,
                    env={**os.environ, "PATH": settings.path(os.environ.get("PATH", os.defpath)), **exports},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
            except OSError as exc:
                raise StandInError(
                    f"{service.name}: `{command}` could not be run: {exc}", hint=f"type it in {settings.root}"
                ) from exc
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                code = await process.wait()
        except TimeoutError:
            raise StandInError(
                f"{service.name}: `{command}` was not done within {timeout_s:g} s.",
                hint=f"read {log}; FALLBACK_PREPARE_TIMEOUT={int(timeout_s * 2)}",
            ) from None
        finally:
            await _end_group(process)
        if code != 0:
            raise StandInError(
                f"{service.name}: `{command}` ended with exit code {code}: {_last_line(log)}", hint=f"read {log}"
            )


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """End what the command left running in its own process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None and number is signal.SIGTERM:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "no output"


async def ask(service: Service, place: Endpoint) -> None:
    """Ask the ready query. Raises StandInError with the server's own words where it fails; bound it with a time-out."""
    query = service.ready_query
    if not query:
        return
    try:
        match place.type:
            case ServiceType.POSTGRESQL:
                connection = await _connect(place)
                try:
                    await connection.fetch(query)
                finally:
                    await postgresql.close(connection)
            case ServiceType.REDIS:
                opened = await redis.RedisConnection.open(place.bind, place.port, place.user, place.password)
                try:
                    if place.database.isdigit():
                        await opened.call("SELECT", place.database)
                    await opened.call(*shlex.split(query))
                finally:
                    opened.close()
            case ServiceType.CLICKHOUSE:
                headers = {"X-ClickHouse-User": place.user or "default", "X-ClickHouse-Key": place.password}
                path = f"/?database={place.database}" if place.database else "/"
                await asyncio.to_thread(ask_http, place, path, 5.0, headers, query.encode())
            case _:
                await asyncio.to_thread(ask_http, place, query if query.startswith("/") else "/health", 5.0)
    except StandInError:
        raise
    except Exception as exc:  # a query of the team's: whatever it raises becomes the reason
        raise StandInError(
            f"{service.name}: ready_query `{query}` failed: {type(exc).__name__}: {exc}",
            hint="does `prepare` make what it asks for?",
        ) from exc


def seen_on_staging(settings: Settings, name: str) -> Mapping[str, str]:
    """Return what the last good look at staging found of this service: server_version, extensions. Empty where never seen."""
    return seen.facts(settings.state, name)


def major(version: str) -> int:
    """Return the first number of a version, 0 where there is none."""
    head = version.strip().partition(".")[0].partition(" ")[0]
    return int(head) if head.isdigit() else 0


async def gaps(service: Service, settings: Settings, place: Endpoint, version: str) -> tuple[str, ...]:
    """Name what the stand-in lacks against staging as last seen: its version, its extensions."""
    before = seen_on_staging(settings, service.name)
    found = []
    theirs = before.get("server_version", "")
    # Valkey says two versions: the Redis it is compatible with, and its own.
    ours = {major(part) for part in version.replace("(Valkey", ",").split(",")}
    if theirs and version and major(theirs) not in ours:
        found.append(f"version {version} here, {theirs} on staging")
    wanted = [part.split()[0] for part in before.get("extensions", "").split(",") if part.split()]
    if wanted and place.type == ServiceType.POSTGRESQL:
        connection = await _connect(place)
        try:
            have = await postgresql.extensions(connection)
        finally:
            await postgresql.close(connection)
        found += [f"extension {name} is on staging and cannot be had here" for name in wanted if name not in have]
        found += [
            f"extension {name} is on staging and was not created here" for name in wanted if have.get(name) is False
        ]
    return tuple(found)


async def _connect(place: Endpoint) -> Any:
    return await postgresql.connect(place.bind, place.port, place.user, place.password, place.database)

"""Turn a server that answers into one that can be used: the team's commands make schema and seed, and its query proves it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.core.settings import Service
from resilience.host.processes import Launch, private_log
from resilience.services.place import Endpoint
from resilience.services.standing_in import stand_ins_of
from resilience.settings.pytest_env import pytest_env
from resilience.stand_ins.checkout import Checkout
from resilience.stand_ins.state import last_line


async def prepare(
    service: Service, checkout: Checkout, exports: Mapping[str, str], log: Path, *, timeout_s: float
) -> None:
    """Run the service's `prepare` commands in the project's root, one after the other, output to the log.

    They run each time, because only they know whether the schema has changed since. Raises StandInError at the first
    that fails or is not done in time.

    `timeout_s` is for all of them together. They get our environment, the team's PATH, what pytest-env gives the tests, and
    `exports` before all of these, and run in a process group of their own, of which nothing is left running.
    """
    until = time.monotonic() + timeout_s
    log.parent.mkdir(parents=True, exist_ok=True)
    for command in service.prepare:
        process = await _spawn(service, command, checkout, exports, log)
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
            last = last_line(log) or "no output"
            raise StandInError(f"{service.name}: `{command}` ended with exit code {code}: {last}", hint=f"read {log}")


async def _spawn(
    service: Service, command: str, checkout: Checkout, exports: Mapping[str, str], log: Path
) -> asyncio.subprocess.Process:
    """Start a command in a session of its own, bound to this process, with what the tests get and the exports."""
    inside = re.match(r"cd ([\w./-]+) && ", command)
    given = pytest_env(checkout.root / (inside[1] if inside else ""), checkout.root, os.environ)
    argv = (*shlex.split(checkout.env_command), "sh", "-c", command)
    launch = Launch(name=service.name, argv=argv, cwd=str(checkout.root), log=str(log))
    with private_log(log) as file:
        if given.values:
            file.write(f"# with {', '.join(given.values)}, as pytest-env sets them in {given.where}\n".encode())
        file.write(f"$ {command}\n".encode())
        file.flush()
        try:
            return await asyncio.create_subprocess_exec(
                *launch.command(),
                cwd=checkout.root,
                env={
                    **os.environ,
                    **given.values,
                    "PATH": checkout.path(os.environ.get("PATH", os.defpath)),
                    **exports,
                },
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        except OSError as exc:
            raise StandInError(
                f"{service.name}: `{command}` could not be run: {exc}", hint=f"type it in {checkout.root}"
            ) from exc


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


async def ask(service: Service, place: Endpoint) -> None:
    """Ask the ready query. Raises StandInError with the server's own words where it fails; bound it with a time-out."""
    query = service.ready_query
    if not query:
        return
    try:
        await stand_ins_of(place.kind).ask(place, query)
    except StandInError:
        raise
    except Exception as exc:  # a query of the team's: whatever it raises becomes the reason
        raise StandInError(
            f"{service.name}: ready_query `{query}` failed: {type(exc).__name__}: {exc}",
            hint="does `prepare` make what it asks for?",
        ) from exc

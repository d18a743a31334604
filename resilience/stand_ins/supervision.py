"""Turn launches into requests to the supervisor of a folder, which is started where none is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from resilience.core.errors import StandInError
from resilience.host.processes import Launch, import_path, is_alive, minimal_environment, private_log, send
from resilience.stand_ins.lease import Lease
from resilience.stand_ins.locks import lock
from resilience.stand_ins.state import GRACE_S, Running, end_recorded, last_line, read_state, wait_gone, write_whole


async def ensure(
    folder: Path, launches: Sequence[Launch], lease: Lease, *, timeout_s: float = 10.0
) -> Mapping[str, Running]:
    """Have these run: start a supervisor where none is, keep what runs with the same digest, replace what does not.

    Returns what the supervisor wrote down of them. Raises StandInError where it does not answer in time.

    `timeout_s` is for the supervisor to act, not for the services to answer: that is for who starts them to find out.
    """
    request = {"start": [asdict(launch) for launch in launches], "lease": asdict(lease)}
    await _ask(folder, request, start=True, timeout_s=timeout_s)
    state = read_state(folder)
    return {launch.name: state.services[launch.name] for launch in launches if launch.name in state.services}


async def end(folder: Path, names: Sequence[str] | None = None, *, timeout_s: float = 20.0) -> tuple[str, ...]:
    """End these services, or all of them and the supervisor. Return the names of those that ran, when they are gone.

    A supervisor that does not act is not waited for longer than `timeout_s`: its services are then ended by their
    recorded pids.
    """
    await asyncio.to_thread(_wait_booted, folder)
    state = read_state(folder)
    wanted = [name for name in state.services if names is None or name in names]
    running = tuple(name for name in wanted if state.services[name].alive)
    if state.alive:
        try:
            with contextlib.suppress(StandInError):
                await _ask(folder, {"stop": None if names is None else wanted}, start=False, timeout_s=timeout_s)
        except OSError:
            if names is not None:
                raise
            # No room for a request on a full disk; by this signal the supervisor ends all, too.
            send(state.pid, state.identity, signal.SIGTERM)
            await asyncio.to_thread(wait_gone, state.pid, state.identity, timeout_s)
    for name in wanted:  # of a supervisor that is gone, where the system has no parent-death signal
        await asyncio.to_thread(end_recorded, state.services[name])
    if names is None:
        await asyncio.to_thread(wait_gone, state.pid, state.identity)
    return running


def _wait_booted(folder: Path, timeout_s: float = 5.0) -> None:
    """Return when no supervisor is on its way up any more."""
    if not folder.is_dir():
        return
    with private_log(folder / "boot.lock") as boot:
        lock(boot, timeout_s=timeout_s)


async def _ask(folder: Path, request: Mapping[str, Any], *, start: bool, timeout_s: float) -> None:
    """Hand a request to the supervisor, and return when its file is gone, by which it says that it has acted.

    A supervisor that ends meanwhile, as it does with its last service, has not acted: with `start` the next one is asked.
    """
    until = time.monotonic() + timeout_s
    requests = folder / "requests"
    requests.mkdir(parents=True, exist_ok=True, mode=0o700)
    sent: Path | None = None
    state = read_state(folder)
    try:
        while time.monotonic() < until:
            if not state.alive:
                if not start:
                    return
                await _start_supervisor(folder, max(1.0, until - time.monotonic()))
                state, sent = read_state(folder), None
                if not state.alive:
                    raise StandInError(
                        f"the supervisor of the stand-ins ended at once: {last_line(folder / 'supervisor.log')}",
                        hint=f"read {folder / 'supervisor.log'}",
                    )
            if sent is None:
                sent = requests / f"{time.time_ns()}-{os.getpid()}.json"
                write_whole(sent, request)
                send(state.pid, state.identity, signal.SIGUSR1)
            if not sent.exists():
                return
            await asyncio.sleep(0.003)
            if not is_alive(state.pid, state.identity):
                sent.unlink(missing_ok=True)
                state = read_state(folder)
        raise StandInError(
            f"the supervisor of the stand-ins (pid {state.pid}) did not act within {timeout_s:g} s.",
            hint=f"read {folder / 'supervisor.log'}; resilience services down",
        )
    finally:
        if sent is not None:
            sent.unlink(missing_ok=True)


async def _start_supervisor(folder: Path, timeout_s: float) -> None:
    """Start the supervisor of this folder, and return when it can be asked or has refused. Raises StandInError.

    The boot lock is handed to it and held until it can be asked: who ends the stand-ins waits for that, so that a
    supervisor whose starter was killed meanwhile is ended too.
    """
    environment = minimal_environment()
    with private_log(folder / "supervisor.log") as log, private_log(folder / "boot.lock") as boot:
        if not lock(boot, timeout_s=timeout_s, shared=True):
            raise StandInError(
                "another process ends the stand-ins of this checkout and does not get on.",
                hint="resilience services status",
            )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "resilience.stand_ins.supervisor", str(folder), str(boot.fileno())),
            cwd=folder,
            env={**environment, "PYTHONPATH": import_path(environment.get("PYTHONPATH", ""))},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(boot.fileno(),),
        )
    try:
        # It forks once it holds the lock and has written its state; what we wait for is only its first half.
        async with asyncio.timeout(timeout_s):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_S)
        raise StandInError(
            "the supervisor of the stand-ins did not start in time.", hint=f"read {folder / 'supervisor.log'}"
        ) from None

"""Turn a port on which a team's own command should answer into what the probe sees there, and whose process has it.

Apart from `own`, which loads this while the command starts: the probes and psutil take 60 ms.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.core.records import Observation
from resilience.core.settings import Service
from resilience.services.looking import probe
from resilience.services.wire import ProbeContext
from resilience.stand_ins.listeners import listener


async def look(service: Service) -> Observation:
    """Return what the kind's own probe sees at the service's `local`."""
    with ProbeContext() as context:
        return await probe(service, context=context, target="stand_in")


def refuse_other(service: Service, port: int, *, others: Mapping[str, int], own: int = 0) -> None:
    """Raise StandInError where the port is held by one of `others`, by name and pid, or by a process that came of it.

    `own` is the pid of the command that is to hold it, which is asked first with what came of it. Only what is known to be
    another's is refused: a container's forwarder is not below the command that asked for it.
    """
    if not others:
        return
    who = listener(port, descendants(own) if own else ())
    above = {who.pid, *ancestors(who.pid)} if who.pid else set()
    taker = next((name for name, pid in others.items() if pid in above), "")
    if taker:
        raise StandInError(
            f"{service.name}: its port {port} is taken by {who}, which is of another stand-in: {taker}.",
            hint="does that one's command take its own port from {port}?",
        )


def descendants(pid: int) -> list[int]:
    """Return this pid and those of the processes below it; as far as /proc tells, and it alone elsewhere."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError, ValueError):
            for thread in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def ancestors(pid: int | None) -> list[int]:
    """Return the pids of the processes above this one, the nearest first; as far as /proc tells."""
    found = list[int]()
    with contextlib.suppress(OSError, ValueError, IndexError):
        while pid:
            words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
            pid = int(words[1])
            found.append(pid)
    return found

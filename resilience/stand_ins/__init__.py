"""Turn services whose staging is dead into real ones on this machine, and say which could be.

The doors of the room; nothing here imports a driver, so that an assessment pays nothing for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the supervisor passes through here, and every stand-in waits for it
    from resilience.core.records import StandIn, StandInAvailability
    from resilience.core.settings import Service
    from resilience.stand_ins.checkout import Checkout, Folders

__all__ = ["availability", "connections", "hold", "release", "start", "status", "stop", "warning"]


def availability(services: Sequence[Service], checkout: Checkout) -> tuple[StandInAvailability, ...]:
    """Say for each service whether it could be stood in for here; nothing is started and nobody is asked."""
    from resilience.stand_ins.offers import availability as look

    return look(services, checkout)


async def start(
    services: Sequence[Service],
    checkout: Checkout,
    *,
    fresh: bool = False,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[StandIn, ...]:
    """Have a stand-in for each of these services, all at once; `ready` says which can be used, `error` why one cannot.

    What runs already is kept. `fresh` throws the data of earlier runs away. Never raises for one service.
    """
    from resilience.stand_ins.starting import start as start_all

    return await start_all(services, checkout, fresh=fresh, on_progress=on_progress)


async def stop(checkout: Checkout, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """End the stand-ins of these services, or all; gives the names of the services whose stand-in ran.

    Returns when they are gone and their ports free, or after a bounded wait. Data are kept. What somebody else runs is left.
    """
    from resilience.stand_ins.stopping import stop as stop_all

    return await stop_all(checkout, names)


def status(folders: Folders) -> tuple[StandIn, ...]:
    """Return the stand-ins that were started, as they are now: one that died says so in `error`."""
    from resilience.stand_ins.present import status as look

    return look(folders)


async def connections(service: Service) -> int | None:
    """Count how often the stand-in of this service was connected to, our own looks left out; None where it cannot count.

    The count only grows while the stand-in lives; take the difference of two.
    """
    from resilience.stand_ins.usage import connections as count

    return await count(service)


def hold(folders: Folders, reason: str) -> None:
    """Keep the stand-ins from ending by themselves while this process lives, or until `release`. Without any, nothing is done."""
    from resilience.stand_ins import lease

    if folder(folders).is_dir():
        lease.hold(folder(folders), reason)


def release(folders: Folders, reason: str = "") -> None:
    """End this process's hold of that reason (empty: all of its holds); the lease begins anew."""
    from resilience.stand_ins import lease

    if folder(folders).is_dir():
        lease.release(folder(folders), reason)


def warning(folders: Folders) -> str:
    """Return the supervisor's warning that the stand-ins are about to end, or an empty text."""
    from resilience.stand_ins.state import read_state

    state = read_state(folder(folders))
    return state.warning if state.alive else ""


def folder(folders: Folders) -> Path:
    """Return the supervisor's folder of this checkout."""
    return folders.data / "supervisor"

"""Turn a stand-in into the number of times it was connected to, our own looks left out, and into what it answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from resilience.core.settings import Service
from resilience.services.standing_in import Told, stand_ins_of
from resilience.services.teaching import lessons_of
from resilience.stand_ins.endpoints import endpoint


async def connections(service: Service) -> int | None:
    """Count how often the stand-in of this service was connected to, our own looks left out.

    None where it cannot count.

    The count only grows while the stand-in lives; take the difference of two.

    It takes 5 s at most. None is no zero: whoever reads it must not conclude that nothing was used.
    """
    if _is_the_teams(service):
        return None
    try:
        place = endpoint(service)
        async with asyncio.timeout(5.0):
            return await stand_ins_of(place.kind).count(service, place)
    except Exception:  # noqa: BLE001 - a count that cannot be had is None, whatever the reason
        return None


async def answers(service: Service, since: float = 0.0) -> tuple[Told, ...]:
    """Return the answers of this service's stand-in since that time, in seconds since the epoch.

    It takes 5 s at most; what cannot be asked has none.
    """
    if _is_the_teams(service):
        return ()
    try:
        place = endpoint(service)
        async with asyncio.timeout(5.0):
            return await stand_ins_of(place.kind).answers(service, place, since)
    except Exception:  # noqa: BLE001 - a stand-in that cannot be asked has told nothing
        return ()


async def workers(service: Service) -> tuple[int, ...]:
    """Return the ports at which this service's stand-in knows one worker of pytest-xdist from another; none where it has none."""
    if _is_the_teams(service) or not service.teach:
        return ()
    try:
        async with asyncio.timeout(5.0):
            return await stand_ins_of(service.kind).workers(service, endpoint(service))
    except Exception:  # noqa: BLE001 - as above
        return ()


async def logins(service: Service, services: Sequence[Service]) -> Mapping[str, int]:
    """Return how often tests logged in to each database of a server that was loaded with what this service taught.

    The stand-in's own, with its copies, has the empty name; those of other services and the server's own are left out. It takes
    5 s at most; empty where it cannot be told.
    """
    lessons = lessons_of(service.kind)
    if lessons is None:
        return {}
    try:
        place = endpoint(service)
        async with asyncio.timeout(5.0):
            if not await lessons.loaded(place):
                return {}
            found = await lessons.logins(place)
        others = {endpoint(one).database for one in services if one.name != service.name and one.kind is service.kind}
    except Exception:  # noqa: BLE001 - as above
        return {}
    return {name: count for name, count in found.items() if name not in others}


def _is_the_teams(service: Service) -> bool:
    """Whether the team's own code stands where a mock of ours would, which alone can be asked."""
    return bool(service.own.command or service.own.contained) and service.kind.is_mocked

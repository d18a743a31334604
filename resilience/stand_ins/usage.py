"""Turn a stand-in into the number of times it was connected to, our own looks left out."""

from __future__ import annotations

import asyncio

from resilience.core.records import ServiceType
from resilience.core.settings import Service
from resilience.services.place import ask_json
from resilience.services.postgresql import stand_in as postgresql
from resilience.services.redis import stand_in as redis
from resilience.stand_ins.endpoints import endpoint


async def connections(service: Service) -> int | None:
    """Count how often the stand-in was connected to; see `resilience.stand_ins.connections`."""
    try:
        place = endpoint(service)
        async with asyncio.timeout(5.0):
            match place.type:
                case ServiceType.POSTGRESQL:
                    return await postgresql.count_connections(
                        place.bind, place.port, place.user, place.password, place.database
                    )
                case ServiceType.REDIS:
                    return await redis.count_connections(place.bind, place.port, place.user, place.password)
            answer = await asyncio.to_thread(ask_json, place, "/__resilience__/connections", 2.0)
            return int(answer["used"] if place.type == ServiceType.CLICKHOUSE else answer["services"][service.name])
    except Exception:  # noqa: BLE001 - a count that cannot be had is None, whatever the reason
        return None

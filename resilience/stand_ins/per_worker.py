"""Turn a database that was loaded with what staging taught into one for each worker of pytest-xdist, and into what leads there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from resilience.core.errors import ResilienceError
from resilience.core.settings import Service
from resilience.services.place import Endpoint
from resilience.services.teaching import CannotTeachError, lessons_of
from resilience.stand_ins.endpoints import endpoint

_AT_MOST_S = 60.0
_URL = re.compile(r"([^\s/?#]+://[^/?#]*/)([^/?#]*)((?:[?#].*)?)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """By worker the variables that lead to its own copy; without any, `why` they share one: empty where nothing was taught."""

    values: tuple[Mapping[str, str], ...] = ()
    why: str = ""


async def copies(service: Service, number: int) -> Copies:
    """Make a fresh copy of the stand-in's taught database for each of so many workers.

    Where that cannot be, they share the one there is, as workers do on staging, and that is said.
    """
    lessons = lessons_of(service.kind) if service.teach and number else None
    if lessons is None:
        return Copies()
    shared = f"{service.name}: the workers of pytest-xdist share one database"
    try:
        place = endpoint(service)
        if not await lessons.loaded(place):
            return Copies()
        given = {**service.local_values, **{name: value.reveal() for name, value in service.exports.items()}}
        if not led_to(given, place, "x"):
            return Copies(why=f"{shared}: no export names it alone, which could lead each to its own")
        async with asyncio.timeout(_AT_MOST_S):
            names = await lessons.copies(place, number)
    except (CannotTeachError, ResilienceError) as exc:
        return Copies(why=f"{shared}: {exc.message}")
    except (OSError, TimeoutError) as exc:
        return Copies(why=f"{shared}: {type(exc).__name__} while copies were made")
    return Copies(values=tuple(led_to(given, place, name) for name in names))


def led_to(values: Mapping[str, str], place: Endpoint, database: str) -> dict[str, str]:
    """Return those of the variables that name the stand-in's database, with this one in its place.

    In a URL it is the path, in libpq's own form `dbname`. A value that is the name alone may be the user's as well as the
    database's: where these are called alike it is left, and so is what then names nothing.
    """
    alone = place.database not in (place.user, place.password, place.host, "")
    found = {}
    for name, value in values.items():
        if url := _URL.match(value):
            if url[2] in (place.database, quote(place.database), quote(place.database, safe="")):
                found[name] = f"{url[1]}{quote(database)}{url[3]}"
        elif alone and value == place.database:
            found[name] = database
        else:
            pattern = rf"(?<!\w)dbname=(['\"]?){re.escape(place.database)}\1(?=\s|$)"
            turned = re.sub(pattern, lambda match: f"dbname={match[1]}{database}{match[1]}", value)
            if turned != value:
                found[name] = turned
    return found

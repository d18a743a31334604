"""Applying and restoring without stand-ins, for tests of what happens to the files."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from resilience.core.mode import decide
from resilience.core.plan import make_plan
from resilience.core.records import Restored, StandIn
from resilience.core.settings import Settings
from resilience.fallback import apply as applying, journal, restore as restoring
from tests.kits.records import AT, S, health

ORIGIN = journal.Origin(run="run-1")


async def no_stand_ins(services: object) -> tuple[StandIn, ...]:
    return ()


async def nothing_to_stop(names: object) -> tuple[str, ...]:
    return ()


def apply_values(
    settings: Settings, values: dict[str, str], *, origin: journal.Origin = ORIGIN, **more: object
) -> applying.AppliedHere:
    plan = make_plan(
        decide(health({"redis": S.UNAVAILABLE}), settings.services, settings.wishes, now=AT),
        health({}),
        settings.planning,
        before={},
    )
    plan = replace(plan, stand_ins=())
    return asyncio.run(
        applying.apply(plan, values, settings.places, settings.services, origin, start=no_stand_ins, **more)
    )  # type: ignore[arg-type]


def put_back(settings: Settings, **more: object) -> Restored:
    return asyncio.run(restoring.restore(settings.state, stop=nothing_to_stop, **more))  # type: ignore[arg-type]


def state_of(path: Path) -> tuple[bytes, int] | None:
    return (path.read_bytes(), path.stat().st_mode & 0o7777) if path.exists() else None

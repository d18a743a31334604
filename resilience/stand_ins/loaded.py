"""Turn what staging taught a service into the data of its stand-in, and into what the team's own `prepare` then changes in them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass

from resilience.core.errors import ResilienceError
from resilience.core.taught import DATABASE
from resilience.services.standing_in import Server, Wanted
from resilience.services.teaching import CannotTeachError, Lessons, TaughtData, lessons_of
from resilience.stand_ins.ground import SupervisedGround
from resilience.teach.store import Generation, Store

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a stand-in was given. `shape` is how its data looked before `prepare`; None where nobody can tell."""

    gaps: tuple[str, ...] = ()
    generation: Generation | None = None
    shape: object | None = None
    lessons: Lessons | None = None


async def load(ground: SupervisedGround, wanted: Wanted, server: Server) -> Loaded:
    """Give the stand-in a fresh copy of what its service was taught; return what it lacks, also where nothing could be loaded.

    Never into a server that was there before: what is in it may be anybody's. Into what the team's own command or container made
    only where it is empty.
    """
    service, place = wanted.service, wanted.place
    lessons = lessons_of(service.kind) if set(service.teach) & set(_teaches(wanted)) else None
    if lessons is None:
        return Loaded()
    store = Store(ground.checkout.state)
    current = next((one for one in store.current(service.name) if one.source == DATABASE), None)
    if current is None:
        hint = f"resilience teach {service.name}, while staging is well"
        return Loaded(gaps=(f"nothing was taught to it yet, it has what its `prepare` makes: {hint}",))
    if current.problem:
        return Loaded(gaps=(f"what it was taught is damaged ({current.problem}): resilience taught --verify",))
    if not server.started_here:
        return Loaded(gaps=("what it was taught was not loaded: it ran already, and its data may be anybody's",))
    taught = TaughtData(
        service=service.name,
        generation=current.number,
        mark=mark(current),
        manifest=current.manifest,
        read=current.read,
    )
    ground.say(f"{service.name}: loading what staging taught (generation {current.number})")
    try:
        async with asyncio.timeout(ground.deadlines.fallback_prepare_s):
            gaps = await lessons.load(place, taught, ours=not (service.own.command or service.own.contained))
            shape = await lessons.shape(place) if service.prepare else None
    except TimeoutError:
        return Loaded(gaps=(f"what it was taught was not loaded within {ground.deadlines.fallback_prepare_s:g} s",))
    except (CannotTeachError, ResilienceError) as exc:
        return Loaded(gaps=(exc.message,))
    return Loaded(gaps=gaps, generation=current, shape=shape, lessons=lessons)


async def drifted(ground: SupervisedGround, wanted: Wanted, loaded: Loaded) -> tuple[str, ...]:
    """Return, as a gap, what `prepare` changed in the schema that staging taught: then the code is of another one.

    Also written beside the generation, for whoever asks before the next start.
    """
    if loaded.lessons is None or loaded.generation is None or loaded.shape is None:
        return ()
    after = await loaded.lessons.shape(wanted.place)
    if after is None:
        return ()
    changes = loaded.lessons.drift(loaded.shape, after)
    Store(ground.checkout.state).note_code(loaded.generation, changes)
    if not changes:
        return ()
    more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return (f"schema drifted from the code: after prepare {', '.join(changes[:_SHOWN])}{more}",)


def _teaches(wanted: Wanted) -> tuple[str, ...]:
    doubles = wanted.service.kind.doubles
    return doubles.teaches if doubles is not None else ()


def mark(generation: Generation) -> str:
    """Return what names the bytes of a generation, and not when it was taught: one that is equal needs no other template."""
    told = [generation.manifest["files"], generation.manifest.get("seed")]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

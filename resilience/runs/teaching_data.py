"""Let staging's databases teach their stand-ins while they are well: read, proved in a scratch server, and only then written."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resilience.core.errors import UsageError
from resilience.core.redact import Redactor
from resilience.core.settings import Service, Settings
from resilience.core.taught import DATABASE
from resilience.runs.teaching import Learned, NotWellError, until_well, well_now
from resilience.services.teaching import Asked, CannotTeachError, Lessons, Taken, lessons_of
from resilience.settings.service import TRAFFIC
from resilience.suite import uses
from resilience.teach import key as keys
from resilience.teach.store import Generation, Store

_TESTS = 5
"""So many tests are named in a gap."""


def teachable(settings: Settings, names: Sequence[str] = ()) -> tuple[Service, ...]:
    """Return the services that teach anything but traffic, of these names or all. Raises UsageError where one cannot be read."""
    found = tuple(
        service
        for service in settings.services
        if set(service.teach) - set(TRAFFIC) and (not names or service.name in names)
    )
    for service in found:
        if not service.configured:
            raise UsageError(f"{service.name}: its url is not configured.", hint="resilience doctor")
        _lessons(service)
    return found


def _lessons(service: Service) -> Lessons:
    """Return how it is taught. Raises UsageError where what is asked of it cannot be read."""
    lessons = lessons_of(service.kind)
    if lessons is None:
        raise UsageError(f"{service.name}: a service of type {service.type} teaches nothing.", hint="resilience doctor")
    try:
        lessons.check(service)
    except ValueError as exc:
        raise UsageError(f"{service.name}: {exc}", hint="docs/teaching.md, Databases") from exc
    return lessons


async def teach(settings: Settings, names: Sequence[str] = (), say: Callable[[str], None] = lambda _: None) -> Learned:
    """Hold a lesson of each of these services, one after the other; what fails of one is said, and its old lesson stays.

    Each begins after `[recovery] good` good looks, and one more follows before anything of it counts. Raises NotWellError and
    LockedError.
    """
    store = Store(settings.state)
    generations, notes = [], list[str]()
    with store.lesson(), _scratch(settings) as scratch:
        for service in teachable(settings, names):
            try:
                made = await _lesson(settings, store, service, scratch, say)
            except NotWellError as exc:
                store.mark_stale(service.name, str(exc))
                raise
            except CannotTeachError as exc:
                store.mark_stale(service.name, exc.message)
                notes.append(str(exc))
            else:
                generations.append(made)
                notes += _told(made)
            store.prune(service.name, now=datetime.now(UTC), delete_after_days=settings.teach.delete_after_days)
    return Learned(generations=tuple(generations), notes=tuple(notes))


async def plan(settings: Settings, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what a lesson would take of each of these services, and keep nothing. Raises CannotTeachError and UsageError."""
    found: list[str] = []
    with _scratch(settings) as scratch:
        for service in teachable(settings, names):
            asked = _asked(settings, _before(Store(settings.state), service), service, scratch)
            found += await _lessons(service).plan(asked)
    return tuple(found)


async def _lesson(
    settings: Settings, store: Store, service: Service, scratch: Path, say: Callable[[str], None]
) -> Generation:
    """Read, look once more, prove, scan, write. Raises NotWellError, CannotTeachError and StoreError."""
    lessons = _lessons(service)
    await until_well(settings, [service], say)
    began = datetime.now(UTC)
    before = _before(store, service)
    asked = _asked(settings, before, service, scratch, say)
    say(f"{service.name}: reading {' and '.join(service.teach)}")
    taken = await lessons.take(asked)
    await well_now(settings, [service])
    say(f"{service.name}: proving it in a scratch server")
    proved = await lessons.prove(asked, taken)
    await asyncio.to_thread(_scanned, settings, service, proved)
    manifest: dict[str, Any] = {
        "at": began.isoformat(timespec="seconds"),
        "source": DATABASE,
        "build": "",
        "exchanges": 0,
        "teach": list(service.teach),
        "gaps": list(
            dict.fromkeys(
                (*proved.gaps, *_of_tests(settings, service, proved), *_other_key(before, keys.mark(asked.key)))
            )
        ),
        "masked": {"key": keys.mark(asked.key)},
        **proved.manifest,
    }
    return await asyncio.to_thread(store.write, service.name, manifest, proved.files)


def _before(store: Store, service: Service) -> Generation | None:
    return next((one for one in store.current(service.name) if one.source == DATABASE and not one.problem), None)


def _other_key(before: Generation | None, key: str) -> tuple[str, ...]:
    """Return, as a gap, that the key is another than before: what was lost cannot be had again, and nothing is unmasked by it."""
    if before is None or before.manifest.get("masked", {}).get("key") in (key, None):
        return ()
    return (f"masked with another key than generation {before.number}: the same value has another pseudonym now",)


def _of_tests(settings: Settings, service: Service, proved: Taken) -> tuple[str, ...]:
    """Return, as a gap, which tests what cannot be had here is a gap of: those that earlier runs saw use the service.

    Which of its objects a test uses nobody sees; where no run saw which tests use the service, the objects alone are named.
    """
    if not proved.manifest.get("lacking"):
        return ()
    known = uses.load(settings.state / "uses.json")
    tests = [Redactor(settings.secrets).text(test) for test, names in sorted(known.items()) if service.name in names]
    if not tests:
        return ("which tests need what cannot be had here no run has seen yet: resilience test, while staging is well",)
    more = f" and {len(tests) - _TESTS:,} more" if tests[_TESTS:] else ""
    return (f"may be gaps by what cannot be had here, as they use {service.name}: {', '.join(tests[:_TESTS])}{more}",)


def _asked(
    settings: Settings,
    before: Generation | None,
    service: Service,
    scratch: Path,
    say: Callable[[str], None] = lambda _: None,
) -> Asked:
    known = before.manifest.get("columns", ()) if before is not None else ()
    return Asked(
        service=service,
        root=settings.root,
        scratch=scratch,
        key=keys.make(settings.data, os.environ),
        deny_hosts=settings.deny_hosts,
        secrets=settings.secrets,
        known=frozenset(map(str, known)),
        say=say,
    )


@contextmanager
def _scratch(settings: Settings) -> Iterator[Path]:
    """Yield the one folder in which lessons are proved; what a killed one left there goes first."""
    folder = settings.data / "lesson"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scanned(settings: Settings, service: Service, taken: Taken) -> None:
    """Raise CannotTeachError where a known secret stands in a file, in any encoding."""
    redactor = Redactor(settings.secrets)
    for name, data in taken.files.items():
        if redactor.leaks(data) is not None:
            raise CannotTeachError(
                f"{service.name}: nothing was learned: a secret of the configuration is in its {name}.",
                hint="resilience taught; then mask or leave out its column",
            )


def _told(made: Generation) -> list[str]:
    gaps = made.manifest["gaps"]
    said = f", {len(gaps)} gaps: resilience taught {made.service}" if gaps else ""
    return [f"{made.service}: learned {made.manifest['what']} (generation {made.number}){said}"]

"""Turn the databases of a taught stand-in's server that tests logged in to into a sentence on those that hold nothing taught."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from resilience import stand_ins as local
from resilience.core.records import StandIn
from resilience.core.settings import Settings
from resilience.core.words import listing, plural
from resilience.suite import uses

Logins = Mapping[str, Mapping[str, int]]
"""Service → database → how often tests logged in to it so far; the stand-in's own is called by the empty name."""


async def logins(settings: Settings, stand_ins: Sequence[StandIn]) -> Logins:
    """Return the logins so far at the servers of stand-ins that were loaded with what was taught."""
    found = {}
    for one in stand_ins:
        service = settings.service(one.service)
        if service is not None and service.teach and one.started_here:
            found[service.name] = await local.logins(service, settings.services)
    return found


def not_used(settings: Settings, before: Logins, after: Logins, tests: Collection[str]) -> tuple[str, ...]:
    """Return a sentence for each service whose tests made databases of their own, in which nothing is that staging taught.

    How many tests that are is told by those that were seen to use the service; of one test nobody knows which database it used,
    so that where the taught one was used as well no number is said.
    """
    notes = []
    known = uses.load(settings.state / "uses.json")
    for service, now in after.items():
        was = before.get(service, {})
        used = {name for name, count in now.items() if count > was.get(name, 0)}
        own = sorted(used - {""})
        if not own:
            continue
        number = sum(service in known.get(test, ()) for test in tests)
        whose = plural(number, "test") if number else "the tests"
        if "" in used:
            notes.append(
                f"{service}: tests also logged in to {listing(own)}, made by the suite: nothing taught is in there"
            )
        else:
            notes.append(
                f"{service}: taught database not used by {whose}: they logged in to {listing(own)}, made by the suite"
            )
    return tuple(notes)

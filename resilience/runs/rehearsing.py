"""Run the team's tests on taught stand-ins while staging is well, and turn how they end into the fidelity of what was taught.

Staging is never contacted: its variables are taken from the tests, nothing looks at it, and whatever has no stand-in is held back.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from resilience import stand_ins as local
from resilience.core.errors import UsageError
from resilience.core.plan import child_environment, trusted_for
from resilience.core.records import Outcome, PlannedCommand, StandIn, TestExecutionMode, TestOutcome, TestSuiteResult
from resilience.core.settings import Settings
from resilience.core.taught import DATABASE, Fidelity
from resilience.fallback import journal as journals
from resilience.host import under_way
from resilience.host.lock import locked
from resilience.runs.earlier import ended_on_staging, users_of
from resilience.runs.looking import look_as_tests_do
from resilience.runs.testing import commands_of, doors_of, without_worker
from resilience.suite.records import Instruments, Place, Request
from resilience.suite.testrun import run_suite
from resilience.teach.store import Generation, Store

REHEARSED = frozenset({"traffic", DATABASE})
"""Sources of what tests can be run on as a whole; of routes and contracts alone few would find what they ask."""
REASON = "a rehearsal contacts no staging, and nothing stands in for {}"
_RAN = frozenset({"passed", "failed", "error", "xfailed", "xpassed"})
"""Ends of a test on real staging that say what the test and its service are like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How a test ended on real staging, and on the stand-ins; `why` is what the stand-in lacked."""

    test: str
    on_staging: str
    on_stand_ins: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What a rehearsal came to, by service. `differing` are the tests that did not end alike, gaps among them."""

    fidelity: Mapping[str, Fidelity]
    differing: Mapping[str, tuple[Compared, ...]]
    tests: TestSuiteResult
    stand_ins: tuple[StandIn, ...] = ()
    not_rehearsed: int = 0
    """Tests of the lesson that were held back or not selected here."""


async def rehearse(
    settings: Settings,
    commands: Sequence[str] = (),
    *,
    output: Callable[[bytes], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Rehearsal:
    """Run the tests of mode full on the stand-ins, compare each with how it ended on staging, and keep the fidelity.

    The team's own commands, in a folder of their own below the state; the stand-ins are started for it and stopped again. Raises
    UsageError where there is nothing to rehearse on or to compare with, or a fallback is applied, SettingsError where no command
    is known, LockedError.
    """
    if journals.load(settings.state) is not None:
        raise UsageError("a fallback is applied: its stand-ins are in use.", hint="resilience restore")
    store = Store(settings.state)
    taught = rehearsed(store, settings)
    if not taught:
        raise UsageError(
            "no stand-in was taught by tests or by a database: there is nothing to rehearse.",
            hint="resilience test --teach; resilience teach",
        )
    before = {name: ended(settings, generation) for name, generation in taught.items()}
    if not any(before.values()):
        raise UsageError(
            f"no full run of the tests on real staging is kept, with which one on {', '.join(taught)} could be compared.",
            hint="resilience test, while staging is well",
        )
    wanted = [service for service in settings.services if service.local]
    planned = tuple(PlannedCommand(command=command) for command in commands) or commands_of(
        TestExecutionMode.FULL, settings, ""
    )
    with locked(settings.state, "rehearse"), _folder(settings) as folder:
        async with local.placed(wanted, settings) as placement:
            there = settings.at_ports(placement.ports)
            say(f"starting stand-ins for {', '.join(service.name for service in wanted)}")
            started = await local.start([one for one in there.services if one.local], there)
        try:
            ready = tuple(one for one in started if one.ready)
            if missing := [name for name in taught if name not in {one.service for one in ready}]:
                why = "; ".join(one.error for one in started if one.service in missing)
                raise UsageError(f"the stand-in of {missing[0]} did not come up: {why}.", hint="resilience services up")
            result = await _run(there, planned, ready, folder, output)
        finally:
            await local.stop(settings, [one.service for one in started if one.started_here])
    return _compared(store, taught, before, result, ready)


def rehearsed(store: Store, settings: Settings) -> dict[str, Generation]:
    """Return by service what it is rehearsed on and is whole: what tests taught it, or the database it is loaded with."""
    found = {}
    for service in settings.services:
        for generation in store.current(service.name) if service.teach else ():
            if generation.source in REHEARSED and not generation.problem:
                found[service.name] = generation
    return found


def ended(settings: Settings, generation: Generation) -> dict[str, str]:
    """Return how the tests that use this service ended on real staging.

    In the lesson where tests held it. No test is in a lesson of a database: there it is how each ended when it last ran.
    """
    if generation.source == DATABASE:
        latest = ended_on_staging(settings, _RAN)
        return {test: latest[test] for test in users_of(settings, generation.service, latest)}
    return {str(test): str(end) for test, end in generation.manifest.get("ended", {}).items() if end in _RAN}


@contextmanager
def _folder(settings: Settings) -> Iterator[Path]:
    """Make the rehearsal's own folder; that of the one before goes."""
    folder = settings.state / "rehearsal"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    yield folder


async def _run(
    settings: Settings,
    planned: Sequence[PlannedCommand],
    stand_ins: Sequence[StandIn],
    folder: Path,
    output: Callable[[bytes], None] | None,
) -> TestSuiteResult:
    """Run the commands in an environment that leads to the stand-ins, and to nothing of staging."""
    names = {one.service for one in stand_ins}
    standing = [service for service in settings.services if service.name in names]
    values = {name: value.reveal() for service in standing for name, value in service.exports.items()}
    values |= {name: value for service in standing for name, value in service.local_values.items()}
    values = {**trusted_for(standing, settings.trusted), **values}
    asked = [one.command for one in planned]
    doors, workers, _ = await doors_of(settings, stand_ins, asked, os.environ)
    environ = child_environment(without_worker(os.environ), {**values, **workers}, _of_staging(settings) - set(values))
    environ["PATH"] = settings.path(environ.get("PATH", os.defpath))
    held = {
        marker: REASON.format(service.name)
        for service in settings.services
        if service.name not in names
        for marker in service.markers
    }
    local.hold(settings, "rehearsal")
    try:
        return await run_suite(
            Request(commands=tuple(planned), mode=TestExecutionMode.OFFLINE, held=held, attempts=0),
            Place(
                root=settings.root,
                folder=folder,
                environ=environ,
                env_command=settings.env_command,
                services=tuple(standing),
                stand_ins=tuple(stand_ins),
                doors=doors,
                under_way=under_way.folder_in(settings.data),
                secrets=settings.secrets,
            ),
            Instruments(
                probe=lambda asked: look_as_tests_do(
                    settings, [name for name in asked if name in names], stood_in=tuple(names)
                ),
                connections=local.connections,
                answers=local.answers,
                output=output,
            ),
        )
    finally:
        local.release(settings, "rehearsal")


def _of_staging(settings: Settings) -> set[str]:
    """Return the variables that lead to staging: what its URLs are made of, and every export."""
    return {name for service in settings.services for name in (*service.url_names, *service.exports)}


def _compared(
    store: Store,
    taught: Mapping[str, Generation],
    before: Mapping[str, Mapping[str, str]],
    result: TestSuiteResult,
    stand_ins: Sequence[StandIn],
) -> Rehearsal:
    """Compare by service the tests that use it with how they ended before, and write what that gives beside the generation."""
    ends = {test.id: test for test in result.tests}
    fidelity, differing, absent = {}, {}, set[str]()
    at = datetime.now(UTC)
    for service, generation in taught.items():
        here = {test: end for test, end in before[service].items() if test in ends and _ran(ends[test])}
        absent |= set(before[service]) - set(here)
        others = tuple(
            Compared(test=test, on_staging=end, on_stand_ins=ends[test].outcome.value, why=ends[test].reason or "")
            for test, end in here.items()
            if ends[test].outcome.value != end
        )
        counts = Counter(one.on_stand_ins == Outcome.STAND_IN_GAP.value for one in others)
        fidelity[service] = Fidelity(
            at=at, same=len(here) - len(others), ran=len(here), gaps=counts[True], differ=counts[False]
        )
        differing[service] = others
        passed = tuple(test for test in here if ends[test].outcome is Outcome.PASSED)
        if here:
            store.note_fidelity(generation, fidelity[service], passed)
    return Rehearsal(
        fidelity=fidelity, differing=differing, tests=result, stand_ins=tuple(stand_ins), not_rehearsed=len(absent)
    )


def _ran(test: TestOutcome) -> bool:
    """Whether a test was run on the stand-ins at all: what was held back or skipped says nothing of them."""
    return test.outcome.value in _RAN or test.outcome in (Outcome.STAND_IN_GAP, Outcome.UNDECIDED, Outcome.TIMEOUT)

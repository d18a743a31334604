"""Let staging teach its stand-ins while it is well: by the team's tests, by GETs, by its contract, or by a file of recordings."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from pkgutil import resolve_name
from time import monotonic

from resilience.core.errors import LockedError, ResilienceError, UsageError
from resilience.core.records import (
    ConnectivityStatus,
    Decision,
    InfrastructureHealth,
    Outcome,
    PlannedCommand,
    TestOutcome,
    TestSuiteResult,
)
from resilience.core.settings import Service, Settings
from resilience.core.taught import Drift
from resilience.fallback import journal as journals
from resilience.host import trust, under_way
from resilience.runs import drifting, testing
from resilience.runs.drifting import Documents
from resilience.runs.folder import RunFolder
from resilience.runs.looking import look
from resilience.runs.testing import SuiteOptions
from resilience.suite.records import WORKERS, Door
from resilience.teach import key as keys
from resilience.teach.asking import ask, build_of, contract_of
from resilience.teach.exchange import Exchange
from resilience.teach.har import imported
from resilience.teach.keeping import keep
from resilience.teach.lesson import Lesson, masker_of, teach, unwell_before
from resilience.teach.mask import Masker
from resilience.teach.openapi import ContractError
from resilience.teach.recorder import Heard
from resilience.teach.recording import RecorderError, Recording
from resilience.teach.store import CONTRACT, Generation, Store
from resilience.teach.ways import address_of, origin_of, refused, unreachable, workers_of

LESSON_S = 600.0
"""Seconds that a lesson's own GETs may take in all."""
TRAFFIC = "traffic"
_WELL = ConnectivityStatus.AVAILABLE
Say = Callable[[str], None]


class NotWellError(ResilienceError):
    """Staging is not well, or not for long enough, to teach anything: what it says now must not be learned."""

    exit_code = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a lesson came to: the generations that are new, and in sentences what of it is not kept, and why."""

    generations: tuple[Generation, ...] = ()
    notes: tuple[str, ...] = ()
    drift: Mapping[str, Drift] = field(default_factory=dict)
    """Service → what staging was found to say otherwise than it had taught."""
    asked: int = 1
    """Of how many services something was to be learned."""


def teachable(settings: Settings, names: Sequence[str] = ()) -> tuple[Service, ...]:
    """Return the services that teach traffic. Raises UsageError where none does, or one that is named cannot."""
    wanted = [service for service in settings.services if TRAFFIC in service.teach]
    if names:
        wanted = [service for service in settings.services if service.name in names]
    reasons = {service.name: refused(service, settings.deny_hosts) for service in wanted}
    if why := next((reasons[name] for name in names if reasons.get(name)), ""):
        raise UsageError(f"{why}.", hint="resilience doctor")
    found = tuple(service for service in wanted if not reasons[service.name])
    if not found:
        said = "; ".join(reasons.values()) or "no service has it in its table"
        raise UsageError(f"no service teaches traffic: {said}.", hint='teach = ["traffic"] below [[service]]')
    return found


def contracted(settings: Settings, names: Sequence[str] = ()) -> tuple[Service, ...]:
    """Return the services that teach their contract, of these names where some are given."""
    return tuple(
        service
        for service in settings.services
        if CONTRACT in service.teach
        and (not names or service.name in names)
        and not unreachable(service, settings.deny_hosts)
    )


def needed_by(services: Iterable[Service], settings: Settings) -> tuple[str, ...]:
    """Return the names of these services and of all they depend on."""
    found: dict[str, None] = {}
    todo = [service.name for service in services]
    by_name = {service.name: service for service in settings.services}
    while todo:
        name = todo.pop()
        if name not in found and name in by_name:
            found[name] = None
            todo.extend(by_name[name].depends_on)
    return tuple(found)


async def until_well(settings: Settings, services: Sequence[Service], say: Say = lambda _: None) -> None:
    """Return after `[recovery] good` good looks in a row at these services and all they depend on.

    Raises NotWellError at the first bad one, and where a fallback is applied: then there is an incident.
    """
    if journals.load(settings.state) is not None:
        raise NotWellError(
            "a fallback is applied: staging teaches nothing during an incident.", hint="resilience restore"
        )
    want = settings.recovery
    for number in range(want.good):
        if number:
            await asyncio.sleep(want.interval_s)
        say(f"looking at staging before the lesson: {number + 1} of {want.good}")
        await well_now(settings, services)


async def well_now(settings: Settings, services: Sequence[Service]) -> None:
    """Look once. Raises NotWellError where one of the services, or what it depends on, is not well."""
    names = [
        name for name in needed_by(services, settings) if (one := settings.service(name)) is not None and one.configured
    ]
    health = await look(settings, names=names, remember=False)
    bad = [f"{one.name} is {one.status.value}" for one in health.services if one.status is not _WELL]
    if bad or not health.services:
        raise NotWellError(
            f"{', '.join(bad) or 'nothing was looked at'}: nothing is learned from staging now.",
            hint="resilience assess",
        )


async def run_and_learn(
    run: RunFolder,
    planned: Sequence[PlannedCommand],
    decision: Decision,
    health: InfrastructureHealth,
    options: SuiteOptions,
    *,
    say: Say = lambda _: None,
) -> TestSuiteResult:
    """Run the tests through the recorder, and learn what those that passed were told.

    Nothing is learned where staging was not well at any look from before the first test until after the last. Where the recorder
    died no outcome may come from that: the tests are run once more, directly. Raises UsageError, NotWellError and LockedError.
    """
    settings = run.settings
    services = teachable(settings)
    store = Store(settings.state)
    with store.lesson():
        await until_well(settings, services, say)
        notes_folder = under_way.folder_in(settings.data)
        began = datetime.now(UTC)
        async with Recording(services, notes_folder, root=settings.root, folder=settings.state / "lesson") as recording:
            own = _own(settings) if recording.secure else frozenset()
            result = await testing.run_commands(
                run, planned, decision, health, options, through=_through(recording, notes_folder, own)
            )
            try:
                heard = await recording.end()
            except RecorderError as exc:
                _all_stale(store, services, str(exc))
                again = await testing.run_commands(run, planned, decision, health, options)
                said = f"{exc} The tests were run once more, directly on staging."
                return replace(again, notes=(said, *again.notes))
        learned = await _learn(run, store, services, heard, result, began, trust.words(own))

    def told() -> Mapping[str, Sequence[Exchange]]:
        """Return what the tests that did not pass were told: what is learned is only of those that did."""
        return keep(heard, {test.id for test in result.tests} - passed_in(result.tests)).exchanges

    result = await testing.told_by_recordings(settings, result, planned, told)
    return replace(result, notes=(*learned.notes, *result.notes))


async def run_and_learn_if_well(
    run: RunFolder,
    planned: Sequence[PlannedCommand],
    decision: Decision,
    health: InfrastructureHealth,
    options: SuiteOptions,
    *,
    say: Say = lambda _: None,
) -> TestSuiteResult:
    """Run the tests and learn, or where staging cannot teach now, run them as ever and say why nothing was learned."""
    try:
        return await run_and_learn(run, planned, decision, health, options, say=say)
    except (NotWellError, LockedError, UsageError) as exc:
        result = await testing.run_and_look_again(run, planned, decision, health, options)
        return replace(result, notes=(f"nothing was learned: {exc}", *result.notes))


def _own(settings: Settings) -> frozenset[str]:
    """Return the variables that the team sets itself, in its shell or for its tests: none of them is set over."""
    exported = {name for service in settings.services for name in service.exports}
    return trust.own_in(os.environ, settings.data) | exported


def _through(recording: Recording, notes: Path, own: Collection[str]) -> testing.Through:
    """Return how the tests are led to the recorder: by the environment of their process alone."""
    exports: dict[str, str] = trust.trusting(recording.folder, own) if recording.secure else {}
    doors: list[Door] = []
    for way in recording.ways:
        exports |= way.exports
        doors += [Door(service=way.service, port=port) for port in way.ports]
    return testing.Through(
        environ={**exports, WORKERS: workers_of(recording.ways)}, doors=tuple(doors), under_way=notes
    )


async def _learn(
    run: RunFolder,
    store: Store,
    services: Sequence[Service],
    heard: Sequence[Heard],
    result: TestSuiteResult,
    began: datetime,
    untrusted: Sequence[str] = (),
) -> Learned:
    """Learn from what was heard, unless a look from then until now found staging unwell; then say so beside the old lesson."""
    settings = run.settings
    names = set(needed_by(services, settings))
    bad = sorted(
        {
            sample.service
            for sample in run.samples()
            if sample.at >= began and sample.service in names and sample.status is not _WELL
        }
    )
    documents: Documents = {}
    try:
        if bad:
            raise NotWellError(f"{', '.join(bad)} turned bad in the middle of the lesson.")
        documents = await _documents(settings, contracted(settings, [one.name for one in services]))
        await well_now(settings, services)
    except NotWellError as exc:
        why = f"nothing was learned: {exc}"
        _all_stale(store, services, str(exc))
        return Learned(notes=(why,))
    passed = passed_in(result.tests)
    kept = await asyncio.to_thread(keep, heard, passed, unwell_before(store, [one.name for one in services]))
    everything = [one for all in kept.exchanges.values() for one in all]
    key = keys.make(settings.data, os.environ)
    masker = await asyncio.to_thread(masker_of, key, settings.secrets, everything)
    generations, notes = [], list[str]()
    for service in services:
        lesson = Lesson(
            service=service.name,
            source=TRAFFIC,
            at=began,
            exchanges=kept.exchanges.get(service.name, ()),
            build=await build_of(service, settings.root),
            gaps=(*kept.gaps, *(untrusted if service.recorder_tls else ())),
            unwell=kept.unwell,
            origin=origin_of(service),
            tls=service.recorder_tls,
            ended=_ended(service.name, heard, result.tests),
        )
        made = await asyncio.to_thread(teach, store, lesson, masker)
        notes.append(_told(service.name, made, store))
        generations += [made] if made is not None else []
    agreed = await _agree(settings, store, documents, masker, began)
    generations += agreed.generations
    notes += agreed.notes
    notes += untrusted
    if kept.gaps:
        notes.append(f"not learned: {kept.gaps[0]}" + (f", and {len(kept.gaps) - 1} more" if kept.gaps[1:] else ""))
    return Learned(generations=tuple(generations), notes=tuple(notes))


def passed_in(tests: Sequence[TestOutcome]) -> frozenset[str]:
    """Return the tests whose answers may be learned: those that passed, and that no doubt hangs on."""
    return frozenset(test.id for test in tests if test.outcome is Outcome.PASSED and not test.suspect)


def _ended(service: str, heard: Sequence[Heard], tests: Sequence[TestOutcome]) -> dict[str, str]:
    """Return how the tests ended that asked this service of anything, themselves or in their set-up."""
    asked = {one.test for one in heard if one.service == service and one.test}
    return {test.id: test.outcome.value for test in tests if test.id in asked}


def _told(service: str, made: Generation | None, store: Store) -> str:
    if made is None:
        return f"{service}: nothing was learned: {store.stale(service) or 'no test that passed asked anything of it'}"
    manifest = made.manifest
    tests = len(manifest["tests"])
    of = f" of {tests} tests" if tests else ""
    gaps = f", {len(manifest['gaps'])} gaps: resilience taught {service}" if manifest["gaps"] else ""
    return f"{service}: learned {manifest['exchanges']} answers{of} (generation {made.number}){gaps}"


def _all_stale(store: Store, services: Iterable[Service], why: str) -> None:
    for service in services:
        store.mark_stale(service.name, why)


async def teach_routes(
    settings: Settings, names: Sequence[str] = (), say: Say = lambda _: None, *, learn: bool = True
) -> Learned:
    """Ask staging's `teach_routes` by GET, one after the other, and for contracts, and learn them; the scheduled job's lesson.

    First a sample of what was taught is compared with what staging says now; without `learn` that is all. What is not a 2xx, 3xx
    or 4xx is not learned. Raises UsageError where there is nothing to ask for, NotWellError and LockedError.
    """
    store = Store(settings.state)
    known, routed, agreeing = _of_a_lesson(settings, store, names, learn=learn)
    services = [one for one in settings.services if one in known or (learn and (one in routed or one in agreeing))]
    with store.lesson():
        await until_well(settings, services, say)
        until = monotonic() + LESSON_S
        began = datetime.now(UTC)
        documents = await _documents(settings, agreeing)
        # Before anything new is learned, with which it would be compared.
        drift = {
            one.name: await drifting.compare(settings, store, one, documents.get(one.name), until) for one in known
        }
        answers = {
            service.name: await ask(service, settings.root, until, settings.deadlines)
            for service in (routed if learn else ())
        }
        try:
            await well_now(settings, services)
        except NotWellError as exc:
            if learn:
                _all_stale(store, {one.name: one for one in (*routed, *agreeing)}.values(), str(exc))
            raise
        for name, found in drift.items():
            store.note_drift(name, found)
        learned = Learned(notes=tuple(line for name, found in drift.items() for line in drifting.told(name, found)))
        if learn:
            masker = masker_of(keys.make(settings.data, os.environ), settings.secrets, ())
            routes = await _write(settings, store, routed, answers, "routes", began)
            agreed = await _agree(settings, store, documents, masker, began)
            learned = Learned(
                generations=(*routes.generations, *agreed.generations),
                notes=(*learned.notes, *routes.notes, *agreed.notes),
            )
    return replace(learned, drift=drift, asked=len(services) if learn and (routed or agreeing) else 0)


def _of_a_lesson(
    settings: Settings, store: Store, names: Sequence[str], *, learn: bool
) -> tuple[Sequence[Service], Sequence[Service], Sequence[Service]]:
    """Return the services to compare, those whose routes are asked, and those with a contract. Raises UsageError for none."""
    known, agreeing = drifting.comparable(settings, store, names), contracted(settings, names)
    wanted = any(one.teach_routes and (TRAFFIC in one.teach or one.name in names) for one in settings.services)
    asked = teachable(settings, names) if wanted or not (agreeing or known) else ()
    routed = [service for service in asked if service.teach_routes]
    if learn and not (known or routed or agreeing):
        raise UsageError(
            "no service that teaches has teach_routes or a contract.", hint='teach_routes = ["/api/products"]'
        )
    if not learn and not known:
        raise UsageError("nothing is taught that staging could be compared with.", hint="resilience teach")
    return known, routed, agreeing


async def _documents(settings: Settings, services: Iterable[Service]) -> Documents:
    """Ask each of these services for its contract."""
    return {service.name: await contract_of(service, settings.root) for service in services}


async def _agree(settings: Settings, store: Store, documents: Documents, masker: Masker, began: datetime) -> Learned:
    """Write the contracts that were given out; one that was not, or is none, leaves the one before."""
    generations, notes = [], list[str]()
    for name, data in documents.items():
        if isinstance(data, str):
            notes.append(f"{name}: {data}")
            continue
        service = settings.service(name)
        build = await build_of(service, settings.root) if service is not None else ""
        try:
            # By name, as it brings openapi-core, a second of imports that a lesson without a contract does without.
            teach_contract = resolve_name("resilience.teach.agreement:teach_contract")
            made = await asyncio.to_thread(teach_contract, store, name, data, masker, at=began, build=build)
        except ContractError as exc:
            notes.append(f"{name}: its contract was not learned: {exc}")
            continue
        against = (
            f", contradicted {len(gaps)} times: resilience taught {name}" if (gaps := made.manifest["gaps"]) else ""
        )
        told = made.manifest["contract"]
        notes.append(
            f"{name}: learned its contract of {told['operations']} operations (generation {made.number}){against}"
        )
        generations.append(made)
    return Learned(generations=tuple(generations), notes=tuple(notes))


async def learn_file(settings: Settings, name: str, data: bytes) -> Learned:
    """Learn from a HAR that a browser or a proxy saved. Raises UsageError for what is none, or holds nothing of this service."""
    (service,) = teachable(settings, [name])
    exchanges, left = imported(data, address_of(service))
    if not exchanges:
        raise UsageError(
            f"the file holds nothing that {name} could say again: {left[0] if left else 'it is empty'}.",
            hint=f"record at {origin_of(service)}, and save with content",
        )
    store = Store(settings.state)
    with store.lesson():
        answers = {name: (exchanges, left)}
        return await _write(settings, store, [service], answers, "har", datetime.now(UTC))


async def _write(
    settings: Settings,
    store: Store,
    services: Sequence[Service],
    answers: Mapping[str, tuple[Sequence[Exchange], Sequence[str]]],
    source: str,
    began: datetime,
) -> Learned:
    """Prove and write what each service answered, all masked alike: a token of one is the same token at another."""
    everything = [one for exchanges, _ in answers.values() for one in exchanges]
    masker = masker_of(keys.make(settings.data, os.environ), settings.secrets, everything)
    generations, notes = [], list[str]()
    for service in services:
        exchanges, gaps = answers[service.name]
        lesson = Lesson(
            service=service.name,
            source=source,
            at=began,
            exchanges=tuple(exchanges),
            build=await build_of(service, settings.root) if source != "har" else "",
            gaps=tuple(gaps),
            origin=origin_of(service),
        )
        made = await asyncio.to_thread(teach, store, lesson, masker)
        store.prune(service.name, now=datetime.now(UTC), delete_after_days=settings.teach.delete_after_days)
        notes.append(_told(service.name, made, store))
        generations += [made] if made is not None else []
    return Learned(generations=tuple(generations), notes=tuple(notes))

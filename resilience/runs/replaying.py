"""Run tests that failed on live staging once more on recordings on which they had passed, and tell staging's changes from ours.

What that tells is one line of evidence, and never the outcome. Live staging is not asked again: its variables are taken from the
tests, and only the services that a test uses stand in, each with the generation on which this test passed.
"""

from __future__ import annotations

import os
import secrets as lots
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from resilience.core.errors import ResilienceError
from resilience.core.plan import child_environment, trusted_for
from resilience.core.records import (
    ConnectivityResult,
    Outcome,
    PlannedCommand,
    TestExecutionMode,
    TestOutcome,
    TestSuiteResult,
)
from resilience.core.settings import Service, Settings
from resilience.host.trust import STAND_INS
from resilience.runs.testing import without_worker
from resilience.services.mocking import Config, Mock
from resilience.stand_ins.mocks import Mocks
from resilience.suite import uses
from resilience.suite.records import WORKERS, Instruments, Place, Request
from resilience.suite.testrun import run_suite
from resilience.teach import key as keys
from resilience.teach.drift import first_difference
from resilience.teach.exchange import Exchange
from resilience.teach.lesson import masker_of, recordings_of
from resilience.teach.store import Generation, Store
from resilience.teach.ways import origin_of, way, workers_of

TESTS = 20
"""So many tests of one run are run once more."""
LONGEST_S = 120.0
"""Seconds that this may take."""
_FAILED = frozenset({Outcome.FAILED, Outcome.ERROR})
_PASSED = frozenset({"passed", "xfailed", "xpassed"})
_SAID = frozenset({"recorded", "contract"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Tests to run once more, and by service the generation on which they passed."""

    tests: tuple[TestOutcome, ...] = ()
    generations: Mapping[str, Generation] = field(default_factory=dict)


def to_run_again(settings: Settings, store: Store, result: TestSuiteResult) -> Again:
    """Return the tests that failed and whose used services all replay from a generation on which this test passed.

    What a test uses is what was seen of it, now or when it passed; where nothing was seen, what asked in its lesson counts. Of a
    service one generation is served: the newest that fits any of them.
    """
    known = uses.load(settings.state / "uses.json")
    by_service = {service.name: _by_tests(settings, store, service) for service in settings.services if service.teach}
    fits: list[tuple[TestOutcome, dict[str, Generation]]] = []
    for test in result.tests:
        if test.outcome not in _FAILED or not test.rounds:
            continue
        found = {
            name: passed for name, every in by_service.items() if (passed := _newest_passed(every, test.id)) is not None
        }
        seen = {name.rstrip("?") for one in test.evidence for name in one.used} or set(known.get(test.id, ()))
        if found and seen <= set(found):
            fits.append((test, {name: found[name] for name in (seen or found)}))
    chosen = _newest_of(found for _, found in fits)
    tests = tuple(test for test, found in fits if all(chosen[name] == one for name, one in found.items()))
    return Again(tests=tests[:TESTS], generations=chosen)


def _newest_of(found: Iterable[Mapping[str, Generation]]) -> dict[str, Generation]:
    chosen: dict[str, Generation] = {}
    for generations in found:
        for name, one in generations.items():
            if name not in chosen or chosen[name].number < one.number:
                chosen[name] = one
    return chosen


def _by_tests(settings: Settings, store: Store, service: Service) -> list[Generation]:
    """Return what the tests taught of a service and can be served here, the newest first."""
    key = None
    with suppress(ResilienceError):
        key = keys.read(settings.data, os.environ)
    if key is None or service.kind.doubles is None or not service.staging_exports:
        return []
    return [
        one
        for one in reversed(store.generations(service.name))
        if one.source == "traffic" and not one.problem and one.manifest["masked"]["key"] == keys.mark(key)
    ]


def _newest_passed(generations: Sequence[Generation], test: str) -> Generation | None:
    """Return the newest generation that holds recordings of this test, and on whose staging it passed."""
    for one in generations:
        if test in one.manifest.get("tests", {}) and one.manifest.get("ended", {}).get(test) in _PASSED:
            return one
    return None


async def look_again(
    settings: Settings,
    result: TestSuiteResult,
    planned: Sequence[PlannedCommand],
    *,
    live: Mapping[str, Sequence[Exchange]] | None = None,
) -> TestSuiteResult:
    """Return the result with a line of evidence at each test that was run once more on recordings; no outcome changes.

    `live` is by service what the tests asked just now and were told, not masked, where a recorder heard it: then the first
    difference is told from that, else from the last comparison with staging.
    """
    store = Store(settings.state)
    again = to_run_again(settings, store, result)
    if not again.tests:
        return result
    try:
        ended, asked = await _run(settings, again, planned)
    except (ResilienceError, OSError, ValueError, LookupError) as exc:
        said = f"the tests that failed could not be run once more on recordings: {type(exc).__name__}: {exc}"
        return replace(result, notes=(*result.notes, said))
    lines = {
        test.id: _told(test, ended.get(test.id), asked.get(test.id, ()), again.generations, difference)
        for test in again.tests
        for difference in [_difference(settings, store, again, test.id, live)]
    }
    notes = tuple(f"{name} {line}" for name, line in lines.items() if line)
    tests = tuple(_with(test, lines.get(test.id, "")) for test in result.tests)
    return replace(result, tests=tests, notes=(*result.notes, *notes))


async def _run(
    settings: Settings, again: Again, planned: Sequence[PlannedCommand]
) -> tuple[dict[str, TestOutcome], dict[str, list[tuple[str, str]]]]:
    """Run the tests on the recordings; return how each ended, and what it was answered: from where, and to what."""
    folder = settings.state / "replayed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    notes = folder / "under_way"
    served = [service for service in settings.services if service.name in again.generations]
    try:
        async with Mocks(_mocks(settings, served, again.generations, notes)) as mocks:
            environ = _environment(settings, served, mocks)
            numbers = sorted({test.command for test in again.tests})
            result = await run_suite(
                Request(
                    commands=tuple(planned[number] for number in numbers if number < len(planned)),
                    mode=TestExecutionMode.OFFLINE,
                    only=tuple(test.id for test in again.tests),
                    attempts=0,
                    total_timeout_s=LONGEST_S,
                ),
                Place(
                    root=settings.root, folder=folder, environ=environ, env_command=settings.env_command,
                    under_way=notes, secrets=settings.secrets,
                ),
                Instruments(probe=_nobody, output=_nowhere),
            )  # fmt: skip
            told = [one for mock in mocks.config.services for one in mock.told]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    asked: dict[str, list[tuple[str, str]]] = {}
    for _, source, what, test in sorted(told):
        asked.setdefault(test, []).append((source, what))
    return {test.id: test for test in result.tests}, asked


def _mocks(settings: Settings, served: Sequence[Service], generations: Mapping[str, Generation], notes: Path) -> Config:
    key = keys.read(settings.data, os.environ) or b""
    return Config(
        services=tuple(
            Mock(
                name=service.name, kind="", imitation="resilience.teach.serve:Taught",
                taught=(str(generations[service.name].folder),), teach_key=key.hex(), origin=origin_of(service),
                tls=service.recorder_tls,
            )
            for service in served
        ),
        token=lots.token_urlsafe(24),
        under_way=str(notes),
        key_file=str(settings.data / "mocks.key"),
        tls=str(settings.data / STAND_INS),
    )  # fmt: skip


def _environment(settings: Settings, served: Sequence[Service], mocks: Mocks) -> dict[str, str]:
    """Return the tests' environment: nothing in it leads to staging, and what led to a service leads to its recordings."""
    taken = {name for service in settings.services for name in (*service.url_names, *service.exports)}
    values = {name: value.reveal() for service in settings.services for name, value in service.exports.items()}
    ways = []
    for service in served:
        workers = {f"gw{number}": port for number, port in enumerate(mocks.workers.get(service.name, ()))}
        ways.append(way(service, {"": mocks.mock(service.name).port, **workers}))
        values |= ways[-1].exports
    values = {**trusted_for(served, settings.trusted), **values}
    environ = child_environment(without_worker(os.environ), {**values, WORKERS: workers_of(ways)}, taken - set(values))
    environ["PATH"] = settings.path(environ.get("PATH", os.defpath))
    return environ


async def _nobody(_: Sequence[str]) -> Mapping[str, ConnectivityResult]:
    """Look at nothing: what the tests reach here is ours."""
    return {}


def _nowhere(_: bytes) -> None:
    """Let what the tests print go nowhere: they have printed it before."""


def _told(
    test: TestOutcome,
    ended: TestOutcome | None,
    asked: Sequence[tuple[str, str]],
    generations: Mapping[str, Generation],
    difference: str,
) -> str:
    """Return what the second run tells, as a sentence's end; empty where it tells nothing, as where no recording was used."""
    at = " and ".join(
        f"{one.at:%Y-%m-%d %H:%M} UTC ({name}, generation {one.number})" for name, one in generations.items()
    )
    missed = [what for source, what in asked if source == "miss"]
    if ended is None or not asked:
        return ""
    if missed:
        return f"asks what it did not ask when the recordings of {at} were made ({missed[0]}): the test or our code has changed"
    if not any(source in _SAID for source, _ in asked):
        return ""
    if ended.outcome is Outcome.PASSED:
        first = (
            f"first difference: {difference}" if difference else "which of them was not seen: resilience teach --drift"
        )
        return f"passes on the recordings of {at}: what staging answers has changed ({first})"
    if ended.outcome in (*_FAILED, Outcome.UNDECIDED):
        why = (ended.message or "").strip().partition("\n")[0][:160]
        alike = why == (test.message or "").strip().partition("\n")[0][:160]
        return f"fails on both, on staging and on the recordings of {at}" + (
            "" if alike or not why else f", there with: {why}"
        )
    return ""


def _difference(
    settings: Settings, store: Store, again: Again, test: str, live: Mapping[str, Sequence[Exchange]] | None
) -> str:
    """Return the first thing that staging answered otherwise to this test; empty where nobody saw it."""
    for name, generation in again.generations.items():
        recordings = [one for one in recordings_of(generation) if one.exchange.owner == f"test {test}"]
        if live is not None:
            heard = live.get(name, ())
            masker = masker_of(keys.read(settings.data, os.environ) or b"", settings.secrets, heard)
            now = [masker.exchange(one) for one in heard if one.owner == f"test {test}"]
            if found := first_difference(recordings, now):
                return found
        drift = store.drift(name)
        paths = {one.exchange.asked.path for one in recordings if one.exchange.asked.method == "GET"}
        for line in drift.drift if drift is not None else ():
            if line.removeprefix("GET ").partition(":")[0] in paths:
                return line
    return ""


def _with(test: TestOutcome, line: str) -> TestOutcome:
    if not line or not test.evidence:
        return test
    return replace(test, evidence=(*test.evidence[:-1], replace(test.evidence[-1], recordings=line)))

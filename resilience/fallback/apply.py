"""Do what a plan says, journaled so that it can be undone after a crash at any point."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from resilience.core.envtext import render
from resilience.core.errors import EditedError
from resilience.core.plan import files_written, words_to_note, words_to_start, words_to_write
from resilience.core.records import Applied, Plan, StandIn
from resilience.core.settings import Places, Service
from resilience.core.variables import APPLIED
from resilience.fallback import journal as journals
from resilience.host.files import read_env_file
from resilience.host.lock import locked
from resilience.host.log import log_applied
from resilience.host.vantage import vantage

StartStandIns = Callable[[Sequence[Service]], Awaitable[tuple[StandIn, ...]]]
OnStep = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedHere(Applied):
    """What was applied, on the host where it was: it can give its environment to this process for a while."""

    @contextmanager
    def environ(self) -> Iterator[Mapping[str, str]]:
        """Set the variables that the child processes get in `os.environ`, and put everything back at the end."""
        values = read_env_file(Path(self.env_file))
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield values
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


async def apply(
    plan: Plan,
    values: Mapping[str, str],
    places: Places,
    services: Sequence[Service],
    origin: journals.Origin,
    *,
    start: StartStandIns,
    on_step: OnStep | None = None,
    on_progress: OnStep | None = None,
    take_over: bool = False,
) -> AppliedHere:
    """Start the stand-ins, then write the env files. Applied twice with the same plan it changes nothing more.

    The order is the promise: what is there now is noted on disk before anything is changed, the stand-ins are up before
    a file sends tests to them, and each step is in the journal before the next begins. Where a stand-in does not come up,
    nothing is written, what was started stays for the second decision, and `failed` names it. What is applied already
    keeps the name of the run that applied it first, because shells may carry it.

    `on_step` is told each step of the plan in the plan's words as it begins, `on_progress` what is journaled meanwhile.
    Raises LockedError, EditedError, OSError (a read-only folder, a full disk): then the files are as before.
    """
    began = perf_counter()
    steps: list[str] = []

    def tell(what: str) -> None:
        steps.append(what)
        if on_step:
            on_step(what)

    say = on_progress or on_step
    planned = {stand_in.service: stand_in for stand_in in plan.stand_ins}
    wanted = [service for service in services if service.name in planned]
    with locked(places.state, "apply", run=origin.run, take_over=take_over):
        attempt = _begin(plan, values, places, origin, tell, say)
        for service in wanted:
            tell(words_to_start(planned[service.name], service.kind))
        try:
            stand_ins = await start(wanted) if wanted else ()
            failed = tuple(stand_in.service for stand_in in stand_ins if not stand_in.ready)
            if not attempt.same:
                _finish(attempt, stand_ins, places, tell, say)
        except BaseException:
            _give_up(attempt, places, started=bool(wanted))
            raise
    applied = AppliedHere(
        run=attempt.journal.run,
        mode=plan.mode,
        applied_at=datetime.now(UTC),
        host=vantage().host,
        env_file=str(places.env_file),
        stand_ins=stand_ins,
        changes=plan.changes,
        steps=tuple(steps),
        duration_s=perf_counter() - began,
        already=attempt.same,
        failed=failed,
    )
    if not failed:
        log_applied(applied, wanted)
    return applied


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """An apply that is under way: the journal so far, and what is to be written into each file."""

    journal: journals.Journal
    text: bytes
    count: int
    same: bool
    """Whether exactly this is applied already, so that no file and no journal needs a change."""
    first: bool
    """Whether nothing was applied or half-applied before, so that what is noted is what was there just now."""


def _begin(
    plan: Plan,
    values: Mapping[str, str],
    places: Places,
    origin: journals.Origin,
    tell: OnStep,
    say: OnStep | None,
) -> _Attempt:
    """Note what is there now, unless this very thing is applied already.

    Raises EditedError where a person changed it, LockedError where another host applied it, RunbookError where it is what an
    apply wrote whose undo data are gone.
    """
    earlier = journals.load(places.state)
    journals.check_none_left_behind(places.state, places.env_files)
    applied = earlier if earlier is not None and earlier.status == "applied" else None
    if applied is not None:
        journals.check_host(applied)
        values = {**values, APPLIED: applied.run}
        origin = replace(origin, run=applied.run)
    text = render(values, header=_header(plan, origin.run)).encode()
    if applied is not None and all(_holds(path, text) for path in places.env_files):
        return _Attempt(journal=applied, text=text, count=len(values), same=True, first=False)
    if earlier is not None:
        journals.check_unedited(earlier)
    tell(words_to_note(files_written(places)))
    journal = journals.begin(
        places.state,
        origin,
        mode=plan.mode.value,
        paths=places.env_files,
        root=places.root,
        names=tuple(values),
        on_step=say,
    )
    return _Attempt(journal=journal, text=text, count=len(values), same=False, first=earlier is None)


def _finish(attempt: _Attempt, stand_ins: Sequence[StandIn], places: Places, tell: OnStep, say: OnStep | None) -> None:
    """Write the files where every stand-in is up; else leave them, and no journal where there is nothing to undo."""
    all_up = all(stand_in.ready for stand_in in stand_ins)
    started = tuple(stand_in.service for stand_in in stand_ins if stand_in.started_here)
    journal = journals.step(
        places.state,
        attempt.journal,
        "stand-ins are up" if all_up else "a stand-in did not come up",
        on_step=say,
        stand_ins=tuple(dict.fromkeys((*attempt.journal.stand_ins, *started))),
    )
    if all_up:
        for path, name in zip(places.env_files, files_written(places), strict=True):
            tell(words_to_write(attempt.count, name))
            journal = journals.write(places.state, journal, path, attempt.text, on_step=say)
        journals.step(places.state, journal, "applied", on_step=say, status="applied")
    elif not any(file.written for file in journal.files) and not journal.stand_ins:
        journals.close(places.state)


def _give_up(attempt: _Attempt, places: Places, *, started: bool) -> None:
    """Put the files back after an error or a signal in the middle, where this apply was the first to change them.

    The journal stays where stand-ins may have been started, because `restore` ends them by it; and where an earlier apply
    is changed, since what is noted is what was there before that one.
    """
    if not attempt.first:
        return
    with suppress(OSError, EditedError):
        # From the disk: it alone knows how far the writing came.
        journal = journals.load(places.state) or attempt.journal
        journals.restore_files(places.state, journal)
        if not started and journals.identical(journal):
            journals.close(places.state)


def _header(plan: Plan, run: str) -> tuple[str, ...]:
    return (
        f"Written by resilience apply (mode {plan.mode.value}, run {run}).",
        "Undo with: resilience restore. Edits are noticed and kept, never lost.",
    )


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False

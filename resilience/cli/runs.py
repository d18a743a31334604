"""Turn a verb's call into the run it works on, and whatever ends the verb into the end of that run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from resilience.cli.demand import on_demand
from resilience.cli.ends import EndedBySignalError
from resilience.core.errors import LockedError, RecordError
from resilience.show import sticky

with on_demand():
    from resilience.core import mode
    from resilience.fallback import due, journal
    from resilience.host import lock
    from resilience.runs import ending, runbook
    from resilience.settings import build
    from resilience.show import terminal

if TYPE_CHECKING:
    from resilience.core.records import Decision, InfrastructureHealth, TestExecutionMode
    from resilience.core.settings import Settings
    from resilience.runs.runbook import Run


def refuse_where_locked(settings: Settings, verb: str, take_over: bool) -> None:
    """Refuse before anything is made where another is at work; the lock itself is taken later, for as long as needed.

    Raises LockedError (75). It is a courtesy, not a guarantee: another may take the lock a moment later, and is then
    met there.
    """
    who = None if take_over else lock.holder(settings.state)
    if who is not None:
        raise LockedError(
            f"another run holds the lock: {who}.", hint=f"wait, or hand over safely: resilience {verb} --take-over"
        )


def applied_or_new_run(settings: Settings, slug: str, *, applies: bool = False) -> Run:
    """Return the run that is applied here, which a verb adds to; else a new one. One incident is one folder.

    Raises NotConfiguredError where no service has a URL, before a folder is made.
    """
    run = runbook.applied_run(settings)
    if run is None:
        build.require_configured(settings)
        runbook.settle_latest(settings)
        run = runbook.Run.create(settings, slug=slug, apply=applies)
    return run


@contextmanager
def working_on(settings: Settings, slug: str, *, applies: bool = False) -> Iterator[Run]:
    """Open the applied run or make a new one, and write its end where it breaks off, with a report; see `runs.ending`.

    After a signal it says where the report is, and the last line also says what is applied and not undone: nobody looks
    for that in a report. The error goes on to `cli.ends`, which says it. Who has written the end of the run itself calls
    `signals.let_none_in` before.
    """
    make = partial(applied_or_new_run, settings, slug, applies=applies)
    page: Path | None = None
    try:
        with saying_what_is_due(settings), ending.making(make) as run:
            page = run.folder / "report.html"
            yield run
    except EndedBySignalError:
        sticky.end()
        if page is not None and page.is_file():
            terminal.show_report(page, console=terminal.err)
        raise


@contextmanager
def saying_what_is_due(settings: Settings) -> Iterator[None]:
    """Turn a signal into the error that says in the last line what it left to be undone."""
    try:
        yield
    except KeyboardInterrupt as exc:
        raise EndedBySignalError(*due.due(settings.state)) from exc


def decide_here(health: InfrastructureHealth, settings: Settings, force: TestExecutionMode | None = None) -> Decision:
    """Return the decision that a run would take here: an applied fallback counts as long as it is applied."""
    try:
        # Most looks find nothing applied, and do without the stages of a run.
        run = runbook.applied_run(settings) if journal.load(settings.state) is not None else None
    except RecordError:
        run = None  # said where it matters; how staging is does not depend on it
    applied = run.incident.applied if run is not None and run.applied_now else None
    return mode.decide(
        health,
        settings.services,
        settings.wishes,
        now=datetime.now(UTC),
        force=force,
        asked_by="--force",
        applied=applied.mode if applied else None,
        in_use=tuple(s.service for s in applied.stand_ins if s.ready) if applied else (),
    )

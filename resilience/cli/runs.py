"""Turn a verb's call into the run it works on, and whatever ends the verb into the verdict of that run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resilience.cli.demand import on_demand
from resilience.cli.ends import EndedBySignalError
from resilience.core.errors import LockedError, RecordError, ResilienceError

with on_demand():
    from resilience.core import mode, records
    from resilience.fallback import due
    from resilience.host import lock
    from resilience.runs import runbook
    from resilience.settings import build

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
        run = runbook.Run.create(settings, slug=slug, apply=applies)
    return run


@contextmanager
def recording_the_end(run: Run) -> Iterator[None]:
    """Write the verdict of a run that breaks off, so that no record says "running" for ever.

    After a signal the last line also says what is applied and not undone: nobody looks for that in a report.

    The error goes on to `cli.ends`, which says it; a report is left all the same.
    """
    try:
        yield
    except KeyboardInterrupt as exc:
        write_report(run, verdict=records.Verdict.INTERRUPTED, exit_code=EndedBySignalError().exit_code)
        raise EndedBySignalError(*due.due(run.settings.state)) from exc
    except Exception as exc:
        code = exc.exit_code if isinstance(exc, ResilienceError) else 30
        write_report(run, verdict=records.Verdict.RUNBOOK_FAILED, exit_code=code)
        raise


def write_report(run: Run, **judged: Any) -> Path | None:
    """Judge the run and leave its report, without the charts, which take seconds; `resilience report` draws them.

    What goes wrong with it is said, and takes nothing from the verdict.
    """
    try:
        run.report(charts=False, **judged)
    except Exception as exc:  # noqa: BLE001 - the tests' exit code counts for more than their report
        run.finish(**judged)
        sys.stderr.write(f"resilience: the report was not written in full: {exc}\n")
        return None
    return run.folder / "report.html"


def decide_here(health: InfrastructureHealth, settings: Settings, force: TestExecutionMode | None = None) -> Decision:
    """Return the decision that a run would take here: an applied fallback counts as long as it is applied."""
    try:
        run = runbook.applied_run(settings)
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

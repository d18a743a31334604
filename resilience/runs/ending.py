"""Write the end of a run whatever ended it: an error, a signal, or a kill that somebody else finds later."""

from __future__ import annotations

import sys
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from resilience.core.errors import LockedError, RecordError, ResilienceError
from resilience.core.records import ExitCode, Verdict
from resilience.core.settings import Settings
from resilience.core.verdict import judge_run
from resilience.host import signals
from resilience.host.lock import holder
from resilience.runs import stages
from resilience.runs.folder import RunFolder, holds_run, read_incident
from resilience.runs.owner import is_killed

R = TypeVar("R", bound=RunFolder)


@contextmanager
def recording_the_end(run: RunFolder) -> Iterator[None]:
    """Write the end of a run that breaks off, with a report, so that no record says "running" for ever.

    The error or the signal goes on to whoever called, who says it in words. Where the lock refused it, because another
    process is at this very run, the end is that one's to write: ours would take its tests from the record.
    """
    try:
        yield
    except LockedError as exc:
        if not _another_is_at(run):
            with signals.last_word():
                leave_report(run, verdict=Verdict.RUNBOOK_FAILED, exit_code=exc.exit_code)
        raise
    except (KeyboardInterrupt, CancelledError):
        with signals.last_word():
            leave_report(run, verdict=Verdict.INTERRUPTED, exit_code=signals.exit_code())
        raise
    except Exception as exc:
        code = exc.exit_code if isinstance(exc, ResilienceError) else ExitCode.RUNBOOK_FAILED
        with signals.last_word():
            leave_report(run, verdict=Verdict.RUNBOOK_FAILED, exit_code=code)
        raise


def _another_is_at(run: RunFolder) -> bool:
    """Say whether another process holds the lock for this run, or held it and has written into the record since we did."""
    who = holder(run.settings.state)
    if who is not None and who.run.replace("/", "-") == run.applied_id:
        return True
    with suppress(RecordError, OSError):
        return read_incident(run.folder) != run.incident
    return False


@contextmanager
def making(make: Callable[[], R]) -> Iterator[R]:
    """Make a run, and record its end whatever ends it; a signal that comes while it is made is heard once that is sure."""
    with signals.held() as release:
        run = make()
        with recording_the_end(run):
            release()
            yield run


def leave_report(run: RunFolder, *, verdict: Verdict | None = None, exit_code: int | None = None) -> Path | None:
    """Judge the run and leave its report, without the charts, which take seconds; `resilience report` draws them.

    What goes wrong with it is said, and takes nothing from the verdict. None: there is no whole report. Where not even the
    end can be written that is said too, and readers call the run killed.
    """
    found, code = judge_run(run.incident)
    verdict, code = verdict or found, code if exit_code is None else exit_code
    try:
        stages.report(run, charts=False, verdict=verdict, exit_code=code)
    except Exception as exc:  # noqa: BLE001 - the tests' exit code counts for more than their report
        sys.stderr.write(f"resilience: the report was not written in full: {run.redactor.text(str(exc))}\n")
        _insist(run, verdict, code)
        return None
    return run.folder / "report.html"


def _insist(run: RunFolder, verdict: Verdict, code: int) -> None:
    if (run.incident.verdict, run.incident.exit_code) == (verdict, code):
        with suppress(OSError):
            if read_incident(run.folder).verdict is verdict:
                return
    try:
        stages.finish(run, verdict=verdict, exit_code=code)
    except OSError as exc:
        sys.stderr.write(f"resilience: the end of the run could not be written: {exc.strerror or exc}. df -h\n")


def settle(folder: Path, settings: Settings) -> bool:
    """Write `killed` into the record and the report of a run whose process is gone; return whether that was needed.

    For who works in its place: `restore`, `report`, the next run. Never in the way of these: what fails is left as it is,
    and readers go on to derive it.
    """
    with suppress(Exception):
        if not holds_run(folder) or not is_killed(read_incident(folder)):
            return False
        run = RunFolder.open(folder, replace(settings, outputs=folder.resolve().parent.parent))
        leave_report(run, verdict=Verdict.KILLED, exit_code=ExitCode.KILLED)
        return True
    return False

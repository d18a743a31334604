"""Turn the way in which a notebook ended into what became of its stage, and of the run: status, message, exit code."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from resilience.core import errors
from resilience.core.errors import ResilienceError
from resilience.core.records import ExitCode, Stage, StageStatus
from resilience.host import signals

BROKEN = frozenset({StageStatus.FAILED, StageStatus.KILLED, StageStatus.TIMED_OUT, StageStatus.INTERRUPTED})
"""How a stage ends that the stages after it do not get over."""

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Break:
    """Why a notebook did not come through. `cell` says in which cell, of how many; texts are not redacted yet.

    `message` begins with the error's name, by which `exit_code` finds the code of an error of ours.
    """

    status: StageStatus
    cell: str = ""
    message: str = ""
    hint: str = ""


def failed(error: BaseException, where: str) -> Break:
    """Return the break of a cell that raised; the kernel tells of our own errors with their hint behind them."""
    name = getattr(error, "ename", type(error).__name__)
    value = _ANSI.sub("", str(getattr(error, "evalue", error)))
    message, _, hint = value.partition(" Hint: ")
    return Break(StageStatus.FAILED, where, f"{name}: {message}", hint)


def killed(code: int, where: str, *, run: str) -> Break:
    """Return the break of a cell whose kernel ended by itself with this code; below zero: by this signal.

    The out-of-memory killer is the likely one for SIGKILL; a cell's own os._exit gives an exit code.
    """
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return Break(
        StageStatus.KILLED,
        where,
        f"KernelDied: the notebook's kernel was ended by {how} in this cell",
        f"look for the out-of-memory killer, then: resilience resume {run}",
    )


def interrupted(number: int | None, where: str, *, run: str) -> Break:
    """Return the break of a cell in which the run was told to stop."""
    name = signal.Signals(number or signal.SIGINT).name
    return Break(
        StageStatus.INTERRUPTED,
        where,
        f"Interrupted: {name} stopped the run in this cell",
        f"go on with: resilience resume {run}",
    )


def timed_out(seconds: float, where: str, *, run: str, whole: bool) -> Break:
    """Return the break of a cell in which the time of the stage, or of the `whole` run, was over."""
    return Break(
        StageStatus.TIMED_OUT,
        where,
        f"TimedOut: the {'run' if whole else 'stage'} was stopped in this cell after {seconds:.0f} s",
        f"give it longer, or go on with: resilience resume {run}",
    )


def ended(begun: Stage, broke: Break | None, written: Stage | None, *, at: datetime) -> Stage:
    """Return what becomes of a stage's record, from how its notebook ended and from what the notebook itself wrote of it.

    A break is believed before the notebook, which may have caught the error or been killed. One that came through may
    have recorded that the stage was left out, or done by a person: that stays.
    """
    if broke is not None:
        return replace(
            begun, status=broke.status, finished_at=at, cell=broke.cell, error=broke.message, hint=broke.hint
        )
    if written is not None and written.status in (StageStatus.SKIPPED, StageStatus.DONE_BY_HAND):
        return replace(written, notebook=begun.notebook, finished_at=written.finished_at or at)
    return replace(begun, status=StageStatus.FINISHED, finished_at=at)


def exit_code(ends: Sequence[Stage], *, heard: int | None) -> int:
    """Return the exit code of these stages, the worst one; 0 where all came through. `heard` is the signal, if any.

    A failed stage ends with the code of its error (75 for a lock that another holds), read from the error's name.
    """
    codes = []
    for end in ends:
        if end.status is StageStatus.INTERRUPTED:
            codes.append(signals.exit_code(heard or signal.SIGINT))
        elif end.status is StageStatus.TIMED_OUT:
            codes.append(ExitCode.TIMED_OUT)
        elif end.status is StageStatus.KILLED:
            codes.append(ExitCode.RUNBOOK_FAILED)
        elif end.status is StageStatus.FAILED:
            kind = getattr(errors, end.error.partition(":")[0], ResilienceError)
            codes.append(getattr(kind, "exit_code", ExitCode.RUNBOOK_FAILED))
    return ExitCode.worst(*codes) if codes else ExitCode.PASSED

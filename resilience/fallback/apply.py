"""Do what a plan says, journaled so that it can be undone after a crash at any point."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from resilience.core.envtext import render
from resilience.core.plan import files_written, words_to_note, words_to_start, words_to_write
from resilience.core.records import Applied, Plan, StandIn
from resilience.core.settings import Service, Settings
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
    settings: Settings,
    *,
    run: str,
    folder: Path | str = "",
    endpoints: Mapping[str, str] | None = None,
    commit: str = "",
    start: StartStandIns,
    on_step: OnStep | None = None,
    on_progress: OnStep | None = None,
    take_over: bool = False,
) -> AppliedHere:
    """Start the stand-ins, then write the env file. Applied twice with the same plan it changes nothing more.

    `on_step` is told each step of the plan in the plan's words as it begins, `on_progress` what is journaled meanwhile.
    Where a stand-in does not come up, nothing is written, what was started stays for the second decision, and `failed`
    names it. Raises LockedError, OSError (a read-only folder, a full disk): then the files are as before.
    """
    began = perf_counter()
    paths = [settings.env_file, *([settings.env_target] if settings.env_target else [])]
    steps: list[str] = []

    def tell(what: str) -> None:
        steps.append(what)
        if on_step:
            on_step(what)

    say = on_progress or on_step
    with locked(settings.state, "apply", run=run, take_over=take_over):
        earlier = journals.load(settings.state)
        if earlier is not None and earlier.status == "applied":
            values = {**values, APPLIED: earlier.run}
            run = earlier.run
        text = render(values, header=_header(plan, run)).encode()
        same = earlier is not None and earlier.status == "applied" and all(_holds(path, text) for path in paths)
        journal = earlier if same else None
        if journal is None:
            if earlier is not None:
                journals.check_unedited(earlier)
            tell(words_to_note(files_written(settings)))
            journal = journals.begin(
                settings.state,
                run=run,
                folder=folder,
                mode=plan.mode.value,
                paths=paths,
                commit=commit,
                endpoints=endpoints,
                names=tuple(values),
                on_step=say,
            )
        for planned in plan.stand_ins:
            tell(words_to_start(planned))
        wanted = [service for service in settings.services if service.name in {s.service for s in plan.stand_ins}]
        stand_ins = await start(wanted) if wanted else ()
        failed = tuple(stand_in.service for stand_in in stand_ins if not stand_in.ready)
        if not same:
            started = tuple(stand_in.service for stand_in in stand_ins if stand_in.started_here)
            journal = journals.step(
                settings.state,
                journal,
                "stand-ins are up" if not failed else "a stand-in did not come up",
                on_step=say,
                stand_ins=tuple(dict.fromkeys((*journal.stand_ins, *started))),
            )
            if not failed:
                for path, name in zip(paths, files_written(settings), strict=True):
                    tell(words_to_write(len(values), name))
                    journal = journals.write(settings.state, journal, path, text, on_step=say)
                journal = journals.step(settings.state, journal, "applied", on_step=say, status="applied")
            elif not any(file.written for file in journal.files) and not journal.stand_ins:
                journals.close(settings.state)
    applied = AppliedHere(
        run=run,
        mode=plan.mode,
        applied_at=datetime.now(UTC),
        host=vantage().host,
        env_file=str(settings.env_file),
        stand_ins=stand_ins,
        changes=plan.changes,
        steps=tuple(steps),
        duration_s=perf_counter() - began,
        already=same,
        failed=failed,
    )
    if not failed:
        log_applied(applied)
    return applied


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

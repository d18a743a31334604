"""Undo what apply did: put the env file back and stop the stand-ins."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Json, TakeOver, Verbose
from resilience.cli.output import builtins_of, leave, log_to_stderr, print_json
from resilience.cli.runs import saying_what_is_due
from resilience.core.errors import ResilienceError, UsageError
from resilience.show import sticky

with on_demand():
    from resilience.core import redact, words
    from resilience.fallback import journal as journals, undo_settings
    from resilience.host import files
    from resilience.runs import runbook, stages
    from resilience.show import terminal

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from resilience.core.records import Restored
    from resilience.core.settings import Settings


app = verb()
ENDS_WITHIN_S = 5.0
"""How long is waited for kernels of a killed run, which look once a second whether it is still there."""


@app.command()
def restore(
    force: Annotated[
        bool, typer.Option("--force", help="Also where somebody edited the file; a copy of the edit is kept.")
    ] = False,
    keep_stand_ins: Annotated[bool, typer.Option("--keep-stand-ins", help="Leave the stand-ins running.")] = False,
    take_over: TakeOver = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Put the env file back to the byte and stop the stand-ins.

    \b
      resilience restore
      resilience restore --force               also where the file was edited
    """
    log_to_stderr(verbose)
    settings, unreadable = undo_settings.settings_for_restore(config, environment=environment)
    journals.load(settings.state)  # one that cannot be read is an error, unlike the record of its run
    run = _run_to_restore(settings)
    console = terminal.err if as_json else terminal.out

    async def go() -> Restored:
        if run is not None:
            return await run.restore(force=force, keep_stand_ins=keep_stand_ins, take_over=take_over)
        return await runbook.restore(settings, force=force, keep_stand_ins=keep_stand_ins, take_over=take_over)

    with saying_what_is_due(settings):
        restored = asyncio.run(go())
    files.sweep(within_s=ENDS_WITHIN_S)
    # What was applied may belong to another run than the newest.
    for folder in (run.folder if run is not None else None, _latest(settings)):
        if folder is not None:
            runbook.settle(folder, settings)
    sticky.end()
    terminal.show_restored(restored, console=console)
    _say_what_is_not_as_before(restored)
    if unreadable:
        why = redact.Redactor(settings.secrets).text(unreadable)
        sys.stderr.write(f"resilience: the configuration could not be read, and was not needed to restore: {why}\n")
    elif not restored.nothing_to_do:
        _say_how_staging_is(console, config, environment)
    if as_json:
        print_json({"schema": 1, **builtins_of(restored)})
    leave(0)


def _latest(settings: Settings) -> Path | None:
    try:
        return runbook.latest(settings)
    except (UsageError, OSError):
        return None


def _say_what_is_not_as_before(restored: Restored) -> None:
    for step in restored.steps:
        if step.startswith((journals.NOT_AS_BEFORE, stages.NOT_RECORDED)):
            sys.stderr.write(f"resilience: restored; {step}\n")


def _say_how_staging_is(console: Console, config: str, environment: str) -> None:
    """Look once after the undo. The exit code is about the undo, which is done, so that a failed look is only said."""
    try:
        # Read anew: what was applied decided about the settings until now.
        settings = settings_from(config, environment)
        terminal.headline(console, words.staging_line(asyncio.run(runbook.look(settings))))
    except (ResilienceError, OSError) as exc:
        sys.stderr.write(f"resilience: restored; staging was not looked at: {exc}\n")


def _run_to_restore(settings: Settings) -> runbook.Run | None:
    """Return the applied run; None where its record cannot be read, without which the files are put back all the same."""
    try:
        return runbook.applied_run(settings)
    except (ResilienceError, OSError) as exc:
        why = redact.Redactor(settings.secrets).text(str(exc))
        sys.stderr.write(f"resilience: the record of the applied run could not be read, and is not needed: {why}\n")
        return None

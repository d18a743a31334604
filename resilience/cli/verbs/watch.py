"""Watch staging, and tell only what changes."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import Annotated

import typer

from resilience.cli.arguments import check_seconds, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Verbose
from resilience.cli.output import log_to_stderr

with on_demand():
    from resilience.runs import watching
    from resilience.show import terminal

app = verb()


@app.command()
def watch(
    interval: Annotated[
        float | None,
        typer.Option("--interval", help="Seconds between looks; else [watch] interval_s (the guide: 300)."),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, help="Looks, and then end; else until Ctrl-C.")
    ] = None,
    critical: Annotated[bool, typer.Option("--critical", help="Only the critical services.")] = False,
    config: Config = "",
    environment: Environment = "",
    verbose: Verbose = False,
) -> None:
    """Look every 300 s, print and alert only what changes; a restart tells nothing twice."""
    log_to_stderr(verbose)
    check_seconds("--interval", interval)
    settings = settings_from(config, environment)
    if interval is not None:
        settings = replace(settings, watch=replace(settings.watch, interval_s=interval))
    watcher = watching.Watcher(settings, tell=_tell, alive=_alive, critical=critical)
    asyncio.run(watcher.run(rounds=rounds))


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[2K")
    terminal.out.print(line, markup=False, soft_wrap=True)


def _alive(line: str) -> None:
    """Show on a terminal that the watch lives; elsewhere nothing, as only changes are worth a line of a log."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2Klast look {line}"[:200])
        sys.stderr.flush()

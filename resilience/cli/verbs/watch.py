"""Watch staging, and tell only what changes."""

from __future__ import annotations

from typing import Annotated

import typer

from resilience.cli.arguments import check_seconds, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Verbose
from resilience.cli.output import log_to_stderr

with on_demand():
    from resilience.cli import following

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
    """Look every five minutes; print and alert only what changes.

    \b
      resilience watch                         every five minutes, until Ctrl-C
      resilience watch --interval 60 --critical
    """
    log_to_stderr(verbose)
    check_seconds("--interval", interval)
    following.follow(settings_from(config, environment), interval_s=interval, rounds=rounds, critical=critical)

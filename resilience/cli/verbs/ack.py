"""Take the outage that lasts, so that no escalation of it goes out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from resilience.cli.arguments import check_seconds, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment

with on_demand():
    from resilience.core import moments
    from resilience.runs import people
    from resilience.show import terminal

app = verb()


@app.command()
def ack(
    text: Annotated[str, typer.Argument(help="What you do about it.")] = "",
    minutes: Annotated[
        float | None,
        typer.Option("--for", help="Minutes for which it holds; else to the end of the outage. 0 takes it back."),
    ] = None,
    config: Config = "",
    environment: Environment = "",
) -> None:
    """Acknowledge the outage that lasts: its escalations stop.

    \b
      resilience ack "on it" --for 60
      resilience ack --for 0                   take it back
    """
    check_seconds("--for", minutes, zero=True)
    settings = settings_from(config, environment)
    done = people.acknowledge(settings, text, for_s=None if minutes is None else minutes * 60)
    if minutes == 0:
        terminal.out.print("Taken back: escalations go out again.", markup=False)
        return
    until = f"until {moments.clock(done.until, now=datetime.now(UTC))}" if done.until else "until it ends"
    terminal.out.print(f"Acknowledged by {done.by}: no escalation goes out {until}.", markup=False, soft_wrap=True)

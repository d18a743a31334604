"""Put a note on the timeline of the outage."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment

with on_demand():
    from resilience.core import moments, next_steps
    from resilience.runs import people
    from resilience.show import terminal

app = verb()


@app.command()
def note(
    text: Annotated[str, typer.Argument(help='What was done or seen, such as "restarted the connector".')],
    at: Annotated[str, typer.Option("--at", help="When, in UTC: 03:40, or 2026-11-22T03:40Z; else now.")] = "",
    config: Config = "",
    environment: Environment = "",
) -> None:
    """Put a note on the timeline of the incident.

    \b
      resilience note "restarted the connector" --at 03:40
      resilience note "lesson: the connector has no alert"
    """
    settings = settings_from(config, environment)
    moment = people.when(at, datetime.now(UTC))
    incident = people.note(settings, text, at=moment)
    where = f"the timeline of {incident}" if incident else "the timeline; no outage is known that lasts"
    terminal.say(f"{moments.clock(moment, now=datetime.now(UTC))}: noted on {where}.")
    terminal.show_steps([next_steps.Step("resilience report", "writes the report with it")])

"""Say an incident in words that can be passed on."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from resilience.cli.arguments import run_folder, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment
from resilience.core.errors import UsageError, did_you_mean

with on_demand():
    from resilience.core import redact, saying
    from resilience.runs import folder as folders, memory, recalling

if TYPE_CHECKING:
    from resilience.core.records import TimelineEvent

app = verb()


def _readers() -> list[str]:
    return [reader.value for reader in saying.Reader]


@app.command()
def say(
    folder: Annotated[str, typer.Argument(help="The run; else the newest.", metavar="[RUN]")] = "latest",
    reader: Annotated[str, typer.Option("--for", help="team, status-page or exec.", autocompletion=_readers)] = "team",
    hand_over: Annotated[bool, typer.Option("--hand-over", help="The note for the next on-call.")] = False,
    update_minutes: Annotated[
        float, typer.Option("--update-minutes", min=1, help="Minutes to the next update.")
    ] = 30.0,
    config: Config = "",
    environment: Environment = "",
) -> None:
    """The incident in three sentences; or as a note to hand over.

    \b
      resilience say
      resilience say --for status-page
      resilience say --hand-over
    """
    if reader not in set(saying.Reader):
        raise UsageError(f"--for {reader}: unknown.", hint=did_you_mean(reader, [one.value for one in saying.Reader]))
    settings = settings_from(config, environment)
    incident = folders.read_incident(run_folder(settings, folder))
    known = recalling.recalled_here(settings, incident)
    found: tuple[TimelineEvent, ...] = ()
    if known is not None:
        incident = replace(
            incident, outage_started_at=min(known.began_at, incident.outage_started_at or known.began_at)
        )
    kept = memory.history(settings) if memory.has_history(settings) else None
    if kept is not None:
        with kept:
            found = kept.noted(incident)
    now = datetime.now(UTC)
    again, cost, spent = (known.again, known.cost, known.spent) if known is not None else ("", "", "")
    if hand_over:
        text = saying.hand_over(incident, found, now=now, again=again, cost=cost)
    else:
        to = saying.Reader(reader)
        text = saying.say(incident, to, now=now, again=again, spent=spent, update_minutes=update_minutes) + "\n"
    sys.stdout.write(redact.Redactor.of(settings.secrets, settings.services).text(text))

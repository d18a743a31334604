"""Say an incident in words that can be passed on."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from resilience.cli.arguments import run_folder, settings_from
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment
from resilience.core.errors import UsageError, did_you_mean
from resilience.core.records import TimelineEvent
from resilience.core.redact import Redactor
from resilience.core.saying import Reader, hand_over as note_for_the_next, say as in_words
from resilience.runs import memory
from resilience.runs.escalating import so_far
from resilience.runs.folder import read_incident

app = verb()


@app.command()
def say(
    folder: Annotated[str, typer.Argument(help="The run; else the newest.", metavar="[RUN]")] = "latest",
    reader: Annotated[str, typer.Option("--for", help="team, status-page or exec.")] = Reader.TEAM.value,
    hand_over: Annotated[bool, typer.Option("--hand-over", help="The note for the next on-call.")] = False,
    update_minutes: Annotated[
        float, typer.Option("--update-minutes", min=1, help="Minutes to the next update.")
    ] = 30.0,
    config: Config = "",
    environment: Environment = "",
) -> None:
    """The incident in three sentences: --for team, status-page or exec; --hand-over for the next on-call."""
    if reader not in set(Reader):
        raise UsageError(f"--for {reader}: unknown.", hint=did_you_mean(reader, [one.value for one in Reader]))
    settings = settings_from(config, environment)
    incident = read_incident(run_folder(settings, folder))
    health, again = incident.latest or incident.health, ""
    found: tuple[TimelineEvent, ...] = ()
    if health is not None:
        known = so_far(settings, health, incident=incident)
        again = known.again
        incident = replace(incident, outage_started_at=known.down_since or incident.outage_started_at)
    kept = memory.history(settings) if memory.has_history(settings) else None
    if kept is not None:
        with kept:
            found = kept.noted(incident)
    now = datetime.now(UTC)
    text = (
        note_for_the_next(incident, found, now=now, again=again)
        if hand_over
        else in_words(incident, Reader(reader), now=now, again=again, update_minutes=update_minutes) + "\n"
    )
    sys.stdout.write(Redactor.of(settings.secrets, settings.services).text(text))

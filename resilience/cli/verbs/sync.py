"""Send what waits because another host did not answer: reports for a store, and what the shared history is to be told."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Json
from resilience.cli.output import builtins_of, leave, print_json
from resilience.core.errors import UsageError

with on_demand():
    from resilience.core import words
    from resilience.runs import forwarding, uploading

if TYPE_CHECKING:
    from resilience.runs.forwarding import Forwarded

app = verb()
_PATIENCE_S = 3600.0
"""Seconds that a person or a job waits who asked for nothing else."""


@app.command()
def sync(config: Config = "", environment: Environment = "", as_json: Json = False) -> None:
    """Send what waits for another host: reports, the shared history.

    \b
      resilience sync
      resilience sync --json
    """
    settings = settings_from(config, environment)
    if not settings.history.shared and not uploading.waiting(settings):
        raise UsageError(
            "nothing waits, and no history is shared.",
            hint="export RESILIENCE_HISTORY=postgresql://…, or resilience run --out s3://BUCKET/FOLDER",
        )
    sent = uploading.send(settings, patience_s=_PATIENCE_S)
    done = forwarding.forward(settings) if settings.history.shared else None
    if as_json:
        print_json(
            {
                "schema": 1,
                "uploads": [builtins_of(one) for one in sent],
                "history": None if done is None else builtins_of(done),
            }
        )
    else:
        said = (*uploading.lines(sent), *(() if done is None else (_said(done),)))
        sys.stdout.write("".join(f"{line}\n" for line in said))
    leave(30 if any(one.why for one in sent) or (done is not None and done.waiting) else 0)


def _said(done: Forwarded) -> str:
    taken = f"shared history: {words.plural(done.records, 'record')} sent, {words.plural(done.samples, 'sample')} new"
    return f"{taken}; {done.waiting} wait: {done.why}" if done.waiting else f"{taken}; nothing waits"

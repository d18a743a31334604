"""Send what waits because another host did not answer: what the shared history is to be told."""

from __future__ import annotations

import sys

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Json
from resilience.cli.output import builtins_of, leave, print_json
from resilience.core.errors import UsageError

with on_demand():
    from resilience.core import words
    from resilience.runs import forwarding

app = verb()


@app.command()
def sync(config: Config = "", environment: Environment = "", as_json: Json = False) -> None:
    """Send what waits for another host: reports, the shared history.

    \b
      resilience sync
      resilience sync --json
    """
    settings = settings_from(config, environment)
    if not settings.history.shared:
        raise UsageError("nothing is shared with other hosts.", hint="export RESILIENCE_HISTORY=postgresql://…")
    done = forwarding.forward(settings)
    if as_json:
        print_json({"schema": 1, "history": builtins_of(done)})
    else:
        sys.stdout.write(_said(done) + "\n")
    leave(30 if done.waiting else 0)


def _said(done: forwarding.Forwarded) -> str:
    taken = f"shared history: {words.plural(done.records, 'record')} sent, {words.plural(done.samples, 'sample')} new"
    return f"{taken}; {done.waiting} wait: {done.why}" if done.waiting else f"{taken}; nothing waits"

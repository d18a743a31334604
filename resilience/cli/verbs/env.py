"""Turn what is applied into lines that a shell evaluates, or takes back."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment
from resilience.core.errors import UsageError

with on_demand():
    from resilience.core import envtext
    from resilience.fallback import exported, journal
    from resilience.host import files


app = verb()


@app.command()
def env(
    unset: Annotated[bool, typer.Option("--unset", help="Take the variables back from this shell.")] = False,
    config: Config = "",
    environment: Environment = "",
) -> None:
    """What the child processes get, for shells: eval "$(resilience env)"."""
    settings = settings_from(config, environment)
    applied = journal.load(settings.state)
    if unset:
        sys.stdout.write(
            envtext.unset_lines(name for name in exported.exported_names(settings.state) if name in os.environ)
        )
        return
    if applied is None or applied.status != "applied":
        raise UsageError("no fallback is applied here, so there is nothing to export.", hint="resilience apply")
    values = files.read_env_file(settings.env_file)
    exported.note_exported(settings.state, values)
    own = [] if os.environ.get("RESILIENCE_APPLIED") else [n for n, v in values.items() if os.environ.get(n, v) != v]
    if own:
        sys.stderr.write(
            f"resilience env: this shell had values of its own for {', '.join(sorted(own))}; "
            "env --unset takes ours away but cannot give those back, a new shell has them\n"
        )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            encoding="utf-8", errors="strict"
        )  # values are bytes of a file, whatever the locale says
    sys.stdout.write(envtext.export_lines(values))

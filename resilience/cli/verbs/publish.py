"""Write a run onto its issue, or show the exact text of it."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from resilience.cli.arguments import run_folder, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Verbose
from resilience.cli.output import leave, log_to_stderr
from resilience.core.errors import RecordError
from resilience.show import sticky

with on_demand():
    from resilience.core import records
    from resilience.runs import runbook, telling
    from resilience.show import terminal

app = verb()


@app.command()
def publish(
    folder: Annotated[str, typer.Argument(help="The run; else the newest.", metavar="[RUN]")] = "latest",
    issue: Annotated[
        str, typer.Option("--issue", help="Its number; `new` finds or makes one. Else [runbook] issue.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the exact text to stdout, for `gh issue comment N --body-file -`.")
    ] = False,
    report_url: Annotated[str, typer.Option("--report-url", help="Where the full report is, to link it.")] = "",
    public: Annotated[
        bool, typer.Option("--public", help="Replace private addresses, host names, project ids and e-mail addresses.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="A check run as well; needs a GitHub App's token.")] = False,
    config: Config = "",
    environment: Environment = "",
    verbose: Verbose = False,
) -> None:
    """Write a run onto its issue: one comment, edited, and news.

    \b
      resilience publish --dry-run             the exact text
      resilience publish latest --issue 1278
    """
    log_to_stderr(verbose)
    settings = settings_from(config, environment)
    wanted = run_folder(settings, folder)
    url = telling.report_url(os.environ, report_url)
    if dry_run:
        sys.stdout.write(telling.compose(wanted, settings, url=url, public=public).body)
        return
    to = telling.target(settings, issue)
    with sticky.line(f"writing to {to.repository}"):
        outcome = asyncio.run(telling.publish(wanted, settings, to, url=url, public=public, check=check))
    with suppress(RecordError):
        telling.note_on(runbook.Run.open(wanted, settings), outcome)
    sticky.end()
    for line in telling.outcome_lines(outcome):
        terminal.out.print(line, markup=False, soft_wrap=True)
    leave(
        records.ExitCode.USAGE
        if outcome.refused
        else records.ExitCode.LOCKED
        if outcome.waits
        else records.ExitCode.PASSED
    )

"""Write the report of a run again, from its records."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from resilience.cli.arguments import run_folder, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.opening import open_report
from resilience.cli.options import Config, Environment, Open, Verbose
from resilience.cli.output import log_to_stderr
from resilience.show import sticky

with on_demand():
    from resilience.runs import runbook
    from resilience.show import terminal


app = verb()


@app.command()
def report(
    folder: Annotated[str, typer.Argument(help="The run; else the newest.")] = "latest",
    public: Annotated[
        bool, typer.Option("--public", help="Replace private addresses, host names, project ids and e-mail addresses.")
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf/--no-pdf", help="report.pdf as well, where a Chromium is there.")] = True,
    opens: Open = False,
    config: Config = "",
    environment: Environment = "",
    verbose: Verbose = False,
) -> None:
    """Write the report of a run again, from its records.

    \b
      resilience report --open                 the newest run, in the browser
      resilience report 2026-11-22/031407Z-run --public
    """
    log_to_stderr(verbose)
    settings = settings_from(config, environment)
    wanted = run_folder(settings, folder)
    with sticky.line("writing the report"):
        missing = runbook.render_again(wanted, settings, public=public)
        printed = asyncio.run(runbook.print_report(wanted)) if pdf else None
    sticky.end()
    for text in missing:
        terminal.err.print(f"Missing: {text}", markup=False)
    if printed is not None:
        sys.stdout.write(f"{printed}\n")
    terminal.show_report(wanted / "report.html", label="")
    open_report(wanted / "report.html", wanted=opens)

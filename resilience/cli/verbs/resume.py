"""Continue a run at the stage that failed."""

from __future__ import annotations

from typing import Annotated

import typer

from resilience.cli.arguments import pairs_from, run_folder, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.opening import open_report
from resilience.cli.options import Config, Environment, Open, Parameters, Verbose
from resilience.cli.output import leave, log_to_stderr

with on_demand():
    from resilience.notebook import headless


app = verb()


@app.command()
def resume(
    folder: Annotated[
        str, typer.Argument(help="The run, such as 2026-11-22/031407Z-incident; else the newest.")
    ] = "latest",
    parameter: Parameters = None,
    opens: Open = False,
    config: Config = "",
    environment: Environment = "",
    verbose: Verbose = False,
) -> None:
    """Continue a run at the stage that failed.

    \b
      resilience resume                        the newest run
      resilience resume 2026-11-22/031407Z-run
    """
    log_to_stderr(verbose)
    settings = settings_from(config, environment)
    parameters = pairs_from(parameter, settings)
    wanted = run_folder(settings, folder)
    code = headless.resume_run(wanted, parameters=parameters, ends_the_process=True)
    open_report(wanted / "report.html", wanted=opens)
    leave(code)

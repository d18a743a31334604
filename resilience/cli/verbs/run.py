"""Run all stages headless, and leave a report whatever failed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resilience.cli.actions import tell_actions
from resilience.cli.arguments import check_seconds, pairs_from, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.opening import open_report
from resilience.cli.options import Config, Environment, ExitZero, Open, Out, Parameters, TakeOver, Verbose
from resilience.cli.output import leave, log_to_stderr
from resilience.cli.runs import saying_what_is_due
from resilience.core.errors import UsageError

with on_demand():
    from resilience.notebook import headless
    from resilience.runs import telling, uploading


app = verb()


@app.command()
def run(
    apply: Annotated[
        bool, typer.Option("--apply/--no-apply", help="Start stand-ins, write the env file, run tests.")
    ] = False,
    parameter: Parameters = None,
    out: Out = "",
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="What makes the exit code not 0: failures, degraded or never.")
    ] = "",
    total_timeout: Annotated[float | None, typer.Option("--total-timeout", help="Seconds for all stages.")] = None,
    stage_timeout: Annotated[float | None, typer.Option("--stage-timeout", help="Seconds for each stage.")] = None,
    take_over: TakeOver = False,
    publish: Annotated[bool, typer.Option("--publish", help="Write the run onto its issue afterwards.")] = False,
    issue: Annotated[str, typer.Option("--issue", help="For --publish: its number; else [runbook] issue.")] = "",
    opens: Open = False,
    config: Config = "",
    environment: Environment = "",
    verbose: Verbose = False,
    exit_zero: ExitZero = False,
) -> None:
    """All stages without a person; always leaves a report.

    \b
      resilience run --no-apply                only looks
      resilience run --apply -p samples=3
      resilience run --apply --publish --issue 1278
    """
    log_to_stderr(verbose)
    for option, value in (("--total-timeout", total_timeout), ("--stage-timeout", stage_timeout)):
        check_seconds(option, value)
    if issue and not publish:
        raise UsageError("--issue is for --publish.", hint=f"--publish --issue {issue}")
    settings = settings_from(config, environment)
    if publish:
        telling.target(settings, issue)
    with saying_what_is_due(settings):
        code = headless.run_all(
            settings,
            apply=apply,
            parameters=pairs_from(parameter, settings),
            out=out,
            fail_on=fail_on,
            total_timeout_s=total_timeout,
            stage_timeout_s=stage_timeout,
            take_over=take_over,
            publish=issue if publish else None,
            ends_the_process=True,
        )
    outputs = Path(out).expanduser().resolve() if out and not uploading.is_store(out) else settings.outputs
    tell_actions((outputs / "latest").resolve())
    open_report((outputs / "latest").resolve() / "report.html", wanted=opens)
    leave(code, exit_zero)

"""Wait until staging stays healthy, then restore and prove it with the tests."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resilience.cli import stopping
from resilience.cli.arguments import check_seconds, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.opening import open_report
from resilience.cli.options import Config, Environment, Json, Open, TakeOver, Verbose
from resilience.cli.output import builtins_of, codes, leave, log_to_stderr, pass_through, print_json
from resilience.cli.runs import working_on
from resilience.show import sticky

with on_demand():
    from resilience.core import moments
    from resilience.host import signals
    from resilience.runs import runbook
    from resilience.show import terminal

if TYPE_CHECKING:
    from resilience.core.records import Incident, RecoveryCheck


app = verb()


@app.command()
def recover(
    wait: Annotated[
        float | None, typer.Option("--wait", help="Seconds to wait for staging, 12 hours else; 0 looks once.")
    ] = None,
    run_tests: Annotated[
        bool, typer.Option("--tests/--no-tests", help="Run the critical tests and the full suite afterwards.")
    ] = True,
    opens: Open = False,
    take_over: TakeOver = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Wait until staging stays well, restore, prove it by tests.

    \b
      resilience recover                       waits up to twelve hours
      resilience recover --wait 0 --no-tests   looks once, runs nothing
    """
    log_to_stderr(verbose)
    check_seconds("--wait", wait, zero=True)
    settings = settings_from(config, environment)
    console = terminal.err if as_json else terminal.out

    def tell(check: RecoveryCheck) -> None:
        want = settings.recovery.good
        state = f"{check.in_a_row} good in a row ({want} needed)" if check.good else f"not yet: {check.why}"
        terminal.say(f"{moments.clock(check.at, now=check.at, seconds=True)} {state}", console=console)
        if check.in_a_row >= want:
            sticky.say("staging is back: restoring, then the tests" if run_tests else "staging is back: restoring")

    with sticky.line("waiting until staging stays well") as line, working_on(settings, "recover") as run:
        code = asyncio.run(
            stopping.heeded(
                runbook.recover(
                    run,
                    wait_s=runbook.WATCH_S if wait is None else wait,
                    tests=run_tests,
                    on_check=tell,
                    take_over=take_over,
                    output=pass_through(sys.stderr) if as_json else None,
                ),
                line,
            )
        )
        signals.let_none_in()
        line.say("writing the report")
    sticky.end()
    if as_json:
        print_json(_document(run.incident))
    else:
        _show(run.incident)
        terminal.show_codes(run.incident)
        terminal.show_report(run.folder / "report.html")
    open_report(run.folder / "report.html", wanted=opens)
    leave(code)


def _document(incident: Incident) -> dict[str, Any]:
    return {
        "schema": 1,
        "run": incident.run,
        **codes(incident),
        "recovery": builtins_of(incident.recovery),
        "restored": builtins_of(incident.restored),
        "critical_tests": builtins_of(incident.critical_tests),
        "full_tests": builtins_of(incident.full_tests),
    }


def _show(incident: Incident) -> None:
    if incident.recovery is not None:
        terminal.show_recovery(incident.recovery)
    if incident.restored is not None:
        terminal.show_restored(incident.restored)
    for title, result in (("critical tests", incident.critical_tests), ("full suite", incident.full_tests)):
        if result is not None:
            terminal.out.print(f"[bold]{title}[/bold]")
            terminal.show_tests(result)

"""Run test commands in the mode that fits, and say what that proved."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resilience.cli import stopping
from resilience.cli.actions import tell_actions
from resilience.cli.arguments import check_seconds, mode_from, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.opening import open_report
from resilience.cli.options import Config, Environment, ExitZero, Force, Json, Open, TakeOver, Verbose
from resilience.cli.output import builtins_of, leave, log_to_stderr, pass_through, print_json
from resilience.cli.runs import refuse_where_locked, working_on
from resilience.core.errors import UsageError
from resilience.show import sticky

with on_demand():
    from resilience.cli import progress as progressing
    from resilience.host import signals
    from resilience.runs import ending
    from resilience.show import terminal
    from resilience.suite import expressions

if TYPE_CHECKING:
    from resilience.core.records import TestSuiteResult
    from resilience.runs.runbook import Run


app = verb()


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": False, "allow_interspersed_args": False}
)
def test(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            help="A command after --, run in this folder; else those configured for the mode, at the repository's root.",
            metavar="[-- COMMAND...]",
        ),
    ] = None,
    commands: Annotated[
        list[str] | None,
        typer.Option("--command", help="A command for the shell, run as after --. May be given again."),
    ] = None,
    force: Force = "",
    select: Annotated[str, typer.Option("--select", help="A marker expression instead of the mode's.")] = "",
    exit_code: Annotated[str, typer.Option("--exit-code", help="ours, or original: the command's own.")] = "ours",
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds for each command.")] = None,
    total_timeout: Annotated[float | None, typer.Option("--total-timeout", help="Seconds for all of them.")] = None,
    wait_for_services: Annotated[
        float | None,
        typer.Option(
            "--wait-for-services", help="Seconds to wait in all for lost services before tests are run again."
        ),
    ] = None,
    progress: Annotated[
        bool, typer.Option("--progress", help="One line that counts, instead of the tests' own output (kept in logs/).")
    ] = False,
    opens: Open = False,
    teach: Annotated[
        bool, typer.Option("--teach", help="Record what staging says to tests that pass, for its stand-ins.")
    ] = False,
    take_over: TakeOver = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
    exit_zero: ExitZero = False,
) -> None:
    """Run test commands in the mode that fits; say what they proved.

    \b
      resilience test                          what the mode is configured for
      resilience test -- pytest tests/unit -v
      resilience test --progress -- pytest tests
      resilience test --exit-code original -- npm test
    """
    log_to_stderr(verbose)
    if exit_code not in ("ours", "original"):
        raise UsageError(f"--exit-code {exit_code}: ours or original was expected.", hint="--exit-code original")
    for option, value in (("--timeout", timeout), ("--total-timeout", total_timeout)):
        check_seconds(option, value)
    check_seconds("--wait-for-services", wait_for_services, zero=True)
    forced, settings = mode_from(force), settings_from(config, environment)
    refuse_where_locked(settings, "test", take_over)
    if select:
        expressions.check(select)
    if command and Path(command[0]).exists() and shutil.which(command[0]) is None:
        raise UsageError(f"{command[0]} is no command.", hint=f"resilience test -- pytest {shlex.join(command)}")
    given = [
        *(commands or ()),
        *([command[0] if len(command) == 1 else shlex.join(command)] if command else ()),
    ] or None

    async def go(run: Run) -> TestSuiteResult | None:
        """Look, choose the mode and run; None where tests are blocked, unless a mode or a command was asked for."""
        with sticky.line("looking at staging"):
            await run.assess()
        decision = run.choose_mode(forced, asked_by="--force")
        if not run.applied_now:
            decision = run.without_stand_ins()
        if not as_json:
            terminal.headline(terminal.out, *run.headline())
        if decision.blocked and not force and given is None:
            run.block_tests()
            return None
        if given and (said := run.narrowed(select)):
            sys.stderr.write(f"{said}\n")
        progresses = progressing.Progresses(line, settings.state / "pace.json", Path.cwd())
        result = await run.run_tests(
            given,
            select=select,
            timeout_s=timeout,
            total_timeout_s=total_timeout,
            wait_for_services_s=wait_for_services,
            exit_code=exit_code,
            output=_nowhere if progress else pass_through(sys.stderr) if as_json else None,
            folder=Path.cwd(),
            on_progress=progresses,
            take_over=take_over,
            teach=teach,
            say=_say,
        )
        progresses.finish()
        return result

    with sticky.line("test: starting") as line, working_on(settings, "test") as run:
        before = run.incident.tests
        try:
            result = asyncio.run(stopping.heeded(go(run), line))
        except KeyboardInterrupt:
            line.say("stopping, writing the report")
            partial = run.record_interruption(signals.exit_code(), before=before)
            if as_json:
                print_json(builtins_of(partial))
            raise
        signals.let_none_in()
        said = result or run.blocked_result()
        line.say("writing the report")
        if as_json:
            # Before the report, which may take long on a slow disk.
            print_json({**builtins_of(said), "run": run.incident.run})
        page = ending.leave_report(run, verdict=said.verdict, exit_code=said.exit_code)
    sticky.end()
    tell_actions(run.folder)
    if not as_json:
        if result is not None:
            terminal.show_tests(result)
        terminal.show_notices(run.incident.notices)
        if result is not None and page:
            terminal.show_report(page)
    open_report(run.folder / "report.html", wanted=opens)
    leave(said.exit_code, exit_zero)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _nowhere(data: bytes) -> None:
    """Let the tests' own output go to the log only."""

"""Start stand-ins and write the env file, so that both can be undone."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from resilience.cli import stopping
from resilience.cli.arguments import mode_from, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Force, Fresh, Json, TakeOver, Verbose
from resilience.cli.output import builtins_of, codes, leave, log_to_stderr, print_json
from resilience.cli.runs import refuse_where_locked, working_on
from resilience.show import sticky

with on_demand():
    from resilience.core import next_steps, plan as planning, records
    from resilience.host import signals
    from resilience.show import terminal

if TYPE_CHECKING:
    from resilience.core.records import Applied, Incident
    from resilience.runs.runbook import Run


app = verb()


@app.command()
def apply(
    force: Force = "",
    fresh: Fresh = False,
    take_over: TakeOver = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Start stand-ins, write the env file; undone to the byte later.

    \b
      resilience apply
      resilience apply --fresh                 stand-ins with empty data
      eval "$(resilience env)"                 what is applied, for this shell
    """
    log_to_stderr(verbose)
    forced, settings = mode_from(force), settings_from(config, environment)
    refuse_where_locked(settings, "apply", take_over)
    tell = terminal.err if as_json else terminal.out

    async def go(run: Run) -> Applied | None:
        """Look, plan and apply; None where tests are blocked or staging can be used as it is."""
        with sticky.line("looking at staging"):
            await run.assess()
        decision = run.choose_mode(forced, asked_by="--force", extend=True)
        run.make_plan()
        if decision.blocked or not planning.changes_anything(decision):
            return None
        numbers = itertools.count(1)
        return await run.apply(
            on_step=lambda what: terminal.say(f"  {next(numbers)}. {what}", console=tell),
            on_progress=lambda what: terminal.say(f"     · {what}", console=tell),
            fresh=fresh,
            take_over=take_over,
        )

    with sticky.line("applying a fallback") as line, working_on(settings, "apply", applies=True) as run:
        applied = asyncio.run(stopping.heeded(go(run), line))
        blocked = run.incident.decision is not None and run.incident.decision.blocked
        undone = blocked or (applied is not None and applied.failed)
        code = records.ExitCode.BLOCKED if undone else records.ExitCode.PASSED
        signals.let_none_in()
        run.finish(command=records.CommandEnd(verb="apply", exit_code=code))
    sticky.end()
    if as_json:
        print_json({"schema": 1, "run": run.incident.run, **codes(run.incident), "applied": builtins_of(applied)})
    else:
        terminal.headline(terminal.out, *run.headline())
        _show(applied, run.incident)
        terminal.show_codes(run.incident)
    leave(code)


def _show(applied: Applied | None, incident: Incident) -> None:
    """Show what was done, and what to type next; where nothing was, why not."""
    if applied is not None:
        terminal.show_applied(applied)
        shell = next_steps.Step('eval "$(resilience env)"', "gives this shell what is applied")
        terminal.show_steps([*next_steps.next_steps(next_steps.Situation(fallback="applied")), shell])
        return
    blocked = incident.decision is not None and incident.decision.blocked
    why = "tests are blocked." if blocked else "staging can be used as it is."
    terminal.out.print(f"Nothing was changed: {why}")
    staging = incident.latest.overall_status if incident.latest is not None else None
    terminal.show_steps(next_steps.next_steps(next_steps.Situation(staging=staging, blocked=blocked, changes=False)))

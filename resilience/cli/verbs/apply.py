"""Start stand-ins and write the env file, so that both can be undone."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from resilience.cli.arguments import mode_from, settings_from
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Force, Fresh, Json, TakeOver, Verbose
from resilience.cli.output import builtins_of, leave, log_to_stderr, print_json
from resilience.cli.runs import applied_or_new_run, recording_the_end, refuse_where_locked
from resilience.core.plan import changes_anything
from resilience.show import terminal

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
    """Start stand-ins and write the env file, so that it can be undone to the byte."""
    log_to_stderr(verbose)
    forced, settings = mode_from(force), settings_from(config, environment)
    refuse_where_locked(settings, "apply", take_over)
    run = applied_or_new_run(settings, "apply", applies=True)

    async def go() -> Any:
        with terminal.working("looking at staging", quiet=as_json):
            await run.assess()
        decision = run.choose_mode(forced, asked_by="--force", extend=True)
        run.make_plan()
        if decision.blocked or not changes_anything(decision):
            return None
        tell = terminal.err if as_json else terminal.out
        numbers = itertools.count(1)
        return await run.apply(
            on_step=lambda what: tell.print(f"  {next(numbers)}. {what}", markup=False, soft_wrap=True),
            on_progress=lambda what: tell.print(f"     · {what}", markup=False, soft_wrap=True),
            fresh=fresh,
            take_over=take_over,
        )

    with recording_the_end(run):
        applied = asyncio.run(go())
    failed = applied is not None and bool(applied.failed)
    run.finish()
    if as_json:
        print_json({"schema": 1, "run": run.incident.run, "applied": builtins_of(applied) if applied else None})
    else:
        terminal.headline(terminal.out, *run.headline())
        if applied is None:
            decision = run.incident.decision
            blocked = decision is not None and decision.blocked
            terminal.out.print(
                "Nothing was changed: " + ("tests are blocked." if blocked else "staging can be used as it is.")
            )
        else:
            terminal.show_applied(applied)
            terminal.out.print('[bold]Next:[/bold] resilience test   (shells: eval "$(resilience env)")')
    blocked = run.incident.decision is not None and run.incident.decision.blocked
    leave(20 if failed or blocked else 0)

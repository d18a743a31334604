"""Say what apply would do, in the words it will use."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from resilience.cli.arguments import mode_from, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Force, Json, Verbose
from resilience.cli.output import builtins_of, leave, log_to_stderr, print_json
from resilience.cli.runs import decide_here
from resilience.show import sticky

with on_demand():
    from resilience.core import words
    from resilience.runs import runbook
    from resilience.show import terminal
    from resilience.teach import store


app = verb()


@app.command()
def plan(
    force: Force = "",
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """What apply would do, in the words it will use. Changes nothing.

    \b
      resilience plan
      resilience plan --force offline --json
    """
    log_to_stderr(verbose)
    forced, settings = mode_from(force), settings_from(config, environment)
    health = asyncio.run(runbook.look(settings))
    decision = decide_here(health, settings, forced)
    made = runbook.plan_here(decision, health, settings)
    sticky.end()
    if as_json:
        print_json({"schema": 1, "overall_status": health.overall_status.value, **builtins_of(made)})
    else:
        terminal.headline(terminal.out, words.staging_line(health), words.tests_line(decision))
        terminal.show_plan(made)
        for line in store.standing(settings, datetime.now(UTC)):
            terminal.out.print(line, markup=False, soft_wrap=True)
    leave(runbook.exit_code_of(health.overall_status))

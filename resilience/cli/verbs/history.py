"""Print what the history says over a period."""

from __future__ import annotations

from typing import Annotated

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Json, Verbose
from resilience.cli.output import builtins_of, log_to_stderr, print_json
from resilience.core.errors import ResilienceError

with on_demand():
    import sqlite3

    from resilience.runs import trends
    from resilience.show import terminal


app = verb()


@app.command()
def history(
    since: Annotated[
        str, typer.Option("--since", help="A date, a length such as 30 days or 6 weeks, or all.")
    ] = "30 days",
    until: Annotated[str, typer.Option("--until", help="The last day, in UTC; else today.")] = "",
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Availability, outages and flaky tests over a period.

    \b
      resilience history
      resilience history --since "6 weeks"
      resilience history --since 2026-10-01 --until 2026-10-31 --json
    """
    log_to_stderr(verbose)
    settings = settings_from(config, environment)
    try:
        found = trends.trends_of(settings, since, until)
    except sqlite3.Error as exc:
        raise ResilienceError(f"the history cannot be read: {exc}.", hint="resilience doctor") from exc
    if not as_json:
        terminal.show_trends(found.lines, found.services(), found.incidents, found.tests)
        return
    print_json(
        {
            "schema": 1,
            "environment": found.environment,
            "since": found.period.first.isoformat(),
            "until": found.period.last.isoformat(),
            "services": [builtins_of(one) for one in found.services()],
            "days": [builtins_of(day) for day in found.chart_days()],
            "incidents": [builtins_of(one) for one in found.incidents],
            "test_runs": found.runs,
            "tests": [builtins_of(test) for test in found.tests],
        }
    )

"""Print what the history says over a period; import, export and prune it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Json, Verbose
from resilience.cli.output import builtins_of, log_to_stderr, print_json
from resilience.core.errors import ResilienceError

with on_demand():
    import sqlite3

    from resilience.core import words
    from resilience.runs import histories, trends
    from resilience.show import terminal

if TYPE_CHECKING:
    from resilience.runs.merging import Merged

app = verb()


@app.callback(invoke_without_command=True)
def history(
    ctx: typer.Context,
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
      resilience history import ../other/outputs/history.sqlite
      resilience history export copy.sqlite
    """
    if ctx.invoked_subcommand is not None:
        return
    log_to_stderr(verbose)
    settings = settings_from(config, environment)
    with _readable():
        found = trends.trends_of(settings, since, until)
    if not as_json:
        if found.why:
            terminal.err.print(f"Of this checkout alone: {found.why}")
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


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise ResilienceError(f"the history cannot be read: {exc}.", hint="resilience doctor") from exc


@app.command("import")
def take(
    sources: Annotated[list[Path], typer.Argument(help="A history's file, or another host's outputs folder.")],
    config: Config = "",
    environment: Environment = "",
) -> None:
    """Add another host\'s history to this one, or to the shared one where hosts share it; twice adds nothing."""
    settings = settings_from(config, environment)
    for source in sources:
        with _readable():
            new, name = histories.take(settings, source)
        sys.stdout.write(f"{source}: {_said(new)} new in {name}\n")


@app.command()
def export(
    target: Annotated[Path, typer.Argument(help="The new file.", metavar="FILE")],
    config: Config = "",
    environment: Environment = "",
) -> None:
    """Write the history into a new file, which import takes anywhere."""
    with _readable():
        new, name = histories.export(settings_from(config, environment), target)
    sys.stdout.write(f"{target}: {_said(new)} of {name}\n")


@app.command()
def prune(
    keep_days: Annotated[
        float | None, typer.Option("--keep-days", min=0, help="Days of samples that stay; else [history] keep_days.")
    ] = None,
    config: Config = "",
    environment: Environment = "",
) -> None:
    """Forget old samples; figures by day, runs and outages stay."""
    settings = settings_from(config, environment)
    with _readable():
        gone, name = histories.prune(settings, settings.history.keep_days if keep_days is None else keep_days)
    sys.stdout.write(f"{words.plural(gone, 'sample')} forgotten in {name}\n")


def _said(new: Merged) -> str:
    return f"{words.plural(new.runs, 'run')}, {words.plural(new.samples, 'sample')}, {words.plural(new.incidents, 'outage')}"

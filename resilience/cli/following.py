"""Run a watch in front of a person: changes as lines, and on a terminal all services below them as they are now."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from resilience.cli.demand import on_demand

with on_demand():
    from rich import live as rich_live, table as rich_table

    from resilience.runs import watching
    from resilience.show import terminal

if TYPE_CHECKING:
    from datetime import datetime

    from resilience.core.records import InfrastructureHealth
    from resilience.core.settings import Settings


def follow(
    settings: Settings,
    *,
    interval_s: float | None = None,
    rounds: int | None = None,
    critical: bool = False,
    keeps: bool = True,
) -> None:
    """Watch until interrupted, for so many rounds, or until nobody reads any more. Raises LockedError.

    The services stand below the lines on a terminal only, as elsewhere only changes are worth a line of a log.
    `interval_s` overrules the configuration; `keeps` is as `Watcher` has it.
    """
    if interval_s is not None:
        settings = replace(settings, watch=replace(settings.watch, interval_s=interval_s))
    out = terminal.out
    with rich_live.Live(console=out, transient=True, auto_refresh=False) if out.is_terminal else nullcontext() as live:

        def alive(health: InfrastructureHealth, at: datetime) -> None:
            if live is not None:
                live.update(_alive(health, at), refresh=True)

        watcher = watching.Watcher(
            settings,
            tell=lambda line: out.print(line, markup=False, soft_wrap=True),
            alive=alive,
            critical=critical,
            keeps=keeps,
        )
        asyncio.run(watcher.run(rounds=rounds, enough=lambda: out.quiet))


def _alive(health: InfrastructureHealth, at: datetime) -> rich_table.Table:
    """Return the sign of life: how each service is, and when that was seen."""
    grid = rich_table.Table.grid()
    grid.add_row(terminal.services_table(health.services))
    grid.add_row(f"last look {at:%H:%M:%S} UTC")
    return grid

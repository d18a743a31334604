"""Print what the history says over a period: the sentences, then services, outages and tests as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from resilience.core.words import brief, seconds
from resilience.host.demand import on_demand
from resilience.show.terminal.console import headline, out

with on_demand():
    # The room's door loads this file for a look as well, which has no period to tell of.
    from resilience.core import trends

if TYPE_CHECKING:
    from resilience.core.trends import IncidentTimes, ServiceFigures, TestCounts

MOST = 10
"""Rows of a table; how many more there are is said."""


def show_trends(
    lines: Iterable[str],
    services: Sequence[ServiceFigures],
    incidents: Sequence[IncidentTimes],
    tests: Sequence[TestCounts],
    *,
    console: Console = out,
) -> None:
    """Print the sentences, and a table of each thing of which there is any: the worst services, the latest outages."""
    headline(console, *lines)
    _table(
        console,
        ("service", "probes", "no answer", "p50", "p95"),
        [
            (one.service, f"{one.samples:,}", f"{one.lost:,}", seconds(one.p50_s), seconds(one.p95_s))
            for one in services
        ],
    )
    _table(
        console,
        ("outage", *(verb for verb, _ in trends.TIMES), "services"),
        [
            (
                f"{one.opened_at:%Y-%m-%d %H:%M}",
                *("–" if (value := getattr(one, name)) is None else brief(value) for _, name in trends.TIMES),
                ", ".join(one.services),
            )
            for one in reversed(incidents)
        ],
        last_is_text=True,
    )
    _table(
        console,
        ("test", "flaky", "failed", "held back"),
        [(one.test, f"{one.flaky:,}", f"{one.failed:,}", f"{one.held_back:,}") for one in tests],
    )


def _table(
    console: Console, names: Sequence[str], rows: Sequence[Sequence[str]], *, last_is_text: bool = False
) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for place, name in enumerate(names):
        if place == 0 or (last_is_text and place == len(names) - 1):
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for row in rows[:MOST]:
        table.add_row(*map(escape, row))
    console.print()
    console.print(table)
    if len(rows) > MOST:
        console.print(f"… and {len(rows) - MOST:,} more: resilience history --json", markup=False)

"""Print how staging is: two headlines, a table of services, the cause with its evidence, and what to type next."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from resilience.core.marks import STATUSES
from resilience.core.records import ConnectivityResult, ConnectivityStatus, Decision, InfrastructureHealth
from resilience.core.words import also_possible, cause_title, fault_phrase, seconds, staging_line, tests_line
from resilience.show.terminal.console import headline, out


def show_health(health: InfrastructureHealth, decision: Decision | None, *, console: Console = out) -> None:
    """Print the two headlines, a table of services, the cause with its evidence, and what to type next."""
    headline(console, staging_line(health), *([tests_line(decision)] if decision else []))
    console.print()
    console.print(services_table(health.services))
    _unwell(health.services, console)
    for cause in health.causes[:1]:
        issue = f" (as in {cause.issue})" if cause.issue else ""
        console.print(
            f"[bold]Cause:[/bold] {escape(cause_title(cause.cause))}{issue}: {escape(', '.join(cause.services))}"
        )
        for evidence in cause.evidence:
            console.print(f"  · {escape(evidence)}")
        for evidence in cause.against:
            console.print(f"  · against it: {escape(evidence)}")
        console.print(f"  → {escape(cause.next)}", soft_wrap=True)
    if others := also_possible(health.causes):
        console.print(f"[bold]Also possible:[/bold] {escape(others)}")
    if decision is not None:
        console.print(f"[bold]Why mode {decision.mode.value}:[/bold] {escape('; '.join(decision.reasons))}")


def services_table(results: Iterable[ConnectivityResult]) -> Table:
    """Return the table of services: status, time, endpoint and what was found."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("service", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("endpoint", overflow="fold")
    table.add_column("found", overflow="fold")
    for result in results:
        mark = STATUSES[result.status]
        word = mark.signed + (" (flapping)" if result.flapping else "")
        table.add_row(
            escape(result.name) + ("*" if result.critical else ""),
            f"[{mark.look.terminal}]{word}[/{mark.look.terminal}]",
            seconds(result.response_time_s),
            escape(result.endpoint) or "–",
            escape(_found(result)) or "–",
        )
    table.caption = "* critical"
    table.caption_justify = "left"
    return table


def _found(result: ConnectivityResult) -> str:
    if result.status is ConnectivityStatus.NOT_CONFIGURED:
        return result.detail
    if result.fault is None and result.status is ConnectivityStatus.AVAILABLE:
        return ""
    phase = f" (phase {result.phase.value.replace('_', ' ')})" if result.phase else ""
    never = ", never yet reached from this host and network (VPN? tunnel?)" if result.never_reached else ""
    return f"{fault_phrase(result)}{phase}{never}"


def _unwell(results: Iterable[ConnectivityResult], console: Console) -> None:
    """Print, for each service that is not well, what it said and what to type."""
    for result in results:
        well = (ConnectivityStatus.AVAILABLE, ConnectivityStatus.NOT_CONFIGURED)
        if (result.status in well and result.fault is None) or not (result.detail or result.hint):
            continue
        console.print(f"[bold]{escape(result.name)}:[/bold] {escape(result.detail or fault_phrase(result))}")
        links = [
            text
            for text in (result.runbook_url, result.dashboard_url, result.owner and f"owner {result.owner}")
            if text
        ]
        for line in (result.hint, *links):
            if line:
                console.print(f"  → {escape(line)}", soft_wrap=True)

"""Turn records into what a person reads in a terminal."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from resilience.core.groups import TestGroup, groups
from resilience.core.marks import LOOKS, OUTCOMES, STATUSES, Tone
from resilience.core.records import (
    Applied,
    ConnectivityResult,
    ConnectivityStatus,
    Decision,
    InfrastructureHealth,
    Outcome,
    Plan,
    Restored,
    StandIn,
    TestSuiteResult,
)
from resilience.core.words import (
    cause_title,
    fault_phrase,
    recovery_line,
    result_lines,
    seconds,
    staging_line,
    tests_line,
)

if TYPE_CHECKING:
    from rich.status import Status

    from resilience.core.records import Recovery


class _Console(Console):
    """Rich's, but a reader that leaves early (`| head`) takes neither the work nor its exit code with it."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        let_go(self.file)


def let_go(stream: IO[str]) -> None:
    """Turn a stream that nobody reads any more to nowhere, also for what is flushed when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


out = _Console(highlight=False, soft_wrap=False)
err = _Console(stderr=True, highlight=False, soft_wrap=False)


def headline(console: Console, *lines: str) -> None:
    """Print the lines that must be read first; they wrap at words and are never cut."""
    for line in lines:
        head, colon, rest = line.partition(":")
        console.print(f"[bold]{escape(head)}{colon}[/bold]{escape(rest)}", soft_wrap=not console.is_terminal)


def show_health(health: InfrastructureHealth, decision: Decision | None, *, console: Console = out) -> None:
    """Print the two headlines, a table of services, the causes with evidence, and what to type next."""
    headline(console, staging_line(health), *([tests_line(decision)] if decision else []))
    console.print()
    console.print(services_table(health.services))
    _unwell(health.services, console)
    for cause in health.causes:
        issue = f" (as in {cause.issue})" if cause.issue else ""
        console.print(
            f"[bold]Cause:[/bold] {escape(cause_title(cause.cause))}{issue}: {escape(', '.join(cause.services))}"
        )
        for evidence in cause.evidence:
            console.print(f"  · {escape(evidence)}")
        console.print(f"  → {escape(cause.next)}", soft_wrap=True)
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


def show_decision(decision: Decision, *, console: Console = out) -> None:
    headline(console, tests_line(decision))
    for reason in decision.reasons:
        console.print(f"  · {escape(reason)}")
    for service, reason in decision.held.items():
        console.print(f"  · held back, need {escape(service)}: {escape(reason)}")


def show_plan(plan: Plan, *, console: Console = out) -> None:
    """Print what apply would do, in the words it uses while doing it."""
    console.print(f"[bold]PLAN[/bold] (mode {plan.mode.value}; nothing has been changed)")
    for number, step in enumerate(plan.steps, 1):
        console.print(f"  {number}. {escape(step)}", soft_wrap=True)
    if plan.changes:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for name in ("variable", "now", "after"):
            table.add_column(name, overflow="fold")
        for change in plan.changes:
            if change.before != change.after:
                now = "[dim](unset)[/dim]" if change.before is None else escape(change.before)
                table.add_row(change.name, now, escape(change.after or ""))
        if table.row_count:
            console.print(f"[bold]Variables[/bold] in {escape(plan.env_file)} (profile {plan.profile})")
            console.print(table)
    if plan.commands:
        console.print("[bold]Tests that will run[/bold]")
        for command in plan.commands:
            select = f"   (only: {escape(command.select)})" if command.select else ""
            console.print(f"  $ {escape(command.command)}{select}")
    for marker, reason in plan.held_markers.items():
        console.print(f"  held back, marked [bold]{escape(marker)}[/bold]: {escape(reason)}")
    _list(console, "Undo", plan.undo)
    _list(console, "By hand, without this tool", plan.by_hand, sign="$")
    _list(console, "Note", plan.notes)


def _list(console: Console, title: str, lines: Sequence[str], *, sign: str = "·") -> None:
    if lines:
        console.print(f"[bold]{title}[/bold]")
        for line in lines:
            console.print(f"  {sign} {escape(line)}", soft_wrap=True)


def show_applied(applied: Applied, *, console: Console = out) -> None:
    if applied.already:
        console.print("Already applied; nothing was changed.")
    for stand_in in applied.stand_ins:
        console.print(stand_in_line(stand_in))
    if applied.env_file:
        console.print(f"Wrote {escape(applied.env_file)} in {seconds(applied.duration_s)}. Undo: resilience restore")
    if applied.redecided:
        console.print(f"A stand-in did not come up; the mode was chosen again: {applied.mode.value}.")


def stand_in_line(stand_in: StandIn) -> str:
    """Return one line on a stand-in: where, what it is, how long it took, and what it lacks beside staging."""
    if not stand_in.ready:
        return (
            f"[red]{LOOKS[Tone.BAD].sign} {escape(stand_in.service)}: did not come up: {escape(stand_in.error)}[/red]"
        )
    version = f" {escape(stand_in.version)}" if stand_in.version else ""
    gaps = f" [yellow]gap: {escape('; '.join(stand_in.gaps))}[/yellow]" if stand_in.gaps else ""
    took = seconds(stand_in.start_s + stand_in.prepare_s)
    what = f"{escape(stand_in.service)}: {stand_in.provider}{version}"
    return f"[green]{LOOKS[Tone.GOOD].sign}[/green] {what} at {escape(stand_in.endpoint)} ({took}){gaps}"


def show_restored(restored: Restored, *, console: Console = out) -> None:
    if restored.nothing_to_do:
        console.print("Nothing is applied here; nothing was changed.")
        return
    for file in restored.files:
        console.print(f"Restored to the byte: {escape(file)}", soft_wrap=True)
    for copy in restored.kept_copies:
        console.print(f"Your edit was kept: {escape(copy)}", soft_wrap=True)
    if restored.stopped:
        console.print(f"Stopped: {', '.join(restored.stopped)}. No database was touched.")
    if restored.shell_variables:
        console.print(
            'A shell took over these variables; undo them there: [bold]eval "$(resilience env --unset)"[/bold]'
        )


def show_tests(result: TestSuiteResult, *, console: Console = out) -> None:
    """Print the verdict, the product's failures first, then what infrastructure took, by reason."""
    headline(console, *result_lines(result))
    found = groups(result)
    for group in found:
        if group.messages:
            _show_messages(group, console)
    reasons: Counter[str] = Counter()
    for group in found:
        for test in group.tests:
            if not group.messages and test.outcome is not Outcome.PASSED:
                reasons[f"{OUTCOMES[test.outcome].word}: {test.reason or test.message or 'no reason known'}"] += 1
    for reason, count in reasons.most_common(12):
        console.print(f"  [yellow]{count:>5,}[/yellow] {escape(reason)}")
    for note in result.notes:
        console.print(f"  note: {escape(note)}")


def _show_messages(group: TestGroup, console: Console, *, most: int = 20) -> None:
    """Print the tests of one group with the first line of what they said; the product's need no heading of their own."""
    if group.key != "product":
        console.print(f"  [bold]{group.title}:[/bold] {group.meaning}")
    for test in group.tests[:most]:
        style = OUTCOMES[test.outcome].look.terminal
        first = (test.message or "").partition("\n")[0]
        console.print(f"  [{style}]{OUTCOMES[test.outcome].word}[/{style}] {escape(test.id)}: {escape(first)}")
    if len(group.tests) > most:
        console.print(f"  … and {len(group.tests) - most:,} more in the report")


def show_recovery(recovery: Recovery, *, console: Console = out) -> None:
    headline(console, recovery_line(recovery))


@contextmanager
def working(text: str, *, quiet: bool = False) -> Iterator[Status | None]:
    """Show a progress line on a terminal while something takes longer than a glance; nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with err.status(text) as status:
        yield status

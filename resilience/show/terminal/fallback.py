"""Print how the tests can be run, what a fallback would change, what it changed, and what was put back."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from resilience.core.marks import LOOKS, Tone
from resilience.core.records import Applied, Decision, Plan, Restored, StandIn
from resilience.core.words import seconds, tests_line
from resilience.show.terminal.console import headline, out


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
        console.print(f"A stand-in did not come up: its tests are held back, the mode stays {applied.mode.value}.")


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

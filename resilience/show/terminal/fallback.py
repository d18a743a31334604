"""Print how the tests can be run, what a fallback would change, what it changed, and what was put back."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from resilience.core.marks import LOOKS, Tone
from resilience.core.records import Applied, Decision, EnvChange, Plan, Restored, StandIn
from resilience.core.words import seconds, tests_line
from resilience.show.terminal.console import headline, out, say
from resilience.show.terminal.wrapping import command_lines, width_of


def show_decision(decision: Decision, *, console: Console = out) -> None:
    headline(console, tests_line(decision))
    for reason in decision.reasons:
        say(Text(f"  · {reason}"), console=console)
    for service, reason in decision.held.items():
        say(Text(f"  · held back, need {service}: {reason}"), console=console)


def show_plan(plan: Plan, *, console: Console = out) -> None:
    """Print what apply would do, in the words it uses while doing it."""
    say(Text.assemble(("PLAN", "bold"), f" (mode {plan.mode.value}; nothing has been changed)"), console=console)
    for number, step in enumerate(plan.steps, 1):
        say(f"  {number}. {step}", console=console)
    changes = [change for change in plan.changes if change.before != change.after]
    if changes:
        say(Text.assemble(("Variables", "bold"), f" in {plan.env_file} (profile {plan.profile})"), console=console)
    for change in changes:
        _show_change(change, console)
    if plan.commands:
        say(Text("Tests that will run", style="bold"), console=console)
        for command in plan.commands:
            _commands(console, command.command)
            if command.select:
                say(Text(f"    only: {command.select}"), console=console)
    for marker, reason in plan.held_markers.items():
        say(Text.assemble("  held back, marked ", (marker, "bold"), f": {reason}"), console=console)
    _list(console, "Undo", plan.undo)
    if plan.by_hand:
        say(Text("By hand, without this tool", style="bold"), console=console)
        _commands(console, *plan.by_hand)
    _list(console, "Note", plan.notes)


def _show_change(change: EnvChange, console: Console) -> None:
    """Print what a variable is set to, and what it is now, below it where one line does not hold both."""
    after = f"{change.name}={change.after}" if change.after is not None else f"{change.name} is taken away"
    now = "(unset now)" if change.before is None else f"(now {change.before})"
    line = Text.assemble("  ", after, "  ", (now, "dim"))
    if line.cell_len <= width_of(console):
        console.print(line, soft_wrap=True)
        return
    for part in (Text(f"  {after}"), Text(f"    {now}", style="dim")):
        console.print(part, soft_wrap=True)


def _commands(console: Console, *commands: str) -> None:
    for command in commands:
        for line in command_lines(command, console):
            console.print(line, soft_wrap=True)


def _list(console: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        say(Text(title, style="bold"), console=console)
        for line in lines:
            say(Text(f"  · {line}"), console=console)


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
        console.print(f"Stopped: {', '.join(restored.stopped)}. No database of staging was touched.")
    if restored.shell_variables:
        console.print(
            'A shell took over these variables; undo them there: [bold]eval "$(resilience env --unset)"[/bold]'
        )

"""Show what a fallback would change, what it changed, and what was put back."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import PurePath

from resilience.core.records import Applied, EnvChange, Plan, Restored, StandIn
from resilience.core.words import plural, seconds
from resilience.show.notebook.blocks import box, by_hand_view, folded, head, listed, table, yes_or_no


def plan_view(plan: Plan, *, carried_out: bool = False) -> str:
    """Return all that apply would do, how to undo it, and how to do it by hand."""
    state = "carried out, see below" if carried_out else "nothing has been done yet"
    parts = [head(f"PLAN: mode {plan.mode.value}, {plural(len(plan.steps), 'step')}; {state}")]
    parts.append(f"<ol>{''.join(f'<li>{escape(step)}</li>' for step in plan.steps)}</ol>")
    if plan.changes:
        title = f"{plural(len(plan.changes), 'variable')} in {PurePath(plan.env_file).name or 'the env file'}"
        parts.append(folded(title, _changes(plan.changes), is_open=len(plan.changes) <= 6))
    commands = "\n".join(command.command for command in plan.commands)
    if commands:
        parts.append(f"<b>Tests</b><pre>{escape(commands)}</pre>")
    if plan.select:
        parts.append(f"<div>selected by <code>{escape(plan.select)}</code></div>")
    if plan.held_markers:
        parts.append(
            "<b>Tests held back</b>" + listed(f"marked {name}: {why}" for name, why in plan.held_markers.items())
        )
    if plan.undo:
        parts.append("<b>Undo</b>" + listed(plan.undo))
    parts.append(by_hand_view(plan.by_hand))
    parts.extend(box(note) for note in plan.notes)
    return "".join(parts)


def _changes(changes: Sequence[EnvChange]) -> str:
    def shown(value: str | None) -> str:
        return '<span class="dim">unset</span>' if value is None else f"<code>{escape(value)}</code>"

    rows = [[("line", f"<code>{escape(c.name)}</code>"), ("", shown(c.before)), ("", shown(c.after))] for c in changes]
    return table(["Variable", "Before", "After"], rows)


def applied_view(applied: Applied) -> str:
    """Return what was applied, stand-in by stand-in."""
    ready = [stand_in for stand_in in applied.stand_ins if stand_in.ready]
    if applied.failed:
        line = f"APPLIED with gaps: no stand-in for {', '.join(applied.failed)} (mode {applied.mode.value})"
    elif not applied.stand_ins and not applied.changes:
        line = f"APPLIED: nothing had to be changed (mode {applied.mode.value})"
    else:
        count = plural(len(ready), "stand-in")
        line = f"APPLIED: {count} ready in {seconds(applied.duration_s)} (mode {applied.mode.value})"
    parts = [head(line)]
    if applied.stand_ins:
        parts.append(
            table(["Stand-in for", "Ready", "Provided by", "Endpoint", "Start"], map(_stand_in, applied.stand_ins))
        )
    if applied.redecided:
        parts.append(box("A stand-in did not come up: its tests are held back, the mode stays.", kind="warn"))
    if applied.env_file:
        name = escape(PurePath(applied.env_file).name)
        parts.append(f"<div>Wrote <code>{name}</code>; undo with <code>resilience restore</code></div>")
    parts.append(folded(plural(len(applied.steps), "step"), listed(applied.steps)) if applied.steps else "")
    return "".join(parts)


def _stand_in(stand_in: StandIn) -> list[tuple[str, str]]:
    said = stand_in.error or "; ".join(stand_in.gaps)
    return [
        ("line", escape(stand_in.service)),
        ("line", yes_or_no(stand_in.ready, "ready", "not ready")),
        ("", escape(f"{stand_in.provider} {stand_in.version}".strip()) + (f"<br>{escape(said)}" if said else "")),
        ("place", f"<code>{escape(stand_in.endpoint)}</code>"),
        ("num", escape(seconds(stand_in.start_s + stand_in.prepare_s))),
    ]


def restored_view(restored: Restored) -> str:
    """Return what restoring found and did."""
    if restored.nothing_to_do:
        return head("RESTORED: nothing had been applied, so there was nothing to put back")
    parts = [
        head("RESTORED: every file is as it was, to the byte" if restored.identical else "RESTORED, but look below")
    ]
    parts.append(listed(restored.steps or tuple(f"stopped the stand-in {name}" for name in restored.stopped)))
    if restored.kept_copies:
        parts.append(box("Edited files were kept as copies: " + ", ".join(restored.kept_copies), kind="warn"))
    if restored.shell_variables:
        names = " ".join(restored.shell_variables)
        parts.append(box(f"This shell still has {names} set.", kind="warn", hint='eval "$(resilience env --unset)"'))
    return "".join(parts)

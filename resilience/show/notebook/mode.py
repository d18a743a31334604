"""Show how the tests can be run, and why."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from resilience.core.marks import MODES
from resilience.core.records import Decision, TestExecutionMode
from resilience.core.settings import ModeSettings
from resilience.core.words import tests_line
from resilience.show.notebook.blocks import GOOD, box, head, listed, pill_of, table


def decision_view(decision: Decision) -> str:
    """Return the mode, why, and what is held back."""
    parts = [head(tests_line(decision)), listed(decision.reasons)]
    if decision.forced and decision.would_be:
        parts.append(
            box(
                f"mode {decision.mode.value} was asked for by {decision.asked_by or 'a person'}; "
                f"by health it would be {decision.would_be.value}",
                kind="warn",
            )
        )
    if decision.held:
        parts.append("<b>Held back</b>" + listed(f"{name}: {why}" for name, why in decision.held.items()))
    return "".join(parts)


def modes_view(modes: Mapping[TestExecutionMode, ModeSettings], chosen: TestExecutionMode | None = None) -> str:
    """Return what each mode would run, with the chosen one marked."""
    rows = []
    for mode in TestExecutionMode:
        known = modes.get(mode)
        commands = "".join(
            f"<div><code>{escape(command)}</code></div>" for command in (known.commands if known else ())
        )
        mark = pill_of(GOOD, "✓ chosen") if mode is chosen else ""
        select = f"<code>{escape(known.select)}</code>" if known and known.select else ""
        rows.append(
            [
                ("line", f"<b>{escape(mode.value)}</b> {mark}"),
                ("", MODES[mode].meaning),
                ("", commands or '<span class="dim">no command is configured</span>'),
                ("", select),
            ]
        )
    selects = any(known.select for known in modes.values())
    columns = ["Mode", "Means", "Would run", *(["Selected by"] if selects else [])]
    return table(columns, (row[: len(columns)] for row in rows))

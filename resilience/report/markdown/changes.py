"""Write what was changed on this machine, and whether it was put back."""

from __future__ import annotations

from resilience.core.records import EnvChange, Restored
from resilience.core.words import plural
from resilience.report.markdown.blocks import folded, table
from resilience.report.markdown.cut import Cut
from resilience.report.texts import code, prose, shorten
from resilience.report.view import View
from resilience.report.view.formats import when


def changes(view: View, cut: Cut) -> list[str]:
    """Return the section on this machine: whether it was put back comes first, then what had been changed, by name."""
    applied, restored = view.incident.applied, view.incident.restored
    if applied is None:
        return ["## What was changed", "Nothing was changed on this machine."]
    how = f"mode {prose(applied.mode.value)}, at {when(applied.applied_at)} UTC on {code(applied.host)}"
    parts = ["## What was changed", f"In {code(applied.env_file)}, {how}. {_restored(restored)}"]
    if applied.failed:
        parts.append("Did not come up: " + ", ".join(code(name) for name in applied.failed) + ".")
    if applied.changes and cut.changes:
        rows = (
            (code(one.name), _value(one, one.before, "–"), _value(one, one.after, "removed"))
            for one in applied.changes[:100]
        )
        listed = table(("variable", "before", "while applied"), rows)
        parts.append(folded(f"{plural(len(applied.changes), 'variable')} changed", listed))
    steps = (*applied.steps, *(restored.steps if restored else ()))
    if steps and cut.changes:
        parts.append(folded(plural(len(steps), "step"), "\n".join(f"1. {prose(step)}" for step in steps[:100])))
    return parts


def _restored(restored: Restored | None) -> str:
    if restored is None:
        return "**Not restored yet**: `resilience restore` puts everything back."
    if restored.identical:
        return f"Restored at {when(restored.restored_at)} UTC: every byte, mode and existence as before."
    return f"Restored at {when(restored.restored_at)} UTC, **but not identical**; see the steps."


def _value(change: EnvChange, value: str | None, absent: str) -> str:
    if value is None:
        return absent
    return "secret" if change.secret else code(shorten(value, 120))

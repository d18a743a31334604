"""Write what was changed on this machine, and whether it was put back."""

from __future__ import annotations

from resilience.core.words import plural
from resilience.report.markdown.blocks import folded, table
from resilience.report.markdown.cut import Cut
from resilience.report.texts import code, prose, shorten
from resilience.report.view import View
from resilience.report.view.formats import when


def changes(view: View, cut: Cut) -> list[str]:
    applied, restored = view.incident.applied, view.incident.restored
    if applied is None:
        return ["## What was changed", "Nothing was changed on this machine."]
    parts = ["## What was changed"]
    how = f"mode {prose(applied.mode.value)}, at {when(applied.applied_at)} UTC on {code(applied.host)}"
    text = f"In {code(applied.env_file)}, {how}."
    if restored is None:
        text += " **Not restored yet**: `resilience restore` puts everything back."
    elif restored.identical:
        text += f" Restored at {when(restored.restored_at)} UTC: every byte, mode and existence as before."
    else:
        text += f" Restored at {when(restored.restored_at)} UTC, **but not identical**; see the steps."
    parts.append(text)
    if applied.failed:
        parts.append("Did not come up: " + ", ".join(code(name) for name in applied.failed) + ".")
    if applied.changes and cut.changes:
        rows = [
            (
                code(one.name),
                "–" if one.before is None else "secret" if one.secret else code(shorten(one.before, 120)),
                "removed" if one.after is None else "secret" if one.secret else code(shorten(one.after, 120)),
            )
            for one in applied.changes[:100]
        ]
        listed = table(("variable", "before", "while applied"), rows)
        parts.append(folded(f"{plural(len(applied.changes), 'variable')} changed", listed))
    steps = (*applied.steps, *(restored.steps if restored else ()))
    if steps and cut.changes:
        parts.append(folded(plural(len(steps), "step"), "\n".join(f"1. {prose(step)}" for step in steps[:100])))
    return parts

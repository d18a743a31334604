"""Write the timeline as a table and as a diagram."""

from __future__ import annotations

from resilience.report.markdown.blocks import table
from resilience.report.markdown.cut import Cut
from resilience.report.mermaid import gantt
from resilience.report.texts import prose, shorten
from resilience.report.view import View
from resilience.report.view.formats import when


def timeline(view: View, cut: Cut) -> list[str]:
    """Return the section on what happened; where it must be cut, the beginning and the end stay, as they tell the story."""
    if not view.timeline:
        return []
    rows = view.timeline
    left_out = ""
    if len(rows) > cut.rows:
        half = cut.rows // 2
        left_out = f"\n\n_{len(rows) - 2 * half} rows between are left out; they are in `incident.json`._"
        rows = (*rows[:half], *rows[-half:])
    several_days = view.timeline[0].at.date() != view.timeline[-1].at.date()
    listed = table(
        ("UTC", "what"),
        (
            (
                when(row.at, day=several_days),
                prose(row.what) + (f": {prose(shorten(row.detail, 200))}" if row.detail else ""),
            )
            for row in rows
        ),
    )
    parts = ["## Timeline", f"On {view.timeline[0].at:%Y-%m-%d}, UTC.\n\n{listed}{left_out}"]
    if cut.phases and (diagram := gantt(view)):
        parts.append(f"```mermaid\n{diagram}\n```")
        parts.append(
            "<sub>Red: unavailable. Dark: degraded, or another mode than full. Pale: available. "
            "The same stands in the tables.</sub>"
        )
    return parts

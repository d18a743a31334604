"""Write how the report was made: stages, parameters, versions and notes."""

from __future__ import annotations

from resilience.core.marks import STAGES
from resilience.report.markdown.blocks import folded, table
from resilience.report.texts import code, prose, shorten
from resilience.report.view import View
from resilience.report.view.formats import span, when


def details(view: View) -> list[str]:
    """Return what only those ask who doubt the report: how long each stage took, with which parameters and versions."""
    incident = view.incident
    parts = []
    if incident.stages:
        rows = []
        for stage in incident.stages:
            took = span(stage.finished_at - stage.started_at) if stage.finished_at else "–"
            status = prose(STAGES[stage.status].word)
            rows.append(
                (prose(stage.name.value), status, when(stage.started_at), took, prose(stage.note or stage.by or "–"))
            )
        parts.append(folded("Stages", table(("stage", "status", "UTC", "took", ""), rows)))
    pairs = [*incident.parameters.items(), *(("version of " + k, v) for k, v in incident.versions.items())]
    if pairs:
        parts.append(
            folded("Parameters and versions", table(("", ""), ((prose(k), code(shorten(v, 200))) for k, v in pairs)))
        )
    if incident.notes:
        parts.append("\n".join(f"- {prose(note)}" for note in incident.notes[:30]))
    return parts

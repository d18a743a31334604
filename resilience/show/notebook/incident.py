"""Show a run at a glance: its stages, its verdict, and where its files are."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import PurePath

from resilience.core.escalation import escalation_lines, joint_text
from resilience.core.marks import STAGES, VERDICTS
from resilience.core.records import Incident, StageName, Verdict
from resilience.core.words import plural, seconds
from resilience.show.notebook.blocks import box, folded, head, listed, marked, table


def incident_view(incident: Incident, files: Sequence[PurePath] = ()) -> str:
    """Return the run at a glance: stages, verdict, and where its files are."""
    rows = []
    for name in StageName:
        stage = incident.stage(name)
        if stage is None:
            rows.append([("line", name.value), ("line", '<span class="dim">not yet</span>'), ("num", ""), ("", "")])
            continue
        took = (stage.finished_at - stage.started_at).total_seconds() if stage.finished_at else None
        said = " ".join(
            filter(None, (stage.error, f"in cell {stage.cell}" if stage.cell else "", stage.hint, stage.note))
        )
        rows.append(
            [
                ("line", name.value),
                ("line", marked(STAGES[stage.status])),
                ("num", escape(seconds(took))),
                ("", escape(said)),
            ]
        )
    drill = (
        box(f"A drill ({incident.drill}): nothing here says anything about staging.", kind="warn")
        if incident.drill
        else ""
    )
    named = folded(plural(len(files), "file"), listed((path.name for path in files), code=True)) if files else ""
    code = "" if incident.exit_code is None else f", exit code {incident.exit_code}"
    return (
        head(f"RUN {incident.run}: {verdict_of(incident)}{code}")
        + drill
        + "".join(
            box(line, kind="note" if notice.quiet else "bad")
            for notice, line in zip(incident.notices, escalation_lines(incident.notices), strict=True)
        )
        + (folded("Text to paste", f"<pre>{escape(text)}</pre>") if (text := joint_text(incident.notices)) else "")
        + table(["Stage", "Status", "Took", "Note"], rows)
        + named
    )


def verdict_of(incident: Incident) -> str:
    return "no verdict yet" if incident.verdict is Verdict.RUNNING else VERDICTS[incident.verdict].word

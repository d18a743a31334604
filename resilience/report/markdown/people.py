"""Write whom to tell, the earlier runs of the incident, and the sections that people fill in."""

from __future__ import annotations

from resilience.core.escalation import joint_text
from resilience.core.marks import verdict_word
from resilience.core.words import plural
from resilience.report.markdown.blocks import table
from resilience.report.people import PEOPLE, nobody, noted, sent_sentence
from resilience.report.texts import code, fence, prose
from resilience.report.view import View
from resilience.report.view.formats import when


def notices(view: View) -> list[str]:
    """Return whom to tell, one row each with its reason, and the text to paste; nothing where nobody has to be told.

    A recipient who is kept quiet stays in the table: that nobody is told is itself something to know.
    """
    if not view.incident.notices:
        return []
    rows = [
        (
            when(one.at),
            code(one.whom),
            prose(one.reason + (f" (nobody is told: {one.quiet})" if one.quiet else "")),
            code(one.label) if one.label else "–",
            code(one.issue) if one.issue else "–",
        )
        for one in view.incident.notices
    ]
    parts = [
        "## Whom to tell, and why",
        f"{sent_sentence(view.incident)}\n\n" + table(("UTC", "whom", "why", "label", "issue"), rows),
    ]
    if text := joint_text(view.incident.notices):
        parts.append(f"Text to paste:\n\n{fence(text, 'markdown')}")
    return parts


def past(view: View) -> list[str]:
    if len(view.past) < 2:
        return []
    rows = [
        (
            when(one.started_at, day=True),
            code(one.run),
            prose(one.host),
            prose(verdict_word(one.verdict)),
            prose(one.mode or "–"),
        )
        for one in view.past[-30:]
    ]
    title = f"This incident so far: {plural(len(view.past), 'run')}"
    return [f"## {title}", table(("UTC", "run", "host", "verdict", "mode"), rows)]


def people(view: View) -> list[str]:
    parts = []
    notes = noted(view.incident)
    for key, title in PEOPLE.items():
        text = view.people.get(key, "").strip() or nobody(key)
        listed = "".join(f"- {prose(note)}\n" for note in notes[key]) + ("\n" if notes[key] else "")
        parts.append(f"## {title}\n\n{listed}<!-- people:{key} -->\n{text}\n<!-- /people:{key} -->")
    return parts

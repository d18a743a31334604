"""Keep what people wrote into a report over its being made again."""

from __future__ import annotations

import re

from resilience.core.records import EventKind, Incident
from resilience.core.tasks import PUBLISHED, note_of

PEOPLE = {
    "contributing-factors": "Contributing factors",
    "lessons": "What we learnt",
    "action-items": "Action items",
}
"""Sections that people write: the marker's name and the heading."""
SORTS = {"contributing-factors": "factor", "lessons": "lesson", "action-items": "action"}
"""The sort of note that fills a section: `resilience note "lesson: …"`."""
FILLS = {key: f'resilience note "{sort}: …"' for key, sort in SORTS.items()}
_NOBODY = "_Nobody has written here yet."
"""How the text begins that stands where nobody wrote, in every version of the report."""
PEOPLE_LIMIT = 20_000
"""Characters of one section that people wrote; what is longer stays in `report.previous.md`."""
_SECTION = re.compile(r"<!-- people:([a-z-]+) -->\n?(.*?)\n?<!-- /people:\1 -->", re.DOTALL)


def nobody(key: str) -> str:
    """Return what stands in a section in which nobody has written, with the command that fills it."""
    return f"{_NOBODY}_ Fill it with `{FILLS[key]}`, or write between these marks: it survives when the report is made again."


def _by_people(text: str) -> str:
    """Return the text of a section without the line that stands where nobody wrote: what a person put below it is theirs."""
    lines = text.strip().splitlines()
    if lines and lines[0].startswith(_NOBODY):
        lines = lines[1:]
    return "\n".join(lines).strip()


def noted(incident: Incident) -> dict[str, tuple[str, ...]]:
    """Return what people noted for each section, as `resilience note "lesson: …"` puts it onto the timeline."""
    notes = [event.detail for event in incident.timeline if event.kind is EventKind.BY_HAND]
    return {key: tuple(text for note in notes if (text := note_of(note, sort))) for key, sort in SORTS.items()}


def written_by_people(report: str) -> tuple[dict[str, str], bool]:
    """Return what stands between the marks of a report.md, and whether every mark was found.

    A section that is too long is cut in what is returned, and the whole is then called not found, so that the file of
    before is kept.
    """
    found = {}
    whole = True
    for key, text in _SECTION.findall(report):
        text = _by_people(text)
        if text:
            found[key] = text
            whole = whole and len(text) <= PEOPLE_LIMIT
            found[key] = text[:PEOPLE_LIMIT]
    whole = whole and all(f"<!-- people:{key} -->" in report and f"<!-- /people:{key} -->" in report for key in PEOPLE)
    return found, whole


def sent_sentence(incident: Incident) -> str:
    """Return the sentence that says whether anybody was told by us."""
    sent = any(event.what == PUBLISHED for event in incident.timeline)
    return "What was sent stands in the timeline." if sent else "Nothing had been sent when this was written."

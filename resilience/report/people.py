"""Keep what people wrote into a report over its being made again."""

from __future__ import annotations

import re

from resilience.core.records import Incident

PEOPLE = {
    "contributing-factors": "Contributing factors",
    "lessons": "What we learnt",
    "action-items": "Action items",
}
"""Sections that people write: the marker's name and the heading."""
NOBODY = "_Nobody has written here yet. What stands between these marks survives when the report is made again._"
PUBLISHED = "published"
"""What the timeline says where something was sent; see `runs.telling`."""
PEOPLE_LIMIT = 20_000
"""Characters of one section that people wrote; what is longer stays in `report.previous.md`."""
_SECTION = re.compile(r"<!-- people:([a-z-]+) -->\n?(.*?)\n?<!-- /people:\1 -->", re.DOTALL)


def written_by_people(report: str) -> tuple[dict[str, str], bool]:
    """Return what stands between the marks of a report.md, and whether every mark was found.

    A section that is too long is cut in what is returned, and the whole is then called not found, so that the file of
    before is kept.
    """
    found = {}
    whole = True
    for key, text in _SECTION.findall(report):
        text = text.strip()
        if text and text != NOBODY:
            found[key] = text
            whole = whole and len(text) <= PEOPLE_LIMIT
            found[key] = text[:PEOPLE_LIMIT]
    whole = whole and all(f"<!-- people:{key} -->" in report and f"<!-- /people:{key} -->" in report for key in PEOPLE)
    return found, whole


def sent_sentence(incident: Incident) -> str:
    """Return the sentence that says whether anybody was told by us."""
    sent = any(event.what == PUBLISHED for event in incident.timeline)
    return "What was sent stands in the timeline." if sent else "Nothing had been sent when this was written."

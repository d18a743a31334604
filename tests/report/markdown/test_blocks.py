"""resilience.report.markdown.blocks: no text of a service means anything to GitHub."""

from __future__ import annotations

from resilience import report
from resilience.core.redact import Redactor
from resilience.report.texts import redacted
from tests.kits import incident_factory as factory
from tests.kits.markup import Tags, gfm


def test_hostile_texts_mean_nothing_on_github() -> None:
    story = factory.hostile()
    cleaned = redacted(story.incident, Redactor().text)
    found = Tags(gfm(report.markdown(cleaned, story.samples)))
    names = {tag for tag, _ in found.tags}
    assert not names & {"script", "img", "a", "iframe"}
    # The boxes of our own task list, which GitHub draws disabled.
    assert all(attrs.get("type") == "checkbox" and "disabled" in attrs for tag, attrs in found.tags if tag == "input")
    for sign in ("@devops", "#12", "GH-12", "evil.example", "Duplicate of"):
        assert sign not in found.loose

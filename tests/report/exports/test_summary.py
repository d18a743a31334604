"""resilience.report.exports.summary: at most 60 lines, and nothing a service said means anything to GitHub."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from resilience.report.exports.summary import MOST_LINES, summary
from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory

STORIES = (factory.drill, factory.green, factory.hostile)


def view(story: Callable[[], factory.Story]) -> View:
    found = story()
    return build(found.incident, Columns.of(found.samples))


@pytest.mark.parametrize("story", STORIES)
def test_it_has_at_most_sixty_lines(story: Callable[[], factory.Story]) -> None:
    assert len(summary(view(story)).splitlines()) <= MOST_LINES


def test_it_says_verdict_services_tests_and_whom_to_tell() -> None:
    text = summary(view(factory.drill))
    for words in ("PRODUCT FAILURES", "● available", "**Tests** (mode", "Likely cause"):
        assert words in text or words.lower() in text.lower(), words


def test_after_a_recovery_it_says_what_was_down_and_proposes_nothing_more() -> None:
    """Whoever reads it on the issue was not there: a table of six well services told nothing of the outage."""
    found = factory.drill()
    recovery = replace(found.incident.recovery, recovered=True) if found.incident.recovery else None
    assert recovery is not None
    text = summary(build(replace(found.incident, recovery=recovery), Columns.of(found.samples)))
    row = next(line for line in text.splitlines() if line.startswith("| `database`"))
    assert "unavailable" in row
    assert "Next:" not in text
    assert "Next:" in summary(build(replace(found.incident, recovery=None), Columns.of(found.samples)))


def test_hostile_texts_mention_nobody_and_link_nowhere() -> None:
    text = summary(view(factory.hostile))
    outside = re.sub(r"(`+)(?:(?!\1)[^`]|`(?!\1))*?\1", "", text)
    assert not re.search(r"@\w|#\d|https?://|<script|<img", outside), outside

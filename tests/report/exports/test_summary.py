"""resilience.report.exports.summary: at most 60 lines, and nothing a service said means anything to GitHub."""

from __future__ import annotations

import re
from collections.abc import Callable

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


def test_hostile_texts_mention_nobody_and_link_nowhere() -> None:
    text = summary(view(factory.hostile))
    outside = re.sub(r"(`+)(?:(?!\1)[^`]|`(?!\1))*?\1", "", text)
    assert not re.search(r"@\w|#\d|https?://|<script|<img", outside), outside

"""resilience.core.markup: what a service said mentions nobody, links nowhere and closes no fence."""

from __future__ import annotations

import pytest

from resilience.core.markup import code, fence, prose


@pytest.mark.parametrize(
    "text", ["ask @devops", "see #12", "GH-12", "http://evil.example", "<b>x</b>", "Duplicate of #3"]
)
def test_what_means_something_to_github_becomes_code(text: str) -> None:
    assert prose(text) == f"`{text}`"


def test_a_harmless_sentence_stays_as_it_is() -> None:
    assert prose("database does not answer (5.0 s)") == "database does not answer (5.0 s)"


def test_backticks_in_the_text_end_neither_a_span_nor_a_fence() -> None:
    assert code("a ``b") == "```a ``b```"
    assert fence("a\n```\nb").startswith("````text\n")
    assert code("") == "–"

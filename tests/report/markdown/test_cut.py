"""resilience.report.markdown.cut: the report fits a comment and says what was cut."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilience import report
from resilience.report.markdown import LIMIT
from tests.kits import incident_factory as factory


@pytest.mark.parametrize("count", [10, 2_000, 20_000])
def test_markdown_fits_a_comment_and_says_what_was_cut(count: int) -> None:
    incident = factory.drill().incident
    assert incident.tests is not None
    tests = tuple(
        replace(test, id=f"tests/{'deep/' * 8}test_{number}.py::test_x", message="boom\n" * 400)
        for number, test in enumerate(incident.tests.tests * (count // 30 + 1))
    )
    text = report.markdown(replace(incident, tests=replace(incident.tests, tests=tests)))
    assert len(text) <= LIMIT
    assert "Contributing factors" in text
    assert "PRODUCT FAILURES" in text
    assert ("Cut to fit" in text) == (count > 10)

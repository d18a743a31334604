"""resilience.report.charts.tests: the counts, whose failures they are, and what nothing is known about."""

from __future__ import annotations

from resilience.report.charts.tests import _by_service, say
from resilience.report.view import View


def test_the_sentence_tells_bugs_from_what_infrastructure_took(drill: View) -> None:
    sentence, alt = say(drill)
    assert "29 passed" in alt
    assert "3 failures of the product; nothing is known about 5 tests that infrastructure took." in sentence


def test_plain_passes_are_no_service_s_and_the_product_s_failures_come_last(drill: View) -> None:
    rows = _by_service(drill)
    assert rows[-1][0] == "no service"
    assert "passed" not in {outcome.value for outcome, _ in rows[-1][1]}

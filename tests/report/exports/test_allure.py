"""resilience.report.exports.allure: each test once, and each kind of trouble in a category of its own."""

from __future__ import annotations

import json
import re
from collections import Counter

from resilience.core.records import Outcome, TestOutcome
from resilience.report.exports.allure import CATEGORIES, EXPORT, SAID, categories, result, said
from resilience.report.series import Columns
from resilience.report.view import build
from tests.kits import incident_factory as factory


def category_of(message: str, status: str) -> str:
    """Return the category as Allure finds it: the first whose pattern and status fit."""
    for one in categories():
        if re.match(one["messageRegex"], message) and status in one["matchedStatuses"]:
            return str(one["name"])
    return ""


def test_every_outcome_has_a_row_and_every_word_in_brackets_a_category() -> None:
    assert set(SAID) == set(Outcome)
    known = {key for _, key in CATEGORIES}
    for outcome in Outcome:
        for test in (
            TestOutcome(id="a::b", outcome=outcome),
            TestOutcome(id="a::b", outcome=outcome, rounds=0),
            TestOutcome(id="a::b", outcome=outcome, suspect=True),
        ):
            how = said(test)
            assert how is None or not how.category or how.category in known


def test_an_outage_a_held_back_test_a_suspect_and_a_bug_are_four_things() -> None:
    incident = factory.drill().incident
    rows = [
        (TestOutcome(id="a::b", outcome=Outcome.FAILED, message="assert 1\n== 2"), "Product failures"),
        (TestOutcome(id="a::b", outcome=Outcome.FAILED, suspect=True), "Suspects"),
        (TestOutcome(id="a::b", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE), "Failed from infrastructure"),
        (TestOutcome(id="a::b", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE, rounds=0, reason="r"), "Held back"),
        (TestOutcome(id="a::b", outcome=Outcome.UNDECIDED), "Undecided"),
        (TestOutcome(id="a::b", outcome=Outcome.STAND_IN_GAP), "Gaps"),
        (TestOutcome(id="a::b", outcome=Outcome.PASSED), ""),
    ]
    for test, name in rows:
        found = result(test, incident)
        assert found is not None
        assert category_of(found["statusDetails"]["message"], found["status"]).startswith(name), test
    assert result(TestOutcome(id="a::b", outcome=Outcome.DESELECTED), incident) is None


def test_each_test_is_a_file_with_an_id_of_its_own_and_a_history_of_its_name() -> None:
    story = factory.drill()
    files = list(EXPORT.files(build(story.incident, Columns.of(story.samples))))
    results = [json.loads(str(file.content)) for file in files if file.path.endswith("-result.json")]
    assert story.incident.tests is not None
    assert len(results) == sum(test.outcome is not Outcome.DESELECTED for test in story.incident.tests.tests)
    assert max(Counter(one["uuid"] for one in results).values()) == 1
    assert {"allure-results/categories.json", "allure-results/environment.properties"} <= {file.path for file in files}
    again = factory.green()
    assert not list(EXPORT.files(build(factory.failed().incident, Columns.of(())))) or again

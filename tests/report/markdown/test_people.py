"""resilience.report.markdown.people: whom to tell, the earlier runs, and the sections that people fill in."""

from __future__ import annotations

from dataclasses import replace

from resilience.report.markdown.people import notices, past, people
from resilience.report.people import FILLS, PEOPLE
from resilience.report.series import Columns
from resilience.report.view import PastRun, View, build
from tests.kits import incident_factory as factory


def drill(**changes: object) -> View:
    story = factory.drill()
    return build(replace(story.incident, **changes), Columns.of(story.samples))  # type: ignore[arg-type]


def test_each_section_of_people_stands_between_its_marks_also_where_nobody_wrote() -> None:
    text = "\n\n".join(people(replace(drill(), people={"lessons": "Ask earlier."})))
    for key in PEOPLE:
        assert f"<!-- people:{key} -->" in text
        assert f"<!-- /people:{key} -->" in text
    assert "<!-- people:lessons -->\nAsk earlier.\n<!-- /people:lessons -->" in text
    assert text.count("_Nobody has written here yet._") == len(PEOPLE) - 1
    assert sum(f"`{fill}`" in text for fill in FILLS.values()) == len(PEOPLE) - 1


def test_earlier_runs_are_listed_from_the_second_on_with_their_verdict_in_words() -> None:
    view = drill()
    run = PastRun(run="r", started_at=view.starts_at, host="ci", verdict="passed_on_stand_ins")
    assert past(replace(view, past=(run,))) == []
    title, table = past(replace(view, past=(run, run)))
    assert title == "## This incident so far: 2 runs"
    assert table.count("passed on stand-ins") == 2


def test_what_has_not_been_sent_says_so() -> None:
    assert notices(drill(notices=())) == []
    assert notices(drill())[1].startswith("Nothing had been sent when this was written.")

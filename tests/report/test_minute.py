"""The sixty-second test: what somebody who was not there asks of a report, and the line that answers each question."""

from __future__ import annotations

import html as html_module
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from resilience.core.records import EventKind, Incident, TimelineEvent
from resilience.report.exports.summary import summary
from resilience.report.html import html
from resilience.report.markdown import markdown
from resilience.report.people import PEOPLE
from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory
from tests.kits.big_incident import big


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question, and the lines that answer it: of an outage that is over, and of one that lasts."""

    asks: str
    over: str
    lasting: str


QUESTIONS = (
    Question(
        asks="What happened?",
        over=r"STAGING: WAS DOWN \(.*database.*\); UP again since",
        lasting=r"STAGING: DOWN \(database: connect time-out after 2\.0 s",
    ),
    Question(asks="What was the likely cause?", over=r"Likely cause: VPC connector", lasting=r"Likely cause: VPC connector"),
    Question(
        asks="When, and how long?",
        over=r"Lasted:? .*from 2026-11-22 \d\d:\d\d:\d\d to \d\d:\d\d:\d\d UTC",
        lasting=r"Lasted:? .*so far, since 2026-11-22 \d\d:\d\d:\d\d UTC",
    ),
    Question(asks="Is it over?", over=r"UTC; it is over", lasting=r"UTC; it is not over"),
    Question(asks="What was affected?", over=r"Services:? \d of 6: .*\(critical\)", lasting=r"Services:? \d of 6: .*\(critical\)"),
    Question(
        asks="What hurt longest?",
        over=r"LONGEST: (database|backend_api) ",
        lasting=r"LONGEST: (database|backend_api) ",
    ),
    Question(
        asks="How much of the tests is unknown?",
        over=r"Tests:? \d+ of 52 tests \(\d+ %\) said nothing about the product",
        lasting=r"Tests:? \d+ of 52 tests \(\d+ %\) said nothing about the product",
    ),
    Question(asks="Are there bugs of our own?", over=r"2 failed \(product\)", lasting=r"2 failed \(product\)"),
    Question(asks="In which mode did tests run?", over=r"Modes:? .*degraded \d", lasting=r"Modes:? .*degraded \d"),
    Question(
        asks="Who was told?",
        over=r"Who was told:? taken at \d\d:\d\d:\d\d UTC by ana@laptop",
        lasting=r"Who was told:? taken at \d\d:\d\d:\d\d UTC by ana@laptop",
    ),
    Question(
        asks="What is left to do: bugs?",
        over=r"Fix tests/integration/test_orders\.py::test_total_is_rounded",
        lasting=r"Fix tests/integration/test_orders\.py::test_total_is_rounded",
    ),
    Question(
        asks="What is left to do: staging?",
        over=r"Tell @devops|VPC connector or Cloud SQL fault",
        lasting=r"Bring back database.*: the likely cause is VPC connector",
    ),
    Question(
        asks="What is left to do: this machine?",
        over=r"(\d+ (tasks )?done)",
        lasting=r"Put config/\.env\.test\.active back",
    ),
)  # fmt: skip


def taken(incident: Incident, **changes: object) -> Incident:
    at = incident.started_at + timedelta(seconds=1)
    event = TimelineEvent(at=at, what="acknowledged", detail="looking at it (by ana@laptop)", kind=EventKind.BY_HAND)
    return replace(incident, timeline=(*incident.timeline, event), **changes)  # type: ignore[arg-type]


def over() -> View:
    story = factory.drill()
    return build(taken(story.incident), Columns.of(story.samples))


def lasting() -> View:
    story = factory.drill()
    cut = story.incident.started_at + timedelta(seconds=14)
    samples = [sample for sample in story.samples if sample.at < cut]
    incident = taken(
        story.incident, recovery=None, restored=None, full_tests=None, latest=None, finished_at=cut,
    )  # fmt: skip
    return build(incident, Columns.of(samples))


def words(markup: str) -> str:
    """Return a page's text, a line each for what stands on one."""
    text = re.sub(r"(?s)<(style|script|svg).*?</\1>", "", markup)
    text = re.sub(r"</(dt)>", " ", text)
    text = re.sub(r"</?(?:code|span|b|strong|em|dd|dt|a|small)[^>]*>", "", text)
    return html_module.unescape(re.sub(r"<[^>]+>", "\n", text))


def unmarked(text: str) -> str:
    return html_module.unescape(re.sub(r"[\\*`]|</?[a-z]+>", "", text))


FORMS: dict[str, Callable[[View], str]] = {
    "report.html": lambda view: words(html(view)).partition("\nDetails\n")[0],
    "report.md": lambda view: unmarked(markdown(view)),
    "summary.md": lambda view: unmarked(summary(view)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("question", QUESTIONS, ids=[question.asks for question in QUESTIONS])
def test_each_question_has_its_line_in_each_form_before_any_details(question: Question, form: str) -> None:
    for view, wanted in ((over(), question.over), (lasting(), question.lasting)):
        text = FORMS[form](view)
        assert re.search(wanted, text), f"{question.asks} {wanted}\n{text}"


def test_a_summary_has_at_most_sixty_lines_however_much_happened() -> None:
    views = [over(), lasting()]
    for services, tests in ((20, 300), (200, 2000)):
        story = big(services, tests, hours=0.5, every_s=120)
        views.append(build(story.incident, Columns.of(story.samples)))
    for view in views:
        text = summary(view)
        assert len(text.splitlines()) <= 60
        assert "What is left to do" in text
        assert "_Cut:" not in text


def test_two_hundred_services_stay_below_three_megabytes_and_none_is_left_out() -> None:
    story = big(200, 20_000, hours=0.5, every_s=120)
    view = build(story.incident, Columns.of(story.samples))
    page = html(view)
    assert len(page.encode()) < 1_700_000, "charts of two hundred services take 1.3 MB more"
    assert all(f"service-{number:03d}" in page for number in range(200))
    assert "170 services were well all the time" in page
    assert "25 more services unwell" in page
    assert len(markdown(view)) <= 60_000
    # Where not even the shortest lists fit, as with every service unwell in another way.
    text = markdown(view, limit=12_000)
    assert len(text) <= 12_000
    assert all(f"<!-- people:{key} -->" in text and f"<!-- /people:{key} -->" in text for key in PEOPLE), "cut off"

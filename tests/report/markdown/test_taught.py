"""resilience.report.markdown.taught: what the stand-ins knew stands in Markdown, page and summary in the same words."""

from __future__ import annotations

from resilience.report.exports.summary import MOST_LINES, summary
from resilience.report.html import html
from resilience.report.markdown import markdown
from resilience.report.markdown.taught import taught
from resilience.report.series import Columns
from resilience.report.view import build
from tests.kits import incident_factory as factory
from tests.kits.taught_incident import view


def test_a_table_tells_age_and_fidelity_and_below_it_stands_what_is_wrong() -> None:
    head, table, wrong = taught(view())
    assert head == "## What the stand-ins knew"
    assert "| `backend_api` | 2 days | traffic: 134 answers of 60 tests | fidelity 94 %: 9 gaps, 3 differ |" in table
    assert "| contract: 5 operations | – |" in table
    assert "changed since: GET /items: body.total is gone" in wrong
    assert head in markdown(view())


def test_the_summary_says_it_in_one_line() -> None:
    text = summary(view())
    assert (
        "**Stand-ins:** backend_api taught 2 days ago, fidelity 94 %: 9 gaps, 3 differ; backend_api taught"
        in text.replace("\\", "")
    )
    assert len(text.splitlines()) <= MOST_LINES


def test_the_page_has_the_section_and_leads_to_it() -> None:
    page = html(view())
    assert '<h2 id="taught">What the stand-ins knew</h2>' in page
    assert '<a href="#taught">' in page
    assert "fidelity 94 %: 9 gaps, 3 differ" in page


def test_where_nothing_was_taught_there_is_no_section() -> None:
    story = factory.drill()
    plain = build(story.incident, Columns.of(story.samples))
    assert taught(plain) == []
    assert "What the stand-ins knew" not in html(plain)
    assert "Stand-ins:" not in summary(plain)

"""The strip reads as one line of fields, live and saved, and says when it was true."""

from __future__ import annotations

from datetime import UTC, datetime

from resilience.core.marks import Tone
from resilience.show.notebook.strip import Fact, step_text, step_view, strip_text, strip_view

AT = datetime(2026, 11, 25, 3, 14, tzinfo=UTC)
FACTS = (
    Fact(about="staging", word="DOWN", below="<db> · 03:12 UTC", tone=Tone.BAD),
    Fact(about="applied", word="nothing"),
)


def test_what_is_saved_has_its_day_and_says_that_the_buttons_are_gone_while_the_live_one_does_not() -> None:
    saved = strip_view(FACTS, "Next: <b>Look again</b>", at=AT, live=False)
    live = strip_view(FACTS, "", at=AT, live=True)
    assert "as of 2026-11-25 03:14 UTC" in saved
    assert "Next: <b>Look again</b>" in saved
    assert "Run All Cells" in saved
    assert "Run All Cells" not in live
    for html in (saved, live):
        assert "✕ DOWN" in html
        assert "&lt;db&gt; · 03:12 UTC" in html
        assert "rb-strip" in html


def test_as_text_it_is_a_line_a_field_with_the_next_step_last() -> None:
    lines = strip_text(FACTS, "Next: Look again", at=AT).splitlines()
    assert lines[0] == "as of 2026-11-25 03:14 UTC"
    assert lines[1:] == ["STAGING: DOWN (<db> · 03:12 UTC)", "APPLIED: nothing", "Next: Look again"]


def test_the_next_step_is_told_with_why_and_where() -> None:
    assert step_text("Apply the plan…", "why") == "Next: Apply the plan · why"
    assert step_text("Run the tests", "", "04_run_tests") == "Next: Run the tests (04_run_tests.ipynb)"
    assert step_text("", "Done here.") == "Done here."
    assert 'href="04_run_tests.ipynb"' in step_view("Run the tests", "", "04_run_tests")
    assert "&lt;x&gt;" in step_view("", "<x>")

"""A step's result takes the place of the one before, and without a page nothing is displayed."""

from __future__ import annotations

import pytest

from resilience.notebook.section import Section, displays


def test_outside_of_a_kernel_there_is_no_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert not displays()
    Section().show("<b>result</b>", "result")
    assert capsys.readouterr().out == ""


def test_what_is_shown_takes_the_place_of_what_was_there() -> None:
    section = Section()
    section.begin("looking")
    section.step("asked the database")
    assert "looking" in section.html
    assert "asked the database" in section.html
    section.show("<b>done</b>", "done")
    assert (section.html, section.text) == ("<b>done</b>", "done")


def test_a_step_that_begins_again_forgets_the_lines_of_the_time_before() -> None:
    section = Section()
    section.begin("looking")
    section.step("of the first time")
    section.begin("looking")
    assert "of the first time" not in section.html

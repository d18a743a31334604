"""A section keeps what it found, each with its time; what is going on stands above it, and goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from resilience.notebook.section import Section, displays

AT = datetime(2026, 11, 25, 3, 14, tzinfo=UTC)


def test_outside_of_a_kernel_there_is_no_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert not displays()
    Section().show("<b>result</b>", "result")
    assert capsys.readouterr().out == ""


def test_what_is_going_on_takes_the_place_of_what_went_on() -> None:
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


def test_a_result_keeps_its_time_and_is_folded_below_the_next_one_not_overwritten() -> None:
    section = Section()
    section.result("<b>down</b>", "STAGING: DOWN\nmore", at=AT)
    assert section.text == "STAGING: DOWN (as of 03:14 UTC)\nmore"
    section.result("<b>up</b>", "STAGING: UP", at=AT + timedelta(minutes=9))
    latest, _, before = section.html.partition("<details>")
    assert "as of 03:23 UTC" in latest
    assert "<b>up</b>" in latest
    assert "<summary>Before: as of 03:14 UTC: STAGING: DOWN</summary><b>down</b>" in before
    section.begin("looking")
    assert "looking" in section.html.partition("<details>")[0]
    assert "Before: as of 03:23 UTC: STAGING: UP" in section.html


def test_the_same_result_shown_anew_stands_once_and_old_ones_become_lines() -> None:
    section = Section()
    section.result("<b>planned</b>", "PLAN", at=AT)
    section.result("<b>carried out</b>", "PLAN", at=AT)
    assert len(section.results) == 1
    for minute in range(1, 9):
        section.result(f"<b>look {minute}</b>", f"LOOK {minute}", at=AT + timedelta(minutes=minute))
    assert section.html.count("<b>") == 5
    assert "as of 03:14 UTC: PLAN" in section.html

"""The strip offers one step, asks before it changes anything, and while a step runs only stops it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import ipywidgets
import pytest

from resilience.core.marks import Tone
from resilience.notebook.next_step import Step
from resilience.notebook.strip import Strip
from resilience.notebook.strip_controls import ControlledStrip
from resilience.show.notebook import Fact

AT = datetime(2026, 11, 25, 3, 14, tzinfo=UTC)


def stands(step: Step) -> Strip:
    return Strip(at=AT, facts=(Fact(about="staging", word="DOWN", below="<db>", tone=Tone.BAD),), step=step)


def shown(strip: ControlledStrip) -> list[str]:
    known = (strip.next, strip.undo, strip.stop)
    return [one.description for one in known if one.layout.display != "none"]


@pytest.fixture
def strip() -> Iterator[ControlledStrip]:
    yield ControlledStrip(lambda: None)
    ipywidgets.Widget.close_all()


def test_the_next_step_is_the_one_coloured_button_and_does_what_its_section_does(strip: ControlledStrip) -> None:
    done: list[str] = []
    strip.offers("tests", lambda: done.append("tests"))
    strip.update(stands(Step(action="tests", label="Run the tests", why="it is applied")), undo=False)
    assert shown(strip) == ["Run the tests"]
    assert "it is applied" in strip.message.value
    assert "&lt;db&gt;" in strip.facts.value
    strip.next.click()
    assert done == ["tests"]
    assert [one.description for one in strip.controls if one.button_style == "primary"] == ["Run the tests"]


def test_a_step_that_this_page_has_no_button_for_is_told(strip: ControlledStrip) -> None:
    strip.update(stands(Step(label="Run the tests", notebook="04_run_tests")), undo=True)
    assert shown(strip) == ["Undo…"]
    assert "Next: Run the tests (04_run_tests.ipynb)" in strip.message.value


def test_undo_is_offered_once(strip: ControlledStrip) -> None:
    strip.offers("restore", lambda: None)
    strip.update(stands(Step(action="restore", label="Restore…")), undo=True)
    assert shown(strip) == ["Restore…"]


def test_while_a_step_runs_there_is_stop_alone_and_what_is_said_of_it_stays(strip: ControlledStrip) -> None:
    strip.offers("tests", lambda: None)
    strip.update(stands(Step(action="tests", label="Run the tests")), undo=True)
    strip.ask("This changes something.", lambda: None)
    strip.set_busy(True)
    strip.say("12 of 340")
    strip.update(stands(Step(action="tests", label="Run the tests", why="why")), undo=True)
    assert shown(strip) == ["Stop"]
    assert strip.question.layout.display == "none"
    assert "12 of 340" in strip.message.value
    strip.set_busy(False)
    assert shown(strip) == ["Run the tests", "Undo…"]
    assert "why" in strip.message.value

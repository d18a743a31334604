"""A click changes nothing before what it changes was said and agreed to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ipywidgets
import pytest

from resilience.core.errors import UsageError
from resilience.notebook.controls import ControlledSection


class Page:
    """A section with what was done by its buttons; `busy` while another step runs."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.busy = False
        self.section = ControlledSection(refuse_busy=lambda _: self.busy, stop=lambda: self.done.append("stopped"))

    def click(self, label: str) -> None:
        self.control(label).click()

    def control(self, label: str) -> Any:
        return next(known for known in self.section.controls if getattr(known, "description", "") == label)


@pytest.fixture
def page() -> Iterator[Page]:
    yield Page()
    ipywidgets.Widget.close_all()


def test_a_button_that_changes_something_asks_and_only_yes_does_it(page: Page) -> None:
    page.section.confirmed("Apply", lambda: "writes .env", lambda: page.done.append("applied"))
    page.click("Apply")
    page.click("No")
    assert page.done == []
    page.click("Apply")
    page.click("Yes, do it")
    assert page.done == ["applied"]


def test_where_it_cannot_be_said_what_would_change_the_error_is_shown(page: Page) -> None:
    def refuse() -> str:
        raise UsageError("there is no plan.", hint="make one")

    page.section.confirmed("Apply", refuse, lambda: page.done.append("applied"))
    page.click("Apply")
    assert "there is no plan." in page.section.text


def test_while_a_step_runs_no_question_is_asked(page: Page) -> None:
    asked: list[str] = []
    page.section.confirmed("Apply", lambda: asked.append("asked") or "", lambda: None)
    page.busy = True
    page.click("Apply")
    assert asked == []


def test_what_was_done_by_hand_is_marked_only_with_a_note(page: Page) -> None:
    page.section.buttons({})
    page.section.by_hand(page.done.append)
    page.click("Mark as done by hand")
    assert page.done == []
    assert "Write a note first" in page.section.message.value
    next(known for known in page.section.controls if isinstance(known, ipywidgets.Text)).value = "moved the DNS"
    page.click("Mark as done by hand")
    assert page.done == ["moved the DNS"]


def test_a_note_for_the_timeline_wants_a_text(page: Page) -> None:
    page.section.buttons({})
    page.section.noting(page.done.append)
    page.click("Add to the timeline")
    assert page.done == []
    assert "Write first" in page.section.message.value
    next(known for known in page.section.controls if isinstance(known, ipywidgets.Text)).value = "called the provider"
    page.click("Add to the timeline")
    assert page.done == ["called the provider"]


def test_while_a_step_runs_only_its_own_stop_can_be_clicked(page: Page) -> None:
    page.section.buttons({"Run": lambda: None})
    page.section.set_busy(True, False)
    assert (page.control("Run").disabled, page.section.stop.disabled) == (True, True)
    page.section.set_busy(True, True)
    assert (page.control("Run").disabled, page.section.stop.disabled) == (True, False)
    page.section.stop.click()
    page.section.set_busy(False, True)
    assert (page.control("Run").disabled, page.section.stop.disabled) == (False, True)
    assert page.done == ["stopped"]


def test_a_long_line_squeezes_no_button_and_is_not_cut_without_a_sign(page: Page) -> None:
    page.section.confirmed("Undo…", lambda: "x", lambda: None, beside={"Go on": lambda: None})
    page.section.show("", "word " * 60)
    known = [*page.section.controls, page.section.stop]
    row = [one for one in known if isinstance(one, ipywidgets.Button) and one.description not in ("Yes, do it", "No")]
    assert [one.layout.flex for one in row] == ["0 0 auto"] * 3
    assert "…" in page.section.message.value

"""A click changes nothing before what it changes was said and agreed to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ipywidgets
import pytest

from resilience.core.errors import UsageError
from resilience.notebook.controls import ControlledSection
from resilience.notebook.strip_controls import ControlledStrip


class Page:
    """A section and its strip, with what was done by their buttons; `busy` while another step runs."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.busy = False
        self.strip = ControlledStrip(lambda: self.done.append("stopped"))
        self.section = ControlledSection("apply", strip=self.strip, refuse_busy=lambda: self.busy)

    def click(self, label: str) -> None:
        self.control(label).click()

    def control(self, label: str) -> Any:
        known = [*self.section.controls, *self.strip.controls]
        return next(one for one in known if getattr(one, "description", "") == label)

    def write(self, text: str) -> None:
        next(known for known in self.section.controls if isinstance(known, ipywidgets.Text)).value = text

    @property
    def said(self) -> str:
        return str(self.strip.message.value)


@pytest.fixture
def page() -> Iterator[Page]:
    yield Page()
    ipywidgets.Widget.close_all()


def test_a_button_that_changes_something_asks_and_only_yes_does_it(page: Page) -> None:
    page.section.confirmed("Apply", lambda: "writes <.env>", lambda: page.done.append("applied"))
    page.click("Apply")
    assert "writes &lt;.env&gt;" in page.strip.words.value
    page.click("No")
    assert page.done == []
    page.click("Apply")
    page.click("Yes, do it")
    assert page.done == ["applied"]
    page.click("Yes, do it")
    assert page.done == ["applied"]


def test_where_it_cannot_be_said_what_would_change_the_error_is_shown(page: Page) -> None:
    def refuse() -> str:
        raise UsageError("there is no plan.", hint="make one")

    page.section.confirmed("Apply", refuse, lambda: page.done.append("applied"))
    page.click("Apply")
    assert "there is no plan." in page.section.text
    page.click("Yes, do it")
    assert page.done == []


def test_while_a_step_runs_no_question_is_asked(page: Page) -> None:
    asked: list[str] = []
    page.section.confirmed("Apply", lambda: asked.append("asked") or "", lambda: None)
    page.busy = True
    page.click("Apply")
    assert asked == []


def test_what_was_done_by_hand_is_marked_only_with_a_note(page: Page) -> None:
    page.section.by_hand(page.done.append)
    page.click("Mark as done by hand")
    assert page.done == []
    assert "Write a note first" in page.said
    page.write("moved the DNS")
    page.click("Mark as done by hand")
    assert page.done == ["moved the DNS"]


def test_a_field_that_few_need_is_folded_until_it_is_asked_for(page: Page) -> None:
    page.section.noting(page.done.append)
    (fields,) = page.section._below
    assert fields.layout.display == "none"
    page.click("Add a note…")
    assert fields.layout.display == "flex"
    page.click("Add to the timeline")
    assert page.done == []
    assert "Write first" in page.said
    page.write("called the provider")
    page.click("Add to the timeline")
    assert page.done == ["called the provider"]
    assert fields.layout.display == "none"


def test_while_a_step_runs_nothing_can_be_clicked(page: Page) -> None:
    page.section.buttons({"Run": lambda: None})
    page.section.set_busy(True)
    assert page.control("Run").disabled
    page.section.set_busy(False)
    assert not page.control("Run").disabled


def test_the_first_button_of_a_section_is_what_the_strip_may_offer_and_no_button_of_a_section_is_coloured(
    page: Page,
) -> None:
    page.section.confirmed("Apply", lambda: "writes .env", lambda: page.done.append("applied"))
    page.section.by_hand(page.done.append)
    assert page.strip.offered == {"apply"}
    known = [one for one in page.section.controls if isinstance(one, ipywidgets.Button)]
    assert {one.button_style for one in known} == {""}
    assert {one.layout.flex for one in known} == {"0 0 auto"}


def test_a_long_line_is_not_cut_without_a_sign(page: Page) -> None:
    page.section.show("", "word " * 60)
    assert "…" in page.said

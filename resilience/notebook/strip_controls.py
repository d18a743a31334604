"""The strip at the top of the page for a person in JupyterLab: how things stand, the next step as a button, the question, Stop."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import ipywidgets

from resilience.notebook.saved import display_widget
from resilience.notebook.strip import Strip
from resilience.show import notebook as views

_BUTTON = {"width": "auto", "flex": "0 0 auto"}
_HIDDEN = {"display": "none"}


class ControlledStrip:
    """What stays on the screen wherever the page is scrolled to, so that nobody must look for what is going on.

    One button is coloured: the next step. `stop` stops whatever a click started. A question is asked here, and only Yes,
    which is red, does what it says.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        """Make all of it at once, hidden: what is shown later only changes, so that a page that is loaded again has it too."""
        self.facts = ipywidgets.HTML()
        self.next = ipywidgets.Button(button_style="primary", layout={**_BUTTON, **_HIDDEN})
        self.undo = ipywidgets.Button(description="Undo…", layout={**_BUTTON, **_HIDDEN})
        self.stop = ipywidgets.Button(description="Stop", icon="stop", layout={**_BUTTON, **_HIDDEN})
        self.message = ipywidgets.HTML(layout={"flex": "1 1 20rem", "min_width": "0"})
        self.words = ipywidgets.HTML()
        self.yes = ipywidgets.Button(description="Yes, do it", button_style="danger", layout=dict(_BUTTON))
        self.no = ipywidgets.Button(description="No", layout=dict(_BUTTON))
        self.question = ipywidgets.HBox(
            [self.words, self.yes, self.no], layout={**_HIDDEN, "align_items": "center", "flex_flow": "row wrap"}
        )
        self.controls = [self.next, self.undo, self.stop, self.yes, self.no]
        self._actions: dict[str, Callable[[], None]] = {}
        self._act: Callable[[], None] | None = None
        self._agreed: Callable[[], None] | None = None
        self._busy = False
        self._strip: tuple[Strip, bool] | None = None
        self.next.on_click(lambda _: self._act() if self._act is not None else None)
        self.undo.on_click(lambda _: self._actions["undo"]())
        self.stop.on_click(lambda _: stop())
        self.yes.on_click(lambda _: self._answer(True))
        self.no.on_click(lambda _: self._answer(False))

    def display(self) -> None:
        row = ipywidgets.HBox(
            [self.next, self.undo, self.stop, self.message], layout={"flex_flow": "row wrap", "align_items": "center"}
        )
        display_widget(ipywidgets.VBox([self.facts, row, self.question]), "")

    def offers(self, name: str, act: Callable[[], None]) -> None:
        """Take what a section's first button does as the action of this name."""
        self._actions[name] = act

    @property
    def offered(self) -> frozenset[str]:
        return frozenset(self._actions)

    def update(self, strip: Strip, *, undo: bool) -> None:
        """Show how things stand. `undo`: something is applied here that can be undone from this page.

        While a step runs the facts follow it, and what is said of it stays: what comes next is known when it has ended.
        """
        self._strip = (strip, undo)
        self.facts.value = views.strip_view(strip.facts, "", at=strip.at, live=True)
        if not self._busy:
            self._offer(strip, undo)

    def _offer(self, strip: Strip, undo: bool) -> None:
        step = strip.step
        self._act = self._actions.get(step.action)
        self.next.description = step.label
        self.next.layout.display = None if self._act is not None else "none"
        undoes = undo and step.action not in ("undo", "restore")
        self.undo.layout.display = None if undoes else "none"
        self.say(step.why if self._act is not None else views.step_text(step.label, step.why, step.notebook))

    def say(self, line: str) -> None:
        """Say a line beside the next step."""
        self.message.value = f'<span style="line-height:1.3">{escape(line)}</span>'

    def ask(self, what: str, act: Callable[[], None]) -> None:
        """Say what would change, and do it on Yes."""
        self._agreed = act
        self.words.value = f"<b>{escape(what)}</b>"
        self.question.layout.display = "flex"
        self.no.focus()

    def set_busy(self, busy: bool) -> None:
        """Hide what may not be clicked while a step runs, and show Stop instead."""
        self._busy = busy
        self.question.layout.display = "none"
        self.stop.layout.display = None if busy else "none"
        if busy:
            self.next.layout.display = self.undo.layout.display = "none"
        elif self._strip is not None:
            self._offer(*self._strip)

    def _answer(self, agreed: bool) -> None:
        act, self._agreed = self._agreed, None
        self.question.layout.display = "none"
        if agreed and act is not None:
            act()

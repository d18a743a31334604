"""The buttons and fields below a step's results, for a person in JupyterLab: quiet, in one row a section."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets

from resilience.core.errors import ResilienceError
from resilience.core.plain import clean
from resilience.core.records import TestExecutionMode
from resilience.notebook.saved import display_widget
from resilience.notebook.section import Section
from resilience.notebook.strip_controls import ControlledStrip
from resilience.show import notebook as views

BUTTON = {"width": "auto", "flex": "0 0 auto"}
"""As wide as its label: beside a long line it would be squeezed to its first letter."""
_LINE = 200


class ControlledSection(Section):
    """A step's results with its controls. What is asked, said and stopped, the strip at the top does.

    `name` is the action under which the strip may offer this section's first button as the next step.
    """

    def __init__(self, name: str, *, strip: ControlledStrip, refuse_busy: Callable[[], bool]) -> None:
        super().__init__()
        self.name = name
        self.strip = strip
        self._refuse_busy = refuse_busy
        # A button, as of all widgets that one takes the focus, by which a browser scrolls to it; it is not to be seen.
        self._here = ipywidgets.Button(tabbable=False)
        self._here.add_class("rb-here")
        self._row: list[Any] = []
        self._below: list[Any] = []

    def place(self) -> None:
        display_widget(self._here, "")
        super().place()

    def show(self, html: str, text: str) -> None:
        """Show it, and say its first line in the strip: a page that was loaded again is sent widgets, but no new results."""
        super().show(html, text)
        self.say(clean(text.partition("\n")[0], _LINE))

    def say(self, line: str) -> None:
        self.strip.say(line)

    def buttons(self, verbs: Mapping[str, Callable[[], None]]) -> None:
        for label, act in verbs.items():
            self._button(label, act)

    def confirmed(self, label: str, what: Callable[[], str], act: Callable[[], None]) -> None:
        """Offer a button that changes nothing itself: the strip says what would change, and only Yes does it.

        What would change is computed when it is asked, so that it is what stands then; where that cannot be said, the
        error is shown and there is no Yes to click.
        """

        def ask() -> None:
            if self._refuse_busy():
                return
            try:
                question = what()
            except ResilienceError as exc:
                self.show(views.error(exc), views.text(exc))
                return
            self.strip.ask(question, act)

        self._button(label, ask)

    def chooser(self, value: str, picked: Callable[[str], None]) -> None:
        options = ["by health", *(mode.value for mode in TestExecutionMode)]
        choice = ipywidgets.ToggleButtons(
            options=options, value=value, description="Mode", style={"button_width": "auto"}
        )
        choice.observe(lambda change: picked(change["new"]), names="value")
        self.controls.append(choice)
        self._row.append(choice)

    def by_hand(self, note: Callable[[str], None]) -> None:
        """Offer a field for the note. Without one nothing is marked: who reads the record later must learn what was done."""
        self._written(
            "Done by hand…",
            "what was done by hand, by whom",
            "Mark as done by hand",
            "Write a note first: what was done, by whom.",
            note,
        )

    def noting(self, note: Callable[[str], None]) -> None:
        """Offer a field for the timeline: what people do in an outage is the half of it that no probe sees."""
        empty = "Write first what was done or seen."
        self._written("Add a note…", "what was done or seen", "Add to the timeline", empty, note)

    def _written(self, opener: str, placeholder: str, label: str, empty: str, note: Callable[[str], None]) -> None:
        """Offer a button that opens a field and a button that takes what was written; folded until then, as few need it."""
        words = ipywidgets.Text(placeholder=placeholder, layout={"width": "24rem"})
        fields = ipywidgets.HBox(layout={"display": "none", "flex_flow": "row wrap"})

        def act() -> None:
            if self._refuse_busy():
                return
            if not words.value.strip():
                self.say(empty)
                return
            try:
                note(words.value.strip())
            except ResilienceError as exc:
                self.show(views.error(exc), views.text(exc))
                return
            fields.layout.display = "none"

        def unfold() -> None:
            fields.layout.display = "none" if fields.layout.display == "flex" else "flex"

        self._button(opener, unfold)
        self.controls.append(words)
        fields.children = [words, self._made(label, act)]
        self._below.append(fields)

    def ready(self) -> None:
        """Show the row, and offer its first button to the strip. In a saved page a line says which buttons stood here."""
        labels = [one.description for one in self._row if isinstance(one, ipywidgets.Button)]
        row = ipywidgets.HBox(self._row, layout={"flex_flow": "row wrap"})
        widget = ipywidgets.VBox([row, *self._below]) if self._below else row
        display_widget(widget, f"Buttons in JupyterLab: {' · '.join(labels)}" if labels else "")
        self._row, self._below = [], []

    def focus(self) -> None:
        self._here.focus()

    def set_busy(self, busy: bool) -> None:
        for control in self.controls:
            control.disabled = busy

    def _button(self, label: str, act: Callable[[], None]) -> None:
        if not self._row:
            self.strip.offers(self.name, act)
        self._row.append(self._made(label, act))

    def _made(self, label: str, act: Callable[[], None]) -> Any:
        button = ipywidgets.Button(description=label, layout=dict(BUTTON))
        button.on_click(lambda _: act())
        self.controls.append(button)
        return button

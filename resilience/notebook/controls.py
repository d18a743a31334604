"""The buttons, fields and questions below a step's result, for a person in JupyterLab."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets
from IPython.display import display

from resilience.core.errors import ResilienceError
from resilience.core.plain import clean
from resilience.core.records import TestExecutionMode
from resilience.notebook.section import Section, displays
from resilience.show import notebook as views

_BUTTON = {"width": "auto", "flex": "0 0 auto"}
"""As wide as its label: beside a long line it would be squeezed to its first letter."""
_LINE = 200


class ControlledSection(Section):
    """A step's result with its controls. `refuse_busy(section)` is asked before each, `stop()` is what Stop does."""

    def __init__(self, *, refuse_busy: Callable[[Section], bool], stop: Callable[[], None]) -> None:
        super().__init__()
        self._refuse_busy = refuse_busy
        self._stop = stop
        self.stop: Any = None
        self.message: Any = None
        self.said = ""
        self._offered: list[Any] = []

    def show(self, html: str, text: str) -> None:
        """Show it, and its first line beside the buttons: a page that was loaded again is sent widgets, but no new results."""
        super().show(html, text)
        self.said = clean(text.partition("\n")[0], _LINE)
        self.say(self.said)

    def say(self, line: str) -> None:
        if self.message is not None:
            self.message.value = f"<i>{escape(line)}</i>"

    def buttons(self, verbs: Mapping[str, Callable[[], None]]) -> None:
        row = [self._button(label, act) for label, act in verbs.items()]
        self._row(ipywidgets.HBox, row)

    def confirmed(
        self,
        label: str,
        what: Callable[[], str],
        act: Callable[[], None],
        *,
        beside: Mapping[str, Callable[[], None]] | None = None,
    ) -> None:
        """Show a button that changes nothing itself: it says what would change, and only Yes does it.

        What would change is computed when it is asked, so that it is what stands then; where that cannot be said, the
        error is shown and there is no Yes to click.
        """
        words = ipywidgets.HTML()
        yes = ipywidgets.Button(description="Yes, do it", button_style="danger")
        no = ipywidgets.Button(description="No")
        question = ipywidgets.HBox(
            [words, yes, no], layout={"display": "none", "align_items": "center", "flex_flow": "row wrap"}
        )

        def ask() -> None:
            if self._refuse_busy(self):
                return
            try:
                words.value = f"<b>{escape(what())}</b>"
            except ResilienceError as exc:
                self.show(views.error(exc), views.text(exc))
                return
            question.layout.display = "flex"

        def answer(agreed: bool) -> None:
            question.layout.display = "none"
            if agreed:
                act()

        yes.on_click(lambda _: answer(True))
        no.on_click(lambda _: answer(False))
        self.controls += [yes, no]
        first = [*(self._button(*plain) for plain in (beside or {}).items()), self._button(label, ask)]
        self._row(lambda children, **kw: ipywidgets.VBox([ipywidgets.HBox(children, **kw), question]), first)

    def offer(self, offered: bool) -> None:
        for button in self._offered:
            button.layout.display = None if offered else "none"

    def chooser(self, value: str, picked: Callable[[str], None]) -> None:
        options = ["by health", *(mode.value for mode in TestExecutionMode)]
        choice = ipywidgets.ToggleButtons(
            options=options, value=value, description="Mode", style={"button_width": "auto"}
        )
        choice.observe(lambda change: picked(change["new"]), names="value")
        self.controls.append(choice)
        self._row(ipywidgets.HBox, [choice], stoppable=False)

    def by_hand(self, note: Callable[[str], None]) -> None:
        """Show a field for the note. Without one nothing is marked: who reads the record later must learn what was done."""
        self._written(
            "what was done by hand, by whom",
            "Mark as done by hand",
            "Write a note first: what was done, by whom.",
            note,
        )

    def noting(self, note: Callable[[str], None]) -> None:
        """Show a field for the timeline: what people do in an outage is the half of it that no probe sees."""
        self._written("what was done or seen", "Add to the timeline", "Write first what was done or seen.", note)

    def _written(self, placeholder: str, label: str, empty: str, note: Callable[[str], None]) -> None:
        words = ipywidgets.Text(placeholder=placeholder, layout={"width": "24rem"})

        def act() -> None:
            if self._refuse_busy(self):
                return
            if not words.value.strip():
                self.say(empty)
                return
            try:
                note(words.value.strip())
            except ResilienceError as exc:
                self.show(views.error(exc), views.text(exc))

        self.controls.append(words)
        self._row(ipywidgets.HBox, [words, self._button(label, act)], stoppable=False)

    def set_busy(self, busy: bool, mine: bool) -> None:
        for control in self.controls:
            control.disabled = busy
        if self.stop is not None:
            self.stop.disabled = not (busy and mine)
        if not busy:
            self.say(self.said)

    def _button(self, label: str, act: Callable[[], None]) -> Any:
        button = ipywidgets.Button(description=label, layout=dict(_BUTTON))
        button.on_click(lambda _: act())
        self.controls.append(button)
        return button

    def _row(self, box: Callable[..., Any], children: list[Any], *, stoppable: bool = True) -> None:
        if stoppable:
            self.stop = ipywidgets.Button(description="Stop", icon="stop", disabled=True, layout=dict(_BUTTON))
            self.stop.on_click(lambda _: self._stop())
            self.message = ipywidgets.HTML()
            children = [*children, self.stop, self.message]
            self._offered = children[:-1]
        row = box(children)
        row.layout.flex_flow = "row wrap" if isinstance(row, ipywidgets.HBox) else "column"
        if displays():
            display(row)  # type: ignore[no-untyped-call]

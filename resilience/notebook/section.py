"""One step's place on the page: its result as HTML in an output that is updated, so that it stays when the kernel is gone."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from IPython import get_ipython
from IPython.display import display, update_display

from resilience.show import notebook as views


class Section:
    """A step's result. Here nobody sits: what would show a control shows none; `controls.ControlledSection` does.

    Results are never widgets, which are blank in a page that is opened later: they are plain HTML beside plain text,
    and only controls are widgets.
    """

    def __init__(self) -> None:
        self.html = ""
        self.text = ""
        self.title = ""
        self.steps: list[str] = []
        self.controls: list[Any] = []
        self._id = f"rb-{uuid.uuid4().hex}"
        self._shown = False

    def show(self, html: str, text: str) -> None:
        """Show this in the place of what was there."""
        self.html, self.text = html, text
        if not displays():
            return
        data = {"text/html": views.page(html), "text/plain": text}
        put = update_display if self._shown else display
        put(data, raw=True, display_id=self._id)  # type: ignore[no-untyped-call]
        self._shown = True

    def begin(self, what: str) -> None:
        """Show that a step began; its lines follow by `step`."""
        self.title, self.steps = what, []
        self.show(views.busy(what), what)

    def step(self, line: str) -> None:
        """Add a line to what is being done."""
        self.steps.append(line)
        self.show(views.busy(self.title, self.steps), line)

    def say(self, line: str) -> None:
        """Say something beside the buttons."""

    def buttons(self, verbs: Mapping[str, Callable[[], None]]) -> None:
        """Show a row of buttons, and a button that stops what they start."""

    def confirmed(
        self,
        label: str,
        what: Callable[[], str],
        act: Callable[[], None],
        *,
        beside: Mapping[str, Callable[[], None]] | None = None,
    ) -> None:
        """Show a button that first says what it will change, and asks; plain buttons may stand `beside` it."""

    def offer(self, offered: bool) -> None:
        """Show the row's buttons, or hide them where there is nothing to click for; what is said beside them stays."""

    def chooser(self, value: str, picked: Callable[[str], None]) -> None:
        """Show the modes to choose from."""

    def by_hand(self, note: Callable[[str], None]) -> None:
        """Show how to say that this step was done by hand."""

    def noting(self, note: Callable[[str], None]) -> None:
        """Show a field for a note on the timeline."""

    def set_busy(self, busy: bool, mine: bool) -> None:
        """Let nothing be clicked while a step runs, but Stop where the step is `mine`."""


def displays() -> bool:
    """Say whether there is a page to show something on: this process is IPython's."""
    return get_ipython() is not None

"""One step's place on the page: its results as HTML in an output that is updated, so that they stay when the kernel is gone."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from IPython import get_ipython
from IPython.display import display, update_display

from resilience.show import notebook as views

_KEPT = 4
"""Earlier results that are kept in full; of those before, only the line and the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a step found, with the time that it is true of."""

    html: str
    text: str
    at: datetime

    @property
    def line(self) -> str:
        return self.text.partition("\n")[0]


class Section:
    """A step's results. Here nobody sits: what would show a control shows none; `controls.ControlledSection` does.

    Each result keeps its time, and the one before it: it is folded below, not overwritten, as what stands further down the
    page was decided on it. What is going on, an error and a question are shown above, and go with the next.

    Results are never widgets, which are blank in a page that is opened later: they are plain HTML beside plain text,
    and only controls are widgets.
    """

    def __init__(self) -> None:
        self.html = ""
        self.text = ""
        self.title = ""
        self.steps: list[str] = []
        self.controls: list[Any] = []
        self.results: list[Result] = []
        self._id = f"rb-{uuid.uuid4().hex}"
        self._shown = False

    def place(self) -> None:
        """Take the output of the cell that runs now as the place on the page, for what is known and what comes later."""
        self._shown = False
        self._put()

    def show(self, html: str, text: str) -> None:
        """Show this for now, above what the step found before."""
        before = "".join(views.folded(f"Before: {_stamped(one)}", one.html) for one in self.results[:1])
        self.html, self.text = html + (before if html else "".join(self._found())), text
        self._put()

    def result(self, html: str, text: str, *, at: datetime | None = None) -> None:
        """Show what the step found, true of `at` (now where it is left out); what it found before is folded below."""
        found = Result(html=html, text=text, at=at or datetime.now(UTC))
        if self.results and self.results[0].at == found.at:
            self.results.pop(0)
        self.results.insert(0, found)
        first, _, others = text.partition("\n")
        self.text = "\n".join(filter(None, (f"{first} ({views.as_of(found.at)})", others)))
        self.html = "".join(self._found())
        self._put()

    def _found(self) -> list[str]:
        """Return the latest result with its time, and those before it folded, the oldest as lines alone."""
        if not self.results:
            return []
        latest, before = self.results[0], self.results[1:]
        parts = [views.stamp(latest.at), latest.html]
        parts += [views.folded(f"Before: {_stamped(one)}", one.html) for one in before[:_KEPT]]
        if older := before[_KEPT:]:
            parts.append(views.folded(f"{len(older)} before these", views.listed(map(_stamped, older))))
        return parts

    def _put(self) -> None:
        if not displays():
            return
        data = {"text/html": views.page(self.html) if self.html else "<div></div>", "text/plain": self.text}
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
        """Say something where the person looks, without a place on the page."""

    def buttons(self, verbs: Mapping[str, Callable[[], None]]) -> None:
        """Offer what needs no question."""

    def confirmed(self, label: str, what: Callable[[], str], act: Callable[[], None]) -> None:
        """Offer what first says what it will change, and asks."""

    def chooser(self, value: str, picked: Callable[[str], None]) -> None:
        """Show the modes to choose from."""

    def by_hand(self, note: Callable[[str], None]) -> None:
        """Offer to say that this step was done by hand."""

    def noting(self, note: Callable[[str], None]) -> None:
        """Offer a field for a note on the timeline."""

    def ready(self) -> None:
        """Show the controls that were offered, as one row."""

    def focus(self) -> None:
        """Bring this section onto the screen."""

    def set_busy(self, busy: bool) -> None:
        """Let nothing be clicked while a step runs."""


def _stamped(result: Result) -> str:
    return f"{views.as_of(result.at)}: {result.line}"


def displays() -> bool:
    """Say whether there is a page to show something on: this process is IPython's."""
    return get_ipython() is not None

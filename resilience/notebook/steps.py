"""Carry out one step of a notebook, in its cell or after a click, and show how it ended where its result would be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any, cast

from resilience.core.errors import OrderError
from resilience.core.records import Incident, StageName
from resilience.host.vantage import vantage
from resilience.notebook.confirm import Confirmation, confirm
from resilience.notebook.parameters import NOTEBOOKS
from resilience.notebook.passed import ParameterValues
from resilience.notebook.section import Section
from resilience.runs.runbook import Run
from resilience.show import notebook as views


class Steps:
    """How the steps of one notebook are carried out. One at a time: while a clicked step runs, no other is begun.

    Clicks arrive on the kernel's loop while a cell awaits; an error in a callback is seen nowhere, hence `_start`.
    """

    def __init__(self, run: Run, parameters: ParameterValues, *, interactive: bool = False) -> None:
        self.run = run
        self.parameters = parameters
        self.interactive = interactive
        self.task: asyncio.Task[None] | None = None
        self.sections: dict[str, Section] = {}
        self._strip: Any = None

    @property
    def incident(self) -> Incident:
        """The run's record as it is now."""
        return self.run.incident

    def stop(self) -> None:
        """Stop what a click started."""
        if self.task is not None and not self.task.done():
            self.task.cancel()

    @property
    def strip(self) -> Any:
        """The strip at the top of a page that a person clicks on; made when it is first needed."""
        if self._strip is None:
            self._strip = _controls().ControlledStrip(self.stop)
        return self._strip

    def _cell(self, name: str) -> Section:
        """Return the section of this name, placed into the cell that runs now, also where that is run again."""
        section = self._section(name)
        section.place()
        return section

    def _section(self, name: str) -> Section:
        if name not in self.sections:
            self.sections[name] = self._new_section(name)
        return self.sections[name]

    def _new_section(self, name: str) -> Section:
        if not self.interactive:
            return Section()
        return cast(Section, _controls().ControlledSection(name, strip=self.strip, refuse_busy=self._refuse_busy))

    async def _do(self, section: Section, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Carry out a step within its cell; an error is the cell's."""
        section.begin(what)
        try:
            await work()
        except BaseException as exc:
            section.show(
                views.error(exc) if isinstance(exc, Exception) else views.box("Stopped.", kind="warn"), f"{exc}"
            )
            raise
        finally:
            self._show_standing()

    def _start(self, section: Section, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Carry out a step that was clicked, as a task, and return at once, as the kernel must go on answering clicks.

        The run's record is read again first: another notebook or a command line may have gone on with it. An error or a
        stop is shown where the result would be, as a task's exception is seen nowhere else.
        """
        if self._refuse_busy():
            return
        self._busy(True)
        section.begin(what)
        section.focus()

        async def run() -> None:
            try:
                self.run.refresh()
                await work()
            except asyncio.CancelledError:
                stopped = "Stopped by you; what was done so far stands in the run's record."
                section.show(views.box(stopped, kind="warn"), stopped)
            except Exception as exc:  # noqa: BLE001 - shown instead of raised, see above
                section.show(views.error(exc), views.text(exc))
            finally:
                self._busy(False)
                self._ended()
                section.focus()

        self.task = asyncio.get_running_loop().create_task(run())

    def _ended(self) -> None:
        """Show anew what depends on how the clicked step ended."""

    def _show_standing(self) -> None:
        """Show anew how things stand."""

    def _refuse_busy(self) -> bool:
        busy = self.task is not None and not self.task.done()
        if busy:
            self.strip.say("Something is still running: wait for it, or stop it.")
        return busy

    def _busy(self, busy: bool) -> None:
        for section in self.sections.values():
            section.set_busy(busy)
        if self.interactive:
            self.strip.set_busy(busy)

    def _clicked(self, action: str) -> Confirmation:
        return confirm(action, parameter="apply", declared=False, clicked_by=who())

    def _only_looked(self, section: Section, stage: StageName, agreed: Confirmation, why: str) -> None:
        if self.interactive:
            return
        self.run.skip(stage, why)
        plan = self.incident.plan
        by_hand = views.by_hand_view(plan.by_hand) if plan is not None else ""
        section.show(views.box(agreed.how) + by_hand, f"{why}. {agreed.how}")

    def _by_hand(self, section: Section, stage: StageName) -> bool:
        note = self.parameters.get("done_by_hand", "")
        if note:
            self._note_by_hand(section, stage, note)
        return bool(note)

    def _note_by_hand(self, section: Section, stage: StageName, note: str) -> None:
        done = self.run.done_by_hand(stage, note)
        line = f"{stage.value.replace('_', ' ')} was done by hand by {done.by}: {done.note}"
        section.result(views.box(line, kind="good"), line)
        self._show_standing()

    def _fresh(self, record: Any, stage: StageName) -> None:
        """Refuse to build upon a record that is older than `max_age_minutes`; a missing one is refused by the run."""
        made = getattr(record, "started_at", None) or getattr(record, "decided_at", None)
        limit = self.parameters.get("max_age_minutes")
        if made is None or not limit or datetime.now(UTC) - made <= timedelta(minutes=limit):
            return
        age = (datetime.now(UTC) - made).total_seconds() / 60
        raise OrderError(
            f"what {stage.value} left in run {self.incident.run} is {age:.0f} minutes old; at most {limit:g} are taken.",
            hint=f"run notebooks/{NOTEBOOKS[stage]}.ipynb again, or -p max_age_minutes {age + 1:.0f}",
        )


def _controls() -> ModuleType:
    # Not at start-up: ipywidgets is slow to load, and headless there is nobody to click.
    from resilience.notebook import controls

    return controls


def who() -> str:
    """Return who sits here, as records name a person: user@host."""
    here = vantage()
    return f"{here.user}@{here.host}"

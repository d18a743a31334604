"""Go through the runbook in a notebook: the verbs of `Run`, shown as they happen, with buttons where a person sits.

Results are plain HTML in outputs that are updated: they stay when the kernel is gone. Only controls are widgets.
Headless the same cells carry out what the parameters allow, and show it. There is no logic of the runbook here.
"""

from __future__ import annotations

import asyncio
import base64
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from resilience.core.errors import OrderError, ResilienceError, VerdictError
from resilience.core.records import (
    Applied,
    Decision,
    EventKind,
    Incident,
    InfrastructureHealth,
    Plan,
    Recovery,
    RecoveryCheck,
    Restored,
    StageName,
    TestExecutionMode,
    TestSuiteResult,
)
from resilience.core.settings import Settings
from resilience.core.words import plural, seconds
from resilience.host.vantage import vantage
from resilience.notebook import kernel
from resilience.notebook.confirm import Confirmation, confirm
from resilience.notebook.judging import fails
from resilience.notebook.parameters import NOTEBOOKS
from resilience.notebook.passed import Asked, read_parameters
from resilience.runs.runbook import Run, open_run
from resilience.show import notebook as views

if TYPE_CHECKING:
    from resilience.suite.records import Progress

_REDRAW_S = 0.2
_RESTORE = "This puts the env file back to the byte and stops the stand-ins that apply started. No database is touched."


def open_notebook(namespace: Mapping[str, Any]) -> Notebook:
    """Open the runbook in the notebook whose `globals()` these are, with the parameters it declares.

    Raises SettingsError for an unknown parameter or a value that cannot be used, UsageError where the run is not there.
    """
    asked = read_parameters(namespace)
    kernel.show_records()
    if kernel.in_kernel():
        kernel.forget_own_variables(os.environ)
    wanted = asked.get("run", "")
    if wanted == "latest":
        wanted = _named_run() or wanted
    given = {name: value for name, value in asked.items() if name not in ("run", "config")}
    run = open_run(
        wanted,
        config=asked.get("config", ""),
        environment=asked.get("environment", ""),
        outputs=asked.get("outputs", ""),
        apply=bool(asked.get("apply", False)),
        parameters=given,
    )
    kernel.redact_outputs(run.redactor)
    return Notebook(run, asked, interactive=kernel.interactive())


class Notebook:
    """The runbook in a notebook. Each verb is one cell: it shows its result below itself and gives the record."""

    def __init__(self, run: Run, asked: Asked, *, interactive: bool = False) -> None:
        self.run = run
        self.asked = asked
        self.interactive = interactive
        self.task: asyncio.Task[None] | None = None
        self.sections: dict[str, Section] = {}
        recovery = {
            field: asked[name]
            for field, name in (("good", "good"), ("interval_s", "interval_s"), ("dwell_s", "dwell_s"))
            if asked.get(name)
        }
        if recovery:
            run.settings = replace(run.settings, recovery=replace(run.settings.recovery, **recovery))

    @property
    def incident(self) -> Incident:
        """The run's record as it is now."""
        return self.run.incident

    @property
    def settings(self) -> Settings:
        return self.run.settings

    def frame(self, name: str) -> Any:
        """Return this run's "services", "samples" or "tests" as a pandas frame, one row each, to explore in a cell.

        Seconds are floats, times are UTC, status and fault are words; texts are redacted. What is not known yet has no row.
        """
        # Not at start-up: pandas is slow to load, and only who asks for a frame should wait for it.
        from resilience.report.frames import frame
        from resilience.report.texts import redacted

        return frame(name, redacted(self.incident, self.run.redactor.text), self.run.samples())

    def __repr__(self) -> str:
        return f"run {self.incident.run} in {self.run.folder} ({self._may()})"

    def _repr_html_(self) -> str:
        drill = f". This is a drill ({self.incident.drill})" if self.incident.drill else ""
        lines = [f"Run folder: {self.run.folder}", f"Configuration: {self.settings.source or 'the environment alone'}"]
        return views.page(
            views.head(f"RUN {self.incident.run} · environment {self.incident.environment}"),
            views.box(self._may() + drill, kind="warn" if self._applies else "note"),
            "".join(f'<div class="dim">{escape(line)}</div>' for line in lines),
        )

    @property
    def _applies(self) -> bool:
        return bool(self.asked.get("apply", False))

    def _may(self) -> str:
        if self._applies:
            return "apply is True: steps that change something are carried out"
        if self.interactive:
            return "looks only, until you click a button that says what it changes"
        return "looks only: apply is False, nothing is changed"

    # What only looks

    async def assess(self) -> InfrastructureHealth | None:
        """Look at staging, and show each service, what was found, and the likely causes."""
        section = self._section("assess")
        if self.interactive:
            section.buttons(
                {
                    "Look again": lambda: self._start(section, "Looking at staging", self._assess),
                    "Look 5 times": lambda: self._start(section, "Looking 5 times", lambda: self._assess(5)),
                }
            )
        await self._do(section, "Looking at staging", self._assess)
        return self.incident.latest

    async def _assess(self, samples: int = 0) -> None:
        health = await self.run.assess(samples=samples or self.asked.get("samples", 1))
        self._show_health(health)
        if "mode" in self.sections and self.incident.applied is None:
            self._choose(self._forced())
            self._show_plan()

    def _show_health(self, health: InfrastructureHealth) -> None:
        self._section("assess").show(views.health_view(health, self.run.samples()), views.text(health))

    def choose_mode(self) -> Decision | None:
        """Choose how to run the tests, and say why; a person may overrule it."""
        self._fresh(self.incident.latest, StageName.ASSESS)
        section = self._section("mode")
        if self.interactive:
            section.chooser(self.asked.get("mode", "") or "by health", self._mode_picked)
        self._choose(self.asked.get("mode", ""))
        return self.incident.decision

    def _choose(self, mode: str) -> None:
        by = f"a click by {_who()}" if self.interactive and mode != self.asked.get("mode", "") else "the parameter mode"
        decision = self.run.choose_mode(force=mode or None, asked_by=by)
        self._section("mode").show(
            views.decision_view(decision) + views.modes_view(self.settings.modes, decision.mode), views.text(decision)
        )

    def _forced(self) -> str:
        decision = self.incident.decision
        return decision.mode.value if decision is not None and decision.forced else ""

    def _mode_picked(self, word: str) -> None:
        if self._refuse_busy(self._section("mode")):
            return
        try:
            self._choose("" if word == "by health" else TestExecutionMode(word).value)
            self._show_plan()
        except ResilienceError as exc:
            self._section("mode").show(views.error(exc), views.text(exc))

    def make_plan(self) -> Plan | None:
        """Show what apply would do, in the words it will use, and how to undo it."""
        self._fresh(self.incident.decision, StageName.CHOOSE_MODE)
        plan = self.run.make_plan()
        self._section("plan").show(views.plan_view(plan), views.text(plan))
        return plan

    def _show_plan(self) -> None:
        if "plan" in self.sections:
            plan = self.run.make_plan()
            self._section("plan").show(views.plan_view(plan), views.text(plan))

    # What changes something

    async def apply(self) -> Applied | None:
        """Start the stand-ins and write the env file, where that was agreed to; else say how to agree."""
        section = self._section("apply")
        if self._by_hand(section, StageName.APPLY_FALLBACK):
            return None
        agreed = confirm("apply the plan", parameter="apply", declared=self._applies)
        if self.interactive:
            section.confirmed(
                "Apply the plan…",
                lambda: self._what_apply_does(),
                lambda: self._start(section, "Applying the plan", lambda: self._apply(self._clicked("apply the plan"))),
            )
            section.by_hand(lambda note: self._note_by_hand(section, StageName.APPLY_FALLBACK, note))
        if agreed:
            self._fresh(self.incident.decision, StageName.CHOOSE_MODE)
            await self._do(section, "Applying the plan", lambda: self._apply(agreed))
        else:
            self._only_looked(section, StageName.APPLY_FALLBACK, agreed, "nothing was changed: apply is False")
        return self.incident.applied

    def _what_apply_does(self) -> str:
        plan = self.incident.plan or self.run.make_plan()
        count = f"starts {plural(len(plan.stand_ins), 'stand-in')} on this machine and "
        return (
            f"This {count if plan.stand_ins else ''}changes {plural(len(plan.changes), 'variable')} in {plan.env_file}."
        )

    async def _apply(self, agreed: Confirmation) -> None:
        section = self._section("apply")
        self.run.event("apply agreed to", agreed.by, kind=EventKind.CONFIRMED)
        applied = await self.run.apply(on_step=section.step)
        section.show(views.applied_view(applied), views.text(applied))
        if "plan" in self.sections and self.incident.plan is not None:
            shown = views.plan_view(self.incident.plan, carried_out=True)
            self._section("plan").show(shown, views.text(self.incident.plan))
        if applied.redecided and "mode" in self.sections and self.incident.decision is not None:
            self._section("mode").show(views.decision_view(self.incident.decision), views.text(self.incident.decision))

    async def run_tests(self) -> TestSuiteResult | None:
        """Run the tests in the chosen mode, where that was agreed to, with the failures as they come."""
        section = self._section("tests")
        if self._by_hand(section, StageName.RUN_TESTS):
            return None
        agreed = confirm("run the tests", parameter="apply", declared=self._applies)
        if self.interactive:
            section.buttons(
                {
                    "Run the tests": lambda: self._start(
                        section, "Running the tests", lambda: self._tests(self._clicked("run the tests"))
                    )
                }
            )
            section.by_hand(lambda note: self._note_by_hand(section, StageName.RUN_TESTS, note))
        if agreed:
            self._fresh(self.incident.decision, StageName.CHOOSE_MODE)
            await self._do(section, "Running the tests", lambda: self._tests(agreed))
        else:
            self._only_looked(section, StageName.RUN_TESTS, agreed, "no tests were run: apply is False")
        return self.incident.tests

    async def _tests(self, agreed: Confirmation) -> None:
        section = self._section("tests")
        self.run.event("tests agreed to", agreed.by, kind=EventKind.CONFIRMED)
        minutes = self.asked.get("timeout_minutes", 0.0)
        result = await self.run.run_tests(
            select=self.asked.get("select", ""),
            on_progress=_Live(section),
            total_timeout_s=minutes * 60 if minutes else None,
        )
        section.show(views.tests_view(result), views.text(result))

    async def validate_recovery(self, *, if_needed: bool = False) -> Recovery | None:
        """Watch staging until enough good looks in a row prove that it is back. Changes nothing.

        `if_needed` leaves it out where nothing was applied or tested in this run.
        """
        section = self._section("recovery")
        if self._by_hand(section, StageName.VALIDATE_RECOVERY):
            return None
        if self.interactive:
            want = self.settings.recovery
            section.buttons({"Watch staging": lambda: self._start(section, "Watching staging", self._recovery)})
            section.by_hand(lambda note: self._note_by_hand(section, StageName.VALIDATE_RECOVERY, note))
            wanted = f"{want.good} good looks in a row, {want.interval_s:g} s apart, over at least {want.dwell_s:g} s."
            section.show(views.gauge(0, want.good) + views.box(wanted), wanted)
        elif if_needed and self.incident.applied is None and self.incident.tests is None:
            why = "nothing was applied or tested, so there is nothing to come back from"
            self.run.skip(StageName.VALIDATE_RECOVERY, why)
            section.show(views.box(f"Left out: {why}."), f"Left out: {why}.")
        else:
            await self._do(section, "Watching staging", self._recovery)
        return self.incident.recovery

    async def _recovery(self) -> None:
        section = self._section("recovery")
        checks: list[RecoveryCheck] = []

        def on_check(check: RecoveryCheck) -> None:
            checks.append(check)
            line = f"{check.in_a_row} of {self.settings.recovery.good} good checks in a row"
            section.show(
                views.head("RECOVERY: watching staging")
                + views.gauge(check.in_a_row, self.settings.recovery.good, checks),
                line,
            )
            if "assess" in self.sections and self.interactive and self.incident.latest is not None:
                self._show_health(self.incident.latest)

        recovery = await self.run.validate_recovery(wait_s=self.asked.get("wait_minutes", 0.0) * 60, on_check=on_check)
        section.show(views.recovery_view(recovery), views.text(recovery))

    async def restore(self) -> Restored | None:
        """Put back, to the byte, what apply changed, where that was agreed to."""
        section = self._section("restore")
        wanted = bool(self.asked.get("restore", True))
        agreed = confirm("put everything back", parameter="apply", declared=self._applies and wanted)
        if self.interactive:
            section.confirmed(
                "Restore…",
                lambda: _RESTORE,
                lambda: self._start(section, "Restoring", lambda: self._restore(self._clicked("restore"))),
            )
        if agreed and not self.interactive:
            await self._do(section, "Restoring", lambda: self._restore(agreed))
        elif self.interactive:
            section.show("", "")
        elif self.incident.applied is None or self.incident.restored is not None:
            section.show(views.box("Nothing of this run is applied."), "Nothing of this run is applied.")
        else:
            why = "The fallback stays applied: " + ("restore is False." if self._applies else agreed.how)
            section.show(views.box(why, kind="warn", hint="resilience restore"), why)
        return self.incident.restored

    async def _restore(self, agreed: Confirmation) -> None:
        section = self._section("restore")
        self.run.event("restore agreed to", agreed.by, kind=EventKind.CONFIRMED)
        restored = await self.run.restore(on_step=section.step)
        section.show(views.restored_view(restored), views.text(restored))

    # The end

    async def report(self) -> tuple[Path, ...]:
        """Write the report from all that is known, and show the run at a glance with its charts."""
        section = self._section("report")
        made: list[tuple[Path, ...]] = []

        async def make() -> None:
            files = await asyncio.to_thread(self.run.report)
            made.append(files)
            section.show(self._report_view(files), views.text(self.incident))

        if self.interactive:
            section.buttons({"Write the report": lambda: self._start(section, "Writing the report", make)})
            section.show("", "")
        else:
            await self._do(section, "Writing the report", make)
        return made[-1] if made else ()

    def _report_view(self, files: Sequence[Path]) -> str:
        pictures = "".join(
            f'<img alt="{escape(file.stem)}" style="max-width:100%;background:#fff;margin:.3em 0" '
            f'src="data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}">'
            for file in files
            if file.suffix == ".png" and file.exists()
        )
        where = f"Report: {self.run.folder / 'report.html'}"
        return views.incident_view(self.incident, files) + views.box(where, kind="good") + pictures

    def finish(self) -> None:
        """Show the run at a glance; raise VerdictError where it counts as failed: papermill then does not exit with 0.

        Under `resilience run` and in front of a person nothing is raised: there the runner, or the person, judges.
        """
        self.run.refresh()
        self._show_run()
        why = fails(self.incident, self.asked.get("fail_on", "never"))
        if why and not self.interactive and not kernel.run_by_us():
            raise VerdictError(why, hint=f"see {self.run.folder}")

    def _show_run(self) -> None:
        self._section("finish").show(views.incident_view(self.incident), views.text(self.incident))

    # How a step is carried out, in both worlds

    def _section(self, name: str) -> Section:
        if name not in self.sections:
            self.sections[name] = Section(self)
        return self.sections[name]

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
            self._busy(section, False)

    def _start(self, section: Section, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Carry out a step that was clicked, as a task; an error is shown where the result would be."""
        if self._refuse_busy(section):
            return
        self._busy(section, True)
        section.begin(what)

        async def run() -> None:
            try:
                self.run.refresh()
                await work()
            except asyncio.CancelledError:
                section.show(
                    views.box("Stopped by you; what was done so far stands in the run's record.", kind="warn"),
                    "Stopped.",
                )
            except Exception as exc:  # noqa: BLE001 - an error of a click is seen nowhere else
                section.show(views.error(exc), views.text(exc))
            finally:
                self._busy(section, False)
                if "finish" in self.sections:
                    self._show_run()

        self.task = asyncio.get_running_loop().create_task(run())

    def stop(self) -> None:
        """Stop what a click started."""
        if self.task is not None and not self.task.done():
            self.task.cancel()

    def _refuse_busy(self, section: Section) -> bool:
        busy = self.task is not None and not self.task.done()
        if busy:
            section.say("Something is still running: wait for it, or stop it.")
        return busy

    def _busy(self, owner: Section, busy: bool) -> None:
        for section in self.sections.values():
            section.set_busy(busy, owner is section)

    def _clicked(self, action: str) -> Confirmation:
        return confirm(action, parameter="apply", declared=False, clicked_by=_who())

    def _only_looked(self, section: Section, stage: StageName, agreed: Confirmation, why: str) -> None:
        if self.interactive:
            section.show("", "")
            return
        self.run.skip(stage, why)
        plan = self.incident.plan
        by_hand = views.by_hand_view(plan.by_hand) if plan is not None else ""
        section.show(views.box(agreed.how) + by_hand, f"{why}. {agreed.how}")

    def _by_hand(self, section: Section, stage: StageName) -> bool:
        note = self.asked.get("done_by_hand", "")
        if note:
            self._note_by_hand(section, stage, note)
        return bool(note)

    def _note_by_hand(self, section: Section, stage: StageName, note: str) -> None:
        done = self.run.done_by_hand(stage, note)
        line = f"{stage.value.replace('_', ' ')} was done by hand by {done.by}: {done.note}"
        section.show(views.box(line, kind="good"), line)

    def _fresh(self, record: Any, stage: StageName) -> None:
        """Refuse to build upon a record that is older than `max_age_minutes`; a missing one is refused by the run."""
        made = getattr(record, "started_at", None) or getattr(record, "decided_at", None)
        limit = self.asked.get("max_age_minutes")
        if made is None or not limit or datetime.now(UTC) - made <= timedelta(minutes=limit):
            return
        age = (datetime.now(UTC) - made).total_seconds() / 60
        raise OrderError(
            f"what {stage.value} left in run {self.incident.run} is {age:.0f} minutes old; at most {limit:g} are taken.",
            hint=f"run notebooks/{NOTEBOOKS[stage]}.ipynb again, or -p max_age_minutes {age + 1:.0f}",
        )


class Section:
    """One step's place on the page: its result as HTML that is updated, and its controls, if any, below."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.html = ""
        self.text = ""
        self.title = ""
        self.steps: list[str] = []
        self.controls: list[Any] = []
        self.stop: Any = None
        self.message: Any = None
        self._id = f"rb-{uuid.uuid4().hex}"
        self._shown = False

    def show(self, html: str, text: str) -> None:
        """Show this in the place of what was there."""
        self.html, self.text = html, text
        if not _displays():
            return
        from IPython.display import display, update_display

        data = {"text/html": views.page(html), "text/plain": text}
        if self._shown:
            update_display(data, raw=True, display_id=self._id)  # type: ignore[no-untyped-call]
        else:
            display(data, raw=True, display_id=self._id)  # type: ignore[no-untyped-call]
            self._shown = True

    def begin(self, what: str) -> None:
        self.title, self.steps = what, []
        self.show(views.busy(what), what)

    def step(self, line: str) -> None:
        """Add a line to what is being done."""
        self.steps.append(line)
        self.show(views.busy(self.title, self.steps), line)

    def say(self, line: str) -> None:
        if self.message is not None:
            self.message.value = f"<i>{escape(line)}</i>"

    def buttons(self, verbs: Mapping[str, Callable[[], None]]) -> None:
        """Show a row of buttons, and one that stops what they start."""
        import ipywidgets

        row = [self._button(label, act) for label, act in verbs.items()]
        self._row(ipywidgets.HBox, row)

    def confirmed(self, label: str, what: Callable[[], str], act: Callable[[], None]) -> None:
        """Show a button that first says what it will change, and asks."""
        import ipywidgets

        words = ipywidgets.HTML()
        yes = ipywidgets.Button(description="Yes, do it", button_style="danger")
        no = ipywidgets.Button(description="No")
        question = ipywidgets.HBox(
            [words, yes, no], layout={"display": "none", "align_items": "center", "flex_flow": "row wrap"}
        )

        def ask() -> None:
            if self.notebook._refuse_busy(self):
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
        first = self._button(label, ask)
        self._row(lambda children, **kw: ipywidgets.VBox([ipywidgets.HBox(children, **kw), question]), [first])

    def chooser(self, value: str, picked: Callable[[str], None]) -> None:
        """Show the modes to choose from."""
        import ipywidgets

        options = ["by health", *(mode.value for mode in TestExecutionMode)]
        choice = ipywidgets.ToggleButtons(
            options=options, value=value, description="Mode", style={"button_width": "auto"}
        )
        choice.observe(lambda change: picked(change["new"]), names="value")
        self.controls.append(choice)
        self._row(ipywidgets.HBox, [choice], stoppable=False)

    def by_hand(self, note: Callable[[str], None]) -> None:
        """Show how to say that this step was done by hand."""
        import ipywidgets

        words = ipywidgets.Text(placeholder="what was done by hand, by whom", layout={"width": "24rem"})

        def act() -> None:
            if self.notebook._refuse_busy(self):
                return
            if not words.value.strip():
                self.say("Write a note first: what was done, by whom.")
                return
            try:
                note(words.value.strip())
            except ResilienceError as exc:
                self.show(views.error(exc), views.text(exc))

        self.controls.append(words)
        self._row(ipywidgets.HBox, [words, self._button("Mark as done by hand", act)], stoppable=False)

    def set_busy(self, busy: bool, mine: bool) -> None:
        for control in self.controls:
            control.disabled = busy
        if self.stop is not None:
            self.stop.disabled = not (busy and mine)
        if not busy:
            self.say("")

    def _button(self, label: str, act: Callable[[], None]) -> Any:
        import ipywidgets

        button = ipywidgets.Button(description=label, layout={"width": "auto"})
        button.on_click(lambda _: act())
        self.controls.append(button)
        return button

    def _row(self, box: Callable[..., Any], children: list[Any], *, stoppable: bool = True) -> None:
        import ipywidgets

        if stoppable:
            self.stop = ipywidgets.Button(description="Stop", icon="stop", disabled=True, layout={"width": "auto"})
            self.stop.on_click(lambda _: self.notebook.stop())
            self.message = ipywidgets.HTML()
            children = [*children, self.stop, self.message]
        row = box(children)
        row.layout.flex_flow = "row wrap" if isinstance(row, ipywidgets.HBox) else "column"
        if _displays():
            from IPython.display import display

            display(row)  # type: ignore[no-untyped-call]


class _Live:
    """Shows a running test run, a few times a second at most."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.drawn = 0.0

    def __call__(self, progress: Progress) -> None:
        now = monotonic()
        if now - self.drawn < _REDRAW_S:
            return
        self.drawn = now
        left = f"about {seconds(progress.eta_s)} left" if progress.eta_s else ""
        again = f"round {progress.round}" if progress.round > 1 else ""
        which = f"command {progress.number} of {progress.commands}" if progress.commands > 1 else ""
        note = progress.note or (progress.phase if progress.phase != "running" else "")
        said = " · ".join(filter(None, (which, again, note, left)))
        html = views.progress_view(
            progress.counts,
            done=progress.finished,
            total=progress.collected,
            current=f"{progress.current} ({seconds(progress.current_s)})" if progress.current else progress.command,
            note=said,
            failures=progress.failures,
        )
        self.section.show(html, f"tests: {progress.finished} of {progress.collected}" + (f" · {said}" if said else ""))


def _displays() -> bool:
    with suppress(ImportError, NameError):
        from IPython import get_ipython

        return get_ipython() is not None
    return False


def _named_run() -> str:
    return os.environ.get("RESILIENCE_RUN", "")


def _who() -> str:
    here = vantage()
    return f"{here.user}@{here.host}"

"""The verbs of `Run` as cells of a notebook: each shows its result below itself and returns the record.

Where a person sits each has buttons; headless the same cells carry out what the parameters allow. There is no logic of
the runbook here.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

from resilience import stand_ins
from resilience.core.errors import ResilienceError, VerdictError
from resilience.core.plan import changes_anything
from resilience.core.records import (
    Applied,
    Decision,
    EventKind,
    ExitCode,
    InfrastructureHealth,
    Plan,
    Recovery,
    RecoveryCheck,
    Restored,
    StageName,
    TestExecutionMode,
    TestSuiteResult,
    Verdict,
)
from resilience.core.settings import Settings
from resilience.core.verdict import judge_run
from resilience.core.words import plural, tests_line
from resilience.fallback import journal as journals
from resilience.fallback.standing import situation_of
from resilience.notebook import kernel
from resilience.notebook.banner import Banner, banner
from resilience.notebook.confirm import Confirmation, confirm
from resilience.notebook.judging import fails
from resilience.notebook.links import Links
from resilience.notebook.live import LiveProgress
from resilience.notebook.passed import ParameterValues
from resilience.notebook.section import Section
from resilience.notebook.steps import Steps, who
from resilience.notebook.strip import Strip, strip_of
from resilience.report.texts import redacted
from resilience.runs.ending import leave_report
from resilience.runs.people import note as put_down
from resilience.runs.runbook import WATCH_S, Run, applied_run
from resilience.show import notebook as views

EVERY_ACTION = frozenset({"assess", "apply", "tests", "recovery", "restore", "report", "undo", "go_on"})
_AFTER_RUN_ALL_S = 0.5
_READ = ("report.html", "summary.md", "report.md")
"""Files of a run that a person opens to read."""
_RESTORE = "This puts the env file back to the byte and stops the stand-ins that apply started. No database of staging is touched."


class Notebook(Steps):
    """The runbook in a notebook. Each verb is one cell: it shows its result below itself and returns the record.

    `interactive` decides between two worlds: buttons and tasks for a person, or one pass in which an error is the
    cell's. A verb returns None where its step was left out.

    For example:

        notebook = open_notebook(globals())
        await notebook.assess()
    """

    def __init__(
        self, run: Run, parameters: ParameterValues, *, interactive: bool = False, links: Links | None = None
    ) -> None:
        super().__init__(run, parameters, interactive=interactive)
        self.links = links or Links()
        self._take(run)

    def _take(self, run: Run) -> None:
        """Work on this run from now on, with what the parameters say of the recovery."""
        recovery = {
            name: self.parameters[name] for name in ("good", "interval_s", "dwell_s") if self.parameters.get(name)
        }
        if recovery:
            run.settings = replace(run.settings, recovery=replace(run.settings.recovery, **recovery))
        self.run = run

    @property
    def settings(self) -> Settings:
        return self.run.settings

    def frame(self, name: str) -> Any:
        """Return this run's "services", "samples" or "tests" as a pandas frame, one row each, to explore in a cell.

        Seconds are floats, times are UTC, status and fault are words; texts are redacted. What is not known yet has no row.
        """
        # Not at start-up: pandas is slow to load, and only who asks for a frame should wait for it.
        from resilience.report.frames import frame

        return frame(name, redacted(self.incident, self.run.redactor.text), self.run.samples())

    def __repr__(self) -> str:
        return f"run {self.incident.run} in {self.run.folder} ({self._may()})"

    def _repr_html_(self) -> str:
        drill = f" · a drill ({self.incident.drill})" if self.incident.drill else ""
        known = f"configuration: {self.settings.source or 'the environment alone'}"
        line = f"Run {self.incident.run}, environment {self.incident.environment} · {self._may()}{drill}"
        more = f"folder: {self.run.folder} · {known}"
        return views.page(
            f'<div class="rb-run"><div class="dim">{escape(line)}</div><div class="dim">{escape(more)}</div></div>'
        )

    @property
    def _applies(self) -> bool:
        return bool(self.parameters.get("apply", False))

    def _may(self) -> str:
        if self._applies:
            return "apply is True: steps that change something are carried out"
        if self.interactive:
            return "looks only, until you click a button that says what it changes"
        return "looks only: apply is False, nothing is changed"

    # How things stand

    def show_strip(self) -> None:
        """Show at the top how staging is, what the tests said, what is applied and what comes next; it follows the steps.

        What is applied is read from the journal, by whichever run: a page that is opened on it may go on with it or undo it.
        """
        self._cell("strip")
        if self.interactive:
            self.strip.offers("go_on", self._go_on)
            self.strip.offers("undo", self._ask_undo)
            self.strip.display()
        self._show_standing()

    def _new_section(self, name: str) -> Section:
        # What is saved of the strip: its live twin is one widget with all that can be clicked.
        return Section() if name == "strip" else super()._new_section(name)

    def _standing(self) -> Strip:
        """Return how things stand, from the same facts as `resilience status`."""
        found = self._banner()
        known = self.incident
        journal = None if found.damaged else journals.load(self.settings.state)
        dead = [] if journal is None else [one.service for one in stand_ins.status(self.settings) if not one.ready]
        left = journals.left_behind(self.settings.state, self.settings.places.env_files) if journal is None else None
        situation = replace(
            situation_of(
                journal,
                dead,
                configured=self.settings.source is not None,
                left_behind=str(left.path) if left is not None else "",
            ),
            staging=known.latest.overall_status if known.latest is not None else None,
            blocked=known.decision is not None and known.decision.blocked,
            changes=known.decision is not None and changes_anything(known.decision),
        )
        offered = self.strip.offered if self.interactive else EVERY_ACTION
        return strip_of(known, found, situation, reported=self._reported(), offered=offered, now=datetime.now(UTC))

    def _reported(self) -> bool:
        """Say whether a report was written after all that this run did."""
        ends = {stage.name: stage.finished_at for stage in self.incident.stages if stage.finished_at is not None}
        written = ends.pop(StageName.REPORT, None)
        restored = self.incident.restored
        done = [*ends.values(), *([restored.restored_at] if restored is not None else [])]
        return written is not None and all(at <= written for at in done)

    def _show_standing(self) -> None:
        if "strip" not in self.sections:
            return
        strip = self._standing()
        then = views.step_view(strip.step.label, strip.step.why, strip.step.notebook)
        said = views.step_text(strip.step.label, strip.step.why, strip.step.notebook)
        self.sections["strip"].show(
            views.strip_view(strip.facts, then, at=strip.at, live=False),
            views.strip_text(strip.facts, said, at=strip.at),
        )
        if self.interactive:
            self.strip.update(strip, undo=self._banner().offered)

    def _banner(self) -> Banner:
        return banner(self.settings.state, self.run.folder, now=datetime.now(UTC))

    def _ask_undo(self) -> None:
        if not self._refuse_busy():
            self.strip.ask(_RESTORE, self._undo)

    def _undo(self) -> None:
        section = self._section("restore")
        self._start(section, "Restoring", lambda: self._restore(self._clicked("restore")))

    def _go_on(self) -> None:
        """Take up the run that is applied, and show what its record knows in the sections that are on the page."""
        if self._refuse_busy():
            return
        try:
            run = applied_run(self.settings)
            if run is not None and run.folder != self.run.folder:
                kernel.redact_outputs(run.redactor)
                self._take(run)
                for section in self.sections.values():
                    section.results.clear()  # of the run before
            self.run.refresh()
        except ResilienceError as exc:
            self.strip.say(views.text(exc))
            return
        for name in self.sections:
            self._show_known(name)
        self._show_standing()
        going_on = f"Going on with run {self.incident.run}: run the tests, watch staging, or undo."
        self.strip.say(going_on if self._banner().line else "Nothing is applied here any more.")

    def _show_known(self, name: str) -> bool:
        """Show what the record knows of a step; say whether it knows anything. Of a fallback that is undone it does not tell."""
        known = self.incident
        shown: tuple[tuple[str, Any, Callable[[Any], str], Callable[[Any], datetime]], ...] = (
            ("assess", known.latest, self._health_view, _after),
            ("mode", known.decision, self._decision_view, lambda one: one.decided_at),
            ("plan", known.plan, self._plan_view, lambda _: self._planned_at()),
            ("apply", known.applied if self.run.applied_now else None, views.applied_view, lambda one: one.applied_at),
            ("tests", known.tests, self._tests_view, _after),
            ("recovery", known.recovery, views.recovery_view, _after),
            (
                "restore",
                None if self.run.applied_now else known.restored,
                views.restored_view,
                lambda one: one.restored_at,
            ),
        )
        for step, record, view, at in shown:
            if step == name and record is not None:
                self._section(name).result(view(record), views.text(record), at=at(record))
                return True
        return False

    def _planned_at(self) -> datetime:
        """Return when the plan was made: with the decision, whose plan it is."""
        decision = self.incident.decision
        return decision.decided_at if decision is not None else datetime.now(UTC)

    def _health_view(self, health: InfrastructureHealth) -> str:
        return views.health_view(health, self.run.samples())

    def _plan_view(self, plan: Plan) -> str:
        return views.plan_view(plan, carried_out=self.run.applied_now)

    def _tests_view(self, result: TestSuiteResult) -> str:
        return views.tests_view(result, self._link_in_checkout) + views.links_view(
            {Path(command.log).name: self._link(command.log) for command in result.commands if command.log}
        )

    def _link(self, path: str) -> str:
        """Return the link to a file of the run."""
        return self.links.to(self.run.folder / path)

    def _link_in_checkout(self, where: str) -> str:
        """Return the link to a file of the team's, as `tests/test_a.py:12` names it."""
        return self.links.to(self.settings.root / where.partition(":")[0])

    # What only looks

    async def assess(self) -> InfrastructureHealth | None:
        """Look at staging, and show each service, what was found, and the likely causes.

        Raises as `runs.stages.assess` does; after a click the error is shown instead.
        """
        section = self._cell("assess")
        section.buttons(
            {
                "Look again": lambda: self._start(section, "Looking at staging", self._assess),
                "Look 5 times": lambda: self._start(section, "Looking 5 times", lambda: self._assess(5)),
            }
        )
        section.ready()
        self._show_known("assess")  # what was decided and applied before a restart rests on it
        await self._do(section, "Looking at staging", self._assess)
        return self.incident.latest

    async def _assess(self, samples: int = 0) -> None:
        await self.run.assess(samples=samples or self.parameters.get("samples", 1))
        self._show_known("assess")
        if "mode" in self.sections and self.incident.applied is None:
            self._choose(self._forced())
            self._show_plan()

    def choose_mode(self) -> Decision | None:
        """Choose how to run the tests, and say why; a person may overrule it.

        Raises OrderError where the look is missing, or older than `max_age_minutes`.
        """
        self._fresh(self.incident.latest, StageName.ASSESS)
        section = self._cell("mode")
        section.chooser(self.parameters.get("mode", "") or "by health", self._mode_picked)
        section.ready()
        self._choose(self.parameters.get("mode", ""))
        return self.incident.decision

    def _choose(self, mode: str) -> None:
        clicked = self.interactive and mode != self.parameters.get("mode", "")
        by = f"a click by {who()}" if clicked else "the parameter mode"
        self.run.choose_mode(force=mode or None, asked_by=by)
        self._replace_known("mode")
        self._show_standing()

    def _replace_known(self, name: str) -> None:
        """Show what the record knows of a choice in the place of the choice before, of which nothing was carried out."""
        if self.incident.applied is None:
            self._section(name).results.clear()
        self._show_known(name)

    def _decision_view(self, decision: Decision) -> str:
        return views.decision_view(decision) + views.modes_view(self.settings.modes, decision.mode)

    def _forced(self) -> str:
        decision = self.incident.decision
        return decision.mode.value if decision is not None and decision.forced else ""

    def _mode_picked(self, word: str) -> None:
        if self._refuse_busy():
            return
        try:
            self._choose("" if word == "by health" else TestExecutionMode(word).value)
            self._show_plan()
        except ResilienceError as exc:
            self._section("mode").show(views.error(exc), views.text(exc))

    def make_plan(self) -> Plan | None:
        """Show what apply would do, in the words it will use, and how to undo it."""
        self._fresh(self.incident.decision, StageName.CHOOSE_MODE)
        self.run.make_plan()
        self._cell("plan")
        self._show_known("plan")
        return self.incident.plan

    def _show_plan(self) -> None:
        if "plan" in self.sections:
            self.run.make_plan()
            self._replace_known("plan")

    # What changes something

    async def apply(self) -> Applied | None:
        """Start the stand-ins and write the env file, where that was agreed to; else say how to agree.

        Agreed is: `apply` is True, or a person's click, never a default. A note in `done_by_hand` records the step and
        carries out nothing. A decision that is older than `max_age_minutes` is refused, as staging may have changed.

        Raises LockedError, EditedError, StandInError; after a click the error is shown instead.
        """
        section = self._cell("apply")
        if self._by_hand(section, StageName.APPLY_FALLBACK):
            return None
        agreed = confirm("apply the plan", parameter="apply", declared=self._applies)
        section.confirmed(
            "Apply the plan…",
            self._what_apply_does,
            lambda: self._start(section, "Applying the plan", lambda: self._apply(self._clicked("apply the plan"))),
        )
        section.by_hand(lambda note: self._note_by_hand(section, StageName.APPLY_FALLBACK, note))
        section.ready()
        if agreed:
            self._fresh(self.incident.decision, StageName.CHOOSE_MODE)
            await self._do(section, "Applying the plan", lambda: self._apply(agreed))
        elif not (self.interactive and self._show_known("apply")):
            self._only_looked(section, StageName.APPLY_FALLBACK, agreed, "nothing was changed: apply is False")
        self._show_standing()
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
        section.result(views.applied_view(applied), views.text(applied), at=applied.applied_at)
        for name in ("plan", *(("mode",) if applied.redecided else ())):
            if name in self.sections:
                self._show_known(name)

    async def run_tests(self) -> TestSuiteResult | None:
        """Run the tests in the chosen mode, where that was agreed to, with the failures as they come.

        Agreed as for `apply`, by the same parameter: the team's tests may change what they talk to. What the tests say
        raises nothing here; `finish` judges it. Where the decision says that they are blocked they are left out, as by
        `resilience test`; a person's click runs them all the same.
        """
        section = self._cell("tests")
        if self._by_hand(section, StageName.RUN_TESTS):
            return None
        agreed = confirm("run the tests", parameter="apply", declared=self._applies)
        section.buttons(
            {
                "Run the tests": lambda: self._start(
                    section, "Running the tests", lambda: self._tests(self._clicked("run the tests"))
                )
            }
        )
        section.by_hand(lambda note: self._note_by_hand(section, StageName.RUN_TESTS, note))
        section.ready()
        decision = self.incident.decision
        if agreed:
            self._fresh(decision, StageName.CHOOSE_MODE)
        if agreed and decision is not None and decision.blocked:
            self.run.skip(StageName.RUN_TESTS, "blocked by infrastructure")
            section.result(views.box(tests_line(decision), kind="warn"), tests_line(decision))
        elif agreed:
            await self._do(section, "Running the tests", lambda: self._tests(agreed))
        elif not (self.interactive and self._show_known("tests")):
            self._only_looked(section, StageName.RUN_TESTS, agreed, "no tests were run: apply is False")
        self._show_standing()
        return self.incident.tests

    async def _tests(self, agreed: Confirmation) -> None:
        section = self._section("tests")
        self.run.event("tests agreed to", agreed.by, kind=EventKind.CONFIRMED)
        minutes = self.parameters.get("timeout_minutes", 0.0)
        result = await self.run.run_tests(
            select=self.parameters.get("select", ""),
            on_progress=LiveProgress(section),
            total_timeout_s=minutes * 60 if minutes else None,
            teach_if_well=bool(self.parameters.get("teach", False)),
        )
        section.result(self._tests_view(result), views.text(result), at=_after(result))

    async def validate_recovery(self, *, if_needed: bool = False) -> Recovery | None:
        """Watch staging until enough good looks in a row prove that it is back. Changes nothing.

        In front of a person it waits for a click, as it may take an hour during which no other cell runs. `if_needed`
        leaves it out where nothing was applied or tested in this run.

        `wait_minutes` of the parameters is how long to go on after a bad look; 0 gives up at the first, and where a person
        clicked watches for as long as `resilience recover`, a shift.
        """
        section = self._cell("recovery")
        if self._by_hand(section, StageName.VALIDATE_RECOVERY):
            return None
        if self.interactive:
            want = self.settings.recovery
            section.buttons({"Watch staging": lambda: self._start(section, "Watching staging", self._recovery)})
            section.by_hand(lambda note: self._note_by_hand(section, StageName.VALIDATE_RECOVERY, note))
            section.ready()
            wanted = f"{want.good} good looks in a row, {want.interval_s:g} s apart, over at least {want.dwell_s:g} s."
            if not self._show_known("recovery"):
                section.show(views.gauge(0, want.good) + views.box(wanted), wanted)
        elif if_needed and self.incident.applied is None and self.incident.tests is None:
            why = "nothing was applied or tested, so there is nothing to come back from"
            self.run.skip(StageName.VALIDATE_RECOVERY, why)
            section.result(views.box(f"Left out: {why}."), f"Left out: {why}.")
        else:
            await self._do(section, "Watching staging", self._recovery)
        self._show_standing()
        return self.incident.recovery

    async def _recovery(self) -> None:
        """Watch staging until it stays well, and show each look, when the next one is, and how long it goes on at most.

        In front of a person it lasts a shift where no `wait_minutes` is given, as the button said "watch" and ended with the
        first bad look; headless that still ends it, for nobody is there to stop it.
        """
        section = self._section("recovery")
        checks: list[RecoveryCheck] = []
        wait_s = self.parameters.get("wait_minutes", 0.0) * 60 or (WATCH_S if self.interactive else 0.0)
        ends = datetime.now(UTC) + timedelta(seconds=wait_s)

        def on_check(check: RecoveryCheck) -> None:
            checks.append(check)
            want = self.settings.recovery
            line = f"{check.in_a_row} of {want.good} good checks in a row"
            then = f"next look at {check.at + timedelta(seconds=want.interval_s):%H:%M:%S} UTC"
            until = f"watching until {ends:%Y-%m-%d %H:%M} UTC at most" if wait_s else "one bad look ends it"
            section.show(
                views.head("RECOVERY: watching staging")
                + views.gauge(check.in_a_row, want.good, checks)
                + views.box(f"Looked at {check.at:%H:%M:%S} UTC; {then}; {until}."),
                f"{line}; {then}",
            )
            self._show_standing()

        recovery = await self.run.validate_recovery(wait_s=wait_s, on_check=on_check)
        section.result(views.recovery_view(recovery), views.text(recovery), at=_after(recovery))

    async def restore(self) -> Restored | None:
        """Put back, to the byte, what apply changed, where that was agreed to.

        Headless it follows `apply` unless `restore` is False, so that nobody who agreed to the change must agree twice.
        In front of a person it always waits for a click, since `Run all` must not end a fallback that is still needed.
        """
        section = self._cell("restore")
        wanted = bool(self.parameters.get("restore", True))
        agreed = confirm("put everything back", parameter="apply", declared=self._applies and wanted)
        if self.interactive:
            section.confirmed(
                "Restore…",
                lambda: _RESTORE,
                self._undo,
            )
            section.ready()
        if agreed and not self.interactive:
            await self._do(section, "Restoring", lambda: self._restore(agreed))
        elif self.interactive:
            self._show_known("restore")
        elif self.incident.applied is None or self.incident.restored is not None:
            section.result(views.box("Nothing of this run is applied."), "Nothing of this run is applied.")
        else:
            why = "The fallback stays applied: " + ("restore is False." if self._applies else agreed.how)
            section.result(views.box(why, kind="warn", hint="resilience restore"), why)
        self._show_standing()
        return self.incident.restored

    async def _restore(self, agreed: Confirmation) -> None:
        section = self._section("restore")
        self.run.event("restore agreed to", agreed.by, kind=EventKind.CONFIRMED)
        restored = await self.run.restore(on_step=section.step)
        section.result(views.restored_view(restored), views.text(restored), at=restored.restored_at)

    # The end

    async def report(self) -> tuple[Path, ...]:
        """Write the report from all that is known, and show the run at a glance with its charts.

        Returns the files written: none where a person has not clicked yet. It is written in a thread, as the page must
        go on answering while charts are drawn.
        """
        section = self._cell("report")
        made: list[tuple[Path, ...]] = []

        async def make() -> None:
            files = await asyncio.to_thread(self.run.report)
            made.append(files)
            section.result(self._report_view(files), views.text(self.incident))

        if self.interactive:
            section.buttons({"Write the report": lambda: self._start(section, "Writing the report", make)})
            section.noting(self._add_note)
            section.confirmed(
                "Publish…",
                self._what_publish_writes,
                lambda: self._start(self._section("publish"), "Publishing", self._publish),
            )
            section.ready()
            self._cell("publish")
        else:
            await self._do(section, "Writing the report", make)
        self._show_standing()
        return made[-1] if made else ()

    def _add_note(self, text: str) -> None:
        incident = put_down(self.settings, text)
        line = f"Noted on the timeline{f' of {incident}' if incident else ''}; a report written from now on shows it."
        self._section("publish").result(views.box(line, kind="good"), line)

    def _what_publish_writes(self) -> str:
        """Show the exact text that would be written, and return where; raises UsageError where nothing may be written."""
        telling = _telling()
        to = telling.target(self.settings)
        body = telling.compose(self.run.folder, self.settings, url=telling.report_url(os.environ)).body
        section = self._section("publish")
        section.show(f"<pre>{escape(body)}</pre>", f"The text to be written:\n{body}")
        section.focus()
        return f"This writes the text below section 6 onto issue {to.issue} of {to.repository}, and news of it where there is any."

    async def _publish(self) -> None:
        telling = _telling()
        lines = telling.outcome_lines(await telling.publish_run(self.run))
        self._section("publish").result("".join(views.box(line) for line in lines), "\n".join(lines))

    def _report_view(self, files: Sequence[Path]) -> str:
        pictures = "".join(
            f'<img class="chart" alt="{escape(file.stem)}" '
            f'src="data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}">'
            for file in files
            if file.suffix == ".png" and file.exists()
        )
        opened = views.links_view({name: self._link(name) for name in _READ})
        where = views.box(f"Report: {self.run.folder / 'report.html'}", kind="good")
        return where + opened + pictures + views.incident_view(self.incident, files)

    def finish(self) -> None:
        """Write the end of the run and show it at a glance; raise VerdictError where it counts as failed for papermill.

        papermill then does not exit with 0; before it, the run is published where the parameter says so. Under
        `resilience run` and in front of a person neither is done: there the runner, which also writes the end, or the
        person, judges and publishes. What is done after it makes the run go on.
        """
        self.run.refresh()
        self._cell("finish")
        self._end()
        self._show_run()
        if "restore" not in self.sections and self.interactive:
            self._cell("restore")  # where Undo of the strip shows what it did
        self._show_standing()
        if self.interactive:
            self._focus_where_it_stands()
        if self.interactive or kernel.run_by_us():
            return
        if self.parameters.get("publish", False):
            # In a thread, as the loop of the kernel is busy with this cell; after the end, which is what people are told.
            with ThreadPoolExecutor(max_workers=1) as thread:
                thread.submit(lambda: asyncio.run(self._publish())).result()
        if why := fails(self.incident, self.parameters.get("fail_on", "never")):
            raise VerdictError(why, hint=f"see {self.run.folder}")

    def _focus_where_it_stands(self) -> None:
        """Bring the latest step that found something onto the screen, as running all cells ends at the last one."""
        order = ("restore", "recovery", "tests", "apply", "assess")
        for name in order:
            section = self.sections.get(name)
            if section is not None and section.results:
                # JupyterLab itself scrolls to the last cell when that has run.
                asyncio.get_running_loop().call_later(_AFTER_RUN_ALL_S, section.focus)
                return

    def _end(self) -> None:
        if not kernel.run_by_us() and self.incident.verdict is Verdict.RUNNING:
            self.run.finish()

    def broke_off(self, error: BaseException) -> None:
        """Put back what was applied, and leave a report and an end, after a cell that nobody sits in front of raised.

        papermill ends the kernel after the first error, so that no later cell would. Called in the kernel's own thread, whose
        loop is busy with the cell. A restore that fails costs neither.
        """
        if isinstance(error, VerdictError):
            return  # the last cell's own, behind the end
        if self._applies and self.parameters.get("restore", True) and self.incident.restored is None:
            try:
                with ThreadPoolExecutor(max_workers=1) as thread:
                    thread.submit(lambda: asyncio.run(self.run.restore())).result()
            except (ResilienceError, OSError) as exc:
                self.run.note(f"restoring failed: {type(exc).__name__}: {exc}")
        stopped = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
        found, code = judge_run(self.incident)
        if stopped:
            found, code = Verdict.INTERRUPTED, ExitCode.INTERRUPTED
        elif found not in (Verdict.RUNBOOK_FAILED, Verdict.TIMED_OUT):
            found, code = Verdict.RUNBOOK_FAILED, ExitCode.RUNBOOK_FAILED
        leave_report(self.run, verdict=found, exit_code=code)
        self._show_run()
        self._show_standing()

    def _show_run(self) -> None:
        section = self._section("finish")
        section.results.clear()
        section.result(views.incident_view(self.incident), views.text(self.incident))

    def _ended(self) -> None:
        if "finish" in self.sections:
            self._end()
            self._show_run()
        self._show_standing()


def _after(record: InfrastructureHealth | TestSuiteResult | Recovery) -> datetime:
    """Return when what took a while was over."""
    return record.started_at + timedelta(seconds=record.duration_s)


def _telling() -> ModuleType:
    # Here, as every kernel would load an HTTP client that only publishing needs.
    from resilience.runs import telling

    return telling

"""The stages of the runbook in their order: each takes what the stage before left in the run, and leaves its own record.

assess → choose_mode → make_plan → apply_fallback → run_tests → validate_recovery → restore → report. A stage whose
predecessor's record is missing, or older than a shift, is refused with the notebook and the command that make it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from resilience import stand_ins as local
from resilience.core import codec
from resilience.core.assess import is_good
from resilience.core.errors import OrderError, UsageError, did_you_mean
from resilience.core.mode import decide, stricter
from resilience.core.plan import NOTHING, changes_anything, make_plan as planned_for, selection, values_to_apply
from resilience.core.records import (
    Applied,
    CommandEnd,
    ConnectivityStatus,
    Decision,
    EventKind,
    Incident,
    InfrastructureHealth,
    Plan,
    PlannedCommand,
    Recovery,
    RecoveryCheck,
    Restored,
    StageName,
    TestExecutionMode,
    TestSuiteResult,
    TimelineEvent,
    Verdict,
)
from resilience.core.settings import RecoverySettings, Service, Settings
from resilience.core.steadiness import flapping_services
from resilience.core.variables import APPLIED
from resilience.core.verdict import judge_run, with_end
from resilience.core.words import staging_line, totals_line
from resilience.fallback import apply as applying, journal as journals, restore as restoring
from resilience.host.lock import locked
from resilience.host.vantage import vantage
from resilience.runs import memory, testing
from resilience.runs.escalating import note_outage, remember_facts
from resilience.runs.folder import RunFolder
from resilience.runs.looking import check_endpoints, look, samples_of
from resilience.runs.recalling import facts_of_run
from resilience.runs.tasks import with_tasks
from resilience.runs.testing import SuiteOptions
from resilience.teach.store import Store, lines

if TYPE_CHECKING:
    from resilience.suite.records import Progress

R = TypeVar("R")
MAX_AGE = timedelta(hours=12)
"""A record older than this is not built upon: an on-call shift."""
WATCH_S = MAX_AGE.total_seconds()
"""How long staging is waited for where nobody says: the same shift."""

NEXT = {
    StageName.ASSESS: ("01_assess.ipynb", "resilience assess"),
    StageName.CHOOSE_MODE: ("02_choose_mode.ipynb", "resilience mode"),
}
"""Stage → the notebook and the command that leave the record on which later stages build."""


async def assess(run: RunFolder, *, samples: int = 1, critical: bool = False) -> InfrastructureHealth:
    """Stage 1: look at staging `samples` times (no pause needed: each look takes its slowest probe's time).

    The first look of a run freezes its endpoints and dates the outage. Raises UsageError for fewer than one sample.

    `critical` looks at critical services only. What flaps over the samples so far is not believed to be well. Raises
    NotConfiguredError, and SettingsError where an endpoint is another than at the first look.
    """
    if samples < 1:
        raise UsageError(f"samples={samples}: at least 1 was expected.", hint="--samples 3")
    with run.stage(StageName.ASSESS, notebook="01_assess.ipynb"):
        health = await _look(run, StageName.ASSESS.value, critical=critical)
        for _ in range(samples - 1):
            flapping = flapping_services(run.samples())
            health = await _look(run, StageName.ASSESS.value, critical=critical, flapping=flapping)
        first = run.incident.health is None
        run.save(health=run.incident.health or health, latest=health)
        if first or health.overall_status is not ConnectivityStatus.AVAILABLE:
            note_outage(run, health)
        run.event("assessed", staging_line(health), kind=EventKind.DETECTED, link="samples.csv")
    return health


async def _look(
    run: RunFolder, stage: str, *, critical: bool = False, flapping: Sequence[str] = ()
) -> InfrastructureHealth:
    health = await look(run.settings, critical=critical, flapping=flapping)
    check_endpoints(run.incident.health, health)
    run.add_samples(samples_of(health, stage))
    return health


def choose_mode(
    run: RunFolder, force: TestExecutionMode | str | None = None, *, asked_by: str = "", extend: bool = False
) -> Decision:
    """Stage 2: how to run the tests, and why. `force` overrules, and the report says so.

    A fallback that is applied counts as it is; with `extend` it takes in what died since, and its mode may only get
    stricter: what is in use is not taken from tests that may be running.

    Raises OrderError without a look, or with one that is older than a shift; UsageError for a mode that is unknown.
    """
    with run.stage(StageName.CHOOSE_MODE, notebook="02_choose_mode.ipynb"):
        health = needed(run, run.incident.latest, StageName.ASSESS)
        mode = parse_mode(force) if force else None
        applied = run.incident.applied if run.applied_now else None
        now = datetime.now(UTC)
        in_use = tuple(s.service for s in applied.stand_ins if s.ready) if applied else ()
        in_mode = applied.mode if applied else None
        if extend and in_mode is not None:
            anew = decide(health, run.settings.services, run.settings.wishes, now=now, force=mode)
            if died := [name for name in anew.stand_ins if name not in in_use]:
                in_use, in_mode = (*in_use, *died), stricter(in_mode, anew.mode)
        decision = decide(
            health,
            run.settings.services,
            run.settings.wishes,
            now=now,
            force=mode,
            asked_by=asked_by or "the parameter mode",
            applied=in_mode,
            in_use=in_use,
        )
        _take(run, decision)
        run.save()
    return decision


def _take(run: RunFolder, decision: Decision) -> None:
    run.save(decision=decision)
    run.event(f"mode {decision.mode.value} chosen", "; ".join(decision.reasons), kind=EventKind.MODE)


def without_stand_ins(run: RunFolder) -> Decision:
    """Nothing is applied here: hold back, instead, what would have run on stand-ins.

    For a run that may not apply: such tests would fail against a dead staging and look like bugs. Raises OrderError.
    """
    decision = needed(run, run.incident.decision, StageName.CHOOSE_MODE)
    if decision.stand_ins:
        decision = unapplied(decision)
        run.save(decision=decision)
    return decision


def unapplied(decision: Decision, serving: Collection[str] = ()) -> Decision:
    """Return the decision for tests to which only these stand-ins are given: the others' tests are held back."""
    why = "its stand-in is not applied: resilience apply"
    missing = {name: f"{name} is down and {why}" for name in decision.stand_ins if name not in serving}
    stand_ins = tuple(name for name in decision.stand_ins if name in serving)
    return replace(decision, stand_ins=stand_ins, held={**decision.held, **missing})


def make_plan(run: RunFolder) -> Plan:
    """Return what apply would do, in the words it will use. Changes nothing but the run's record.

    Raises OrderError as `choose_mode` does.
    """
    health = needed(run, run.incident.latest, StageName.ASSESS)
    decision = needed(run, run.incident.decision, StageName.CHOOSE_MODE)
    return _plan_at(run, decision, health, local.foreseen(_to_stand_in(run.settings, decision), run.settings))


def plan_here(decision: Decision, health: InfrastructureHealth, settings: Settings) -> Plan:
    """Return what apply would do by this decision, for who only looks and keeps no run."""
    placement = local.foreseen(_to_stand_in(settings, decision), settings)
    return _planned(decision, health, settings.at_ports(placement.ports), placement)


def _to_stand_in(settings: Settings, decision: Decision) -> tuple[Service, ...]:
    return tuple(service for service in settings.services if service.name in decision.stand_ins)


def _plan_at(run: RunFolder, decision: Decision, health: InfrastructureHealth, placement: local.Placement) -> Plan:
    """Return the plan with the stand-ins where they will be: from here on the run's settings name these ports."""
    run.settings = run.settings.at_ports(placement.ports)
    plan = _planned(decision, health, run.settings, placement, run.applied_id)
    run.save(plan=plan)
    return plan


def _planned(
    decision: Decision, health: InfrastructureHealth, settings: Settings, placement: local.Placement, run: str = ""
) -> Plan:
    before = journals.variables_before(settings.state, settings.env_file)
    taught = [one.name for one in settings.services if one.teach and one.name in decision.stand_ins]
    known = lines(Store(settings.state), taught, datetime.now(UTC), settings.teach.stale_days) if taught else ()
    notes = (*placement.why.values(), *known)
    return planned_for(decision, health, settings.planning, before=before, run=run, environ=os.environ, notes=notes)


async def apply_fallback(
    run: RunFolder,
    *,
    on_step: Callable[[str], None] | None = None,
    on_progress: Callable[[str], None] | None = None,
    fresh: bool = False,
    take_over: bool = False,
) -> Applied:
    """Stage 3: start stand-ins and write the env file; where a stand-in does not come up, decide once more.

    `on_step` is told the plan's own words, `on_progress` (else `on_step` too) what is done meanwhile.
    Raises LockedError (75), EditedError, StandInError where even the second decision cannot be applied.

    `fresh` throws the stand-ins' data away first; `take_over` takes the lock from another process of this checkout.
    """
    with run.stage(StageName.APPLY_FALLBACK, notebook="03_apply_fallback.ipynb"):
        needed(run, run.incident.latest, StageName.ASSESS)
        decision = needed(run, run.incident.decision, StageName.CHOOSE_MODE)
        tell = _Telling(on_step, on_progress)
        applied: Applied = await _carry_out(run, decision, tell, fresh=fresh, take_over=take_over)
        if applied.failed:
            applied, decision = await _decide_again(run, applied, tell, take_over=take_over)
        run.save(applied=_plain(applied))
        if applied.env_file and changes_anything(decision):
            serving = ", ".join(f"{s.service} ({s.provider})" for s in applied.stand_ins if s.ready)
            run.event("fallback applied", serving, kind=EventKind.APPLIED)
        run.save()
    return applied


class _Telling:
    """Who is told of the steps of the plan, and who of what is done meanwhile."""

    def __init__(self, on_step: Callable[[str], None] | None, on_progress: Callable[[str], None] | None) -> None:
        self.on_step = on_step
        self.on_progress = on_progress


async def _decide_again(run: RunFolder, first: Applied, tell: _Telling, *, take_over: bool) -> tuple[Applied, Decision]:
    """Decide and apply once more, without the stand-ins that did not come up; they stay in the record, with the reason."""
    failed = tuple(stand_in for stand_in in first.stand_ins if not stand_in.ready)
    run.event(
        "a stand-in did not come up",
        "; ".join(f"{s.service}: {s.error}" for s in failed),
        kind=EventKind.STAND_IN_FAILED,
    )
    health = needed(run, run.incident.latest, StageName.ASSESS)
    before = run.incident.decision
    decision = decide(
        health,
        run.settings.services,
        run.settings.wishes,
        now=datetime.now(UTC),
        force=before.mode if before is not None and before.forced else None,
        asked_by=before.asked_by if before is not None else "",
        failed_stand_ins=first.failed,
    )
    _take(run, decision)
    second = await _carry_out(run, decision, tell, fresh=False, take_over=take_over)
    whole = replace(second, redecided=True, failed=first.failed, stand_ins=(*second.stand_ins, *failed))
    return whole, decision


async def _carry_out(
    run: RunFolder, decision: Decision, tell: _Telling, *, fresh: bool, take_over: bool
) -> applying.AppliedHere:
    """Carry out the plan, or return a record that says that this mode changes nothing.

    It is made anew for the ports that the stand-ins get now, which are held until they are up: since it was shown another
    checkout may have taken one. The endpoints of the first look go into the journal: until `restore`, nobody may look at
    staging elsewhere.
    """
    if not changes_anything(decision):
        plan = run.incident.plan or make_plan(run)
        return applying.AppliedHere(
            run="",
            mode=plan.mode,
            applied_at=datetime.now(UTC),
            host=vantage().host,
            env_file="",
            stand_ins=(),
            changes=(),
            steps=(NOTHING,),
        )
    health = needed(run, run.incident.latest, StageName.ASSESS)
    say = tell.on_progress or tell.on_step
    async with local.placed(_to_stand_in(run.settings, decision), run.settings) as placement:
        plan = _plan_at(run, decision, health, placement)
        settings = run.settings
        for line in placement.why.values():
            run.event("a stand-in is on another port", line)
            if say is not None:
                say(line)
        before = journals.variables_before(settings.state, settings.env_file)
        return await applying.apply(
            plan,
            values_to_apply(decision, health, settings.planning, run=run.applied_id, before=before),
            settings.places,
            settings.services,
            journals.Origin(
                run=run.applied_id,
                folder=run.folder,
                endpoints={result.name: result.endpoint for result in (run.incident.health or health).services},
                commit=run.incident.commit,
            ),
            start=lambda services: local.start(
                services,
                settings,
                fresh=fresh,
                # What prepares a stand-in is said with its command, in which a password may stand.
                on_progress=None if say is None else lambda what: say(run.redactor.text(what)),
            ),
            on_step=tell.on_step,
            on_progress=tell.on_progress,
            take_over=take_over,
        )


def _plain(applied: Applied) -> Applied:
    names = [name for name in Applied.__slots__ if hasattr(applied, name)]
    return Applied(**{name: getattr(applied, name) for name in names})


async def run_tests(
    run: RunFolder,
    commands: Sequence[str] | None = None,
    *,
    select: str = "",
    on_progress: Callable[[Progress], None] | None = None,
    timeout_s: float | None = None,
    total_timeout_s: float | None = None,
    wait_for_services_s: float | None = None,
    exit_code: str = "ours",
    output: Callable[[bytes], None] | None = None,
    folder: Path | None = None,
    take_over: bool = False,
    teach: bool = False,
    teach_if_well: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> TestSuiteResult:
    """Stage 4: run the team's commands in the mode; an outage never looks like a bug, nor a bug like an outage.

    `commands` replace those configured for the mode, and run in `folder`; the configured ones run at the repository's root.
    What a cancelled run knew is in the record before the cancellation goes on. Raises LockedError (75), SettingsError where
    no command is known, UsageError for a selection that is none and for commands that are not there.

    With `teach` the tests go to staging through the recorder, and what those that passed were told is learned for its stand-ins;
    NotWellError is raised where staging is not well enough for that, UsageError where nothing is to teach. `teach_if_well` runs the
    tests all the same then, learns nothing, and says why.

    `select` is a marker expression in place of the mode's; for the limits see `SuiteOptions`. Staging is sampled in
    the background meanwhile, so that the report can hold failures against it.
    """
    # Here, as in `testing.run_commands`.
    from resilience.suite.testrun import TestRunInterrupted

    options = SuiteOptions(
        on_progress=on_progress,
        timeout_s=timeout_s,
        total_timeout_s=total_timeout_s,
        wait_for_services_s=wait_for_services_s,
        exit_code=exit_code,
        output=output,
        folder=folder if commands else None,
    )
    with run.stage(StageName.RUN_TESTS, notebook="04_run_tests.ipynb"):
        health = needed(run, run.incident.latest, StageName.ASSESS)
        decision = needed(run, run.incident.decision, StageName.CHOOSE_MODE)
        if commands:
            chosen = select or selection(decision.mode, run.settings.modes, run.settings.wishes)
            planned = tuple(PlannedCommand(command=command, select=chosen) for command in commands)
        else:
            planned = testing.commands_of(decision.mode, run.settings, select)
        with locked(run.settings.state, "test", run=run.incident.run, take_over=take_over):
            run.event("tests started", "; ".join(command.command for command in planned), kind=EventKind.TESTS_STARTED)
            run.save()
            try:
                async with testing.sampling(run, StageName.RUN_TESTS.value):
                    if teach or teach_if_well:
                        # Here, as it brings the recorder and an HTTP client.
                        from resilience.runs import teaching

                        learn = teaching.run_and_learn if teach else teaching.run_and_learn_if_well
                        result = await learn(run, planned, decision, health, options, say=say)
                    else:
                        result = await testing.run_and_look_again(run, planned, decision, health, options)
            except TestRunInterrupted as exc:
                run.save(tests=exc.partial)
                raise
        if commands and not select and (left_out := testing.left_out_by_mode(result)):
            said = f"{testing.narrowed(decision.mode, planned[0].select)} (left out: {left_out})"
            result = replace(result, notes=(said, *result.notes))
        run.save(tests=result)
        if exit_code == "ours":
            testing.refuse_unstarted(result)
        run.event("tests finished", totals_line(result.totals), kind=EventKind.TESTS_FINISHED, link="junit.xml")
        run.save()
        note_outage(run, needed(run, run.incident.latest, StageName.ASSESS))
    return result


def block_tests(run: RunFolder) -> None:
    """Leave stage 4 out, as infrastructure blocks the whole suite, and note who is to be told: a blocked suite counts as lost."""
    run.skip(StageName.RUN_TESTS, "blocked by infrastructure")
    note_outage(run, needed(run, run.incident.latest, StageName.ASSESS))


async def run_on_staging(
    run: RunFolder,
    mode: TestExecutionMode,
    *,
    commands: Sequence[str] = (),
    output: Callable[[bytes], None] | None = None,
    take_over: bool = False,
) -> TestSuiteResult | None:
    """Run these commands, else those of this mode, on real staging, nothing held back; None where there are none.

    The stand-ins are not used, and the mode of the result is full: `mode` only picks the commands and the selection.
    """
    modes = run.settings.modes.get(mode)
    wanted = tuple(commands) or (modes.commands if modes else ())
    if not wanted:
        run.note(f"no command is configured for mode {mode.value}; nothing was run in it")
        return None
    health = needed(run, run.incident.latest, StageName.ASSESS)
    decision = Decision(mode=TestExecutionMode.FULL, reasons=("staging has recovered",), decided_at=datetime.now(UTC))
    select = selection(mode, run.settings.modes, run.settings.wishes)
    planned = tuple(PlannedCommand(command=command, select=select) for command in wanted)
    with locked(run.settings.state, "recover", run=run.incident.run, take_over=take_over):
        return await testing.run_commands(run, planned, decision, health, SuiteOptions(output=output), on_staging=True)


class Gauge:
    """Counts good checks in a row. Steady: as many as wanted, over at least the dwell; one bad check starts anew.

    5 in a row pass a brown-out of 40 % by luck with probability 0.08; the dwell is what a short window of luck does
    not last.
    """

    def __init__(self, want: RecoverySettings) -> None:
        self.want = want
        self.checks: list[RecoveryCheck] = []
        self.first_good_at: datetime | None = None

    @property
    def in_a_row(self) -> int:
        return self.checks[-1].in_a_row if self.checks else 0

    @property
    def steady(self) -> bool:
        if not self.checks or self.first_good_at is None or self.in_a_row < self.want.good:
            return False
        return (self.checks[-1].at - self.first_good_at).total_seconds() >= self.want.dwell_s

    def take(self, health: InfrastructureHealth, at: datetime) -> RecoveryCheck:
        """Return the check that this look amounts to, counted."""
        good, why = is_good(health)
        self.first_good_at = (self.first_good_at or at) if good else None
        check = RecoveryCheck(at=at, good=good, in_a_row=self.in_a_row + 1 if good else 0, why=why)
        self.checks.append(check)
        return check


async def validate_recovery(
    run: RunFolder, *, wait_s: float = 0.0, on_check: Callable[[RecoveryCheck], None] | None = None
) -> Recovery:
    """Stage 5: `good` deep checks of staging in a row over at least `dwell_s`; never of a stand-in.

    While checks are good it goes on; once one is bad it gives up after `wait_s` seconds. The lock is not held.

    A look takes its slowest probe's time, and `interval_s` seconds are waited between two. `recovered` false raises
    nothing.
    """
    with run.stage(StageName.VALIDATE_RECOVERY, notebook="05_validate_recovery.ipynb"):
        want = run.settings.recovery
        began, started_at = perf_counter(), datetime.now(UTC)
        gauge = Gauge(want)
        while True:
            health = await _look(run, StageName.VALIDATE_RECOVERY.value)
            run.save(latest=health)
            check = gauge.take(health, datetime.now(UTC))
            if on_check:
                on_check(check)
            if gauge.steady or (not check.good and perf_counter() - began >= wait_s):
                break
            await asyncio.sleep(want.interval_s)
        recovery = Recovery(
            recovered=gauge.steady,
            started_at=started_at,
            duration_s=perf_counter() - began,
            good_needed=want.good,
            in_a_row=gauge.in_a_row,
            dwell_s=want.dwell_s,
            checks=tuple(gauge.checks),
            reason="" if gauge.steady else check.why,
            first_good_at=gauge.first_good_at,
        )
        run.save(recovery=recovery)
        if recovery.recovered:
            run.event(
                "recovery confirmed",
                f"{recovery.in_a_row} good checks in a row",
                kind=EventKind.RECOVERED,
                link="samples.csv",
            )
            run.save()
    return recovery


NOT_RECORDED = "the undo could not be recorded"


async def restore(
    run: RunFolder,
    *,
    force: bool = False,
    keep_stand_ins: bool = False,
    on_step: Callable[[str], None] | None = None,
    take_over: bool = False,
) -> Restored:
    """Put everything back to the byte and stop what apply started. Raises EditedError for a file edited since.

    Where the run's folder cannot be written (a full disk, read-only outputs) the undo counts, and its steps say so.

    `force` restores an edited file all the same and keeps a copy; `keep_stand_ins` leaves them running until their
    lease ends. Raises LockedError where another process applies or tests, or where the fallback was applied on
    another host.
    """
    restored = await put_back(
        run.settings, force=force, keep_stand_ins=keep_stand_ins, on_step=on_step, take_over=take_over
    )
    if not restored.nothing_to_do:
        run.event(
            "restored to the byte", ", ".join(Path(file).name for file in restored.files), kind=EventKind.RESTORED
        )
    try:
        run.save(restored=restored)
    except OSError as exc:
        lost = f"{NOT_RECORDED} in {run.folder}: {exc.strerror or exc}"
        restored = replace(restored, steps=(*restored.steps, lost))
    return restored


async def put_back(
    settings: Settings,
    *,
    force: bool = False,
    keep_stand_ins: bool = False,
    on_step: Callable[[str], None] | None = None,
    take_over: bool = False,
) -> Restored:
    """Put back what apply changed in this checkout, whichever run did it, and record it in none.

    For who has no run to write to, such as `resilience restore` with a record that cannot be read. Raises EditedError,
    LockedError, RunbookError for a file that was applied and whose undo data are gone; nothing of the settings but the state
    folder decides what is put back.
    """
    return await restoring.restore(
        settings.state,
        stop=lambda names: local.stop(settings, names),
        files=settings.places.env_files,
        force=force,
        keep_stand_ins=keep_stand_ins,
        shell_run=os.environ.get(APPLIED, ""),
        on_step=on_step,
        take_over=take_over,
    )


def finish(
    run: RunFolder,
    *,
    verdict: Verdict | None = None,
    exit_code: int | None = None,
    command: CommandEnd | None = None,
) -> Incident:
    """Judge the run from its records, never from a notebook, and write its end.

    `verdict` and `exit_code` stand in place of what the records say; see `core.verdict.judge_run` for the rules, and
    `Incident` for `command`.
    """
    found, code = judge_run(run.incident)
    return run.end(verdict=verdict or found, exit_code=code if exit_code is None else exit_code, command=command)


def report(
    run: RunFolder,
    *,
    public: bool = False,
    charts: bool = True,
    verdict: Verdict | None = None,
    exit_code: int | None = None,
    command: CommandEnd | None = None,
) -> tuple[Path, ...]:
    """Stage 6: write the report from what is there, whatever failed before, then the end of the run; return its files.

    The report shows the verdict, and `incident.json` gets it as the last file: who is killed in between leaves a run without
    an end, which is true. The end is written also where the report fails, with what is missing in its notes. The history is
    pruned after it, when nobody waits any more. `verdict` and `exit_code` are for who knows better than the records do,
    such as a wait that timed out; for `command` see `Incident`.

    `charts` false leaves the drawings out; `public` puts pseudonyms in the place of internal names. Raises
    SecretLeakError where a text holds a secret in spite of redaction.
    """
    # Here, as templates and charts cost half a second that only a report needs.
    from resilience.report import render
    from resilience.report.writing import Held
    from resilience.runs.remains import load

    lost: list[str] = []
    held = Held()
    found, code = judge_run(run.incident)
    verdict, code, at = verdict or found, code if exit_code is None else exit_code, datetime.now(UTC)
    try:
        with run.stage(StageName.REPORT, notebook="06_report.ipynb"):
            _add_lab_events(run)
            ended = with_end(run.incident, verdict, code, at=at, command=command)
            memory.record(run.settings, run.incident, ())
            remember_facts(run.settings, ended)
            _, samples, missing = load(run.folder)
            with memory.history(run.settings) or nullcontext() as history:
                ended = with_tasks(run.settings, ended, history)
                run.save(left_to_do=ended.left_to_do, repeat_of=ended.repeat_of)
                files = render(
                    ended,
                    samples,
                    run.folder,
                    redactor=run.redactor,
                    history=history,
                    recalled=facts_of_run(history, ended),
                    public=public,
                    charts=charts,
                    missing=missing,
                    held=held,
                    lost=lost,
                )
    except Exception:
        # The report is lost, and not the run.
        run.end(verdict=verdict, exit_code=code, at=at, notes=lost, publish=held.publish, command=command)
        raise
    except BaseException:
        held.drop()  # a signal goes on without an end, which whoever it stops writes
        raise
    run.end(verdict=verdict, exit_code=code, at=at, notes=lost, publish=held.publish, command=command)
    memory.prune(run.settings)
    return files


def _add_lab_events(run: RunFolder) -> None:
    """In a drill, add what the lab did, so that the report can be held against it."""
    file = run.folder / "lab.jsonl"
    if not file.exists():
        return
    known = {(event.at, event.what) for event in run.incident.timeline}
    for line in file.read_bytes().splitlines():
        event = codec.from_json(line, TimelineEvent, source=file)
        if (event.at, event.what) not in known:
            run.event(event.what, event.detail, kind=event.kind, at=event.at)


def needed(run: RunFolder, record: R | None, left_by: StageName) -> R:
    """Return the record that an earlier stage left. Raises OrderError where it is missing, or older than a shift.

    Building on yesterday's look would apply a fallback for an outage that is over.
    """
    notebook, command = NEXT[left_by]
    if record is None:
        raise OrderError(
            f"this stage needs what {left_by.value} leaves, and run {run.incident.run} has none.",
            hint=f"run notebooks/{notebook} first, or type: {command}",
        )
    made: datetime | None = getattr(record, "started_at", None) or getattr(record, "decided_at", None)
    if made is not None and datetime.now(UTC) - made > MAX_AGE:
        raise OrderError(
            f"what {left_by.value} left in run {run.incident.run} is from {made:%Y-%m-%d %H:%M} UTC: too old.",
            hint=f"run notebooks/{notebook} again, or type: {command}",
        )
    return record


def parse_mode(text: TestExecutionMode | str) -> TestExecutionMode:
    """Return the mode of this name. Raises UsageError with the known ones.

    Case and hyphens do not count.

    >>> parse_mode("Critical-Only").value
    'critical_only'
    """
    try:
        return TestExecutionMode(str(text).strip().lower().replace("-", "_"))
    except ValueError:
        known = [mode.value for mode in TestExecutionMode]
        raise UsageError(f"mode {str(text)!r} is unknown.", hint=did_you_mean(str(text), known)) from None

"""Go through the stages in order, each leaving its record in the run's folder: the only place where core meets edge."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from resilience.core import codec
from resilience.core.assess import assess as judge_all, is_good, judge
from resilience.core.errors import (
    NotConfiguredError,
    OrderError,
    RecordError,
    ResilienceError,
    RunbookError,
    SettingsError,
    UsageError,
)
from resilience.core.escalation import notices
from resilience.core.mode import decide, stricter
from resilience.core.plan import NOTHING, changes_anything, child_environment, held_markers, make_plan, values_to_apply
from resilience.core.records import (
    SCHEMA,
    Applied,
    ConnectivityResult,
    ConnectivityStatus,
    Decision,
    ExitCode,
    Incident,
    InfrastructureHealth,
    Observation,
    Plan,
    PlannedCommand,
    Recovery,
    RecoveryCheck,
    Restored,
    Sample,
    Stage,
    StageName,
    StageStatus,
    StandIn,
    TestExecutionMode,
    TestSuiteResult,
    TestTotals,
    TimelineEvent,
    Verdict,
)
from resilience.core.redact import Redactor
from resilience.core.settings import Service, Settings
from resilience.core.steadiness import flapping_services
from resilience.core.variables import APPLIED
from resilience.core.verdict import exit_code_of as exit_code_of, judge_run as judge_run
from resilience.core.words import staging_line, tests_line, totals_line
from resilience.fallback import apply as applying, journal as journals, restore as restoring
from resilience.host.files import read_env_file, write_atomically
from resilience.host.log import log_health
from resilience.host.vantage import vantage
from resilience.runs import memory
from resilience.runs.configuration import load_settings
from resilience.settings.build import require_configured
from resilience.settings.environment import is_shipped

if TYPE_CHECKING:
    from resilience.suite.records import Progress

STAGES = tuple(StageName)
MAX_AGE = timedelta(hours=12)
"""A record older than this is not built upon: an on-call shift."""


# --------------------------------------------------------------------------- looking, without a run


async def look(
    settings: Settings,
    *,
    critical: bool = False,
    names: Sequence[str] | None = None,
    remember: bool = True,
    flapping: Sequence[str] = (),
) -> InfrastructureHealth:
    """Look once at all services at the same time, or at the critical ones; it takes as long as the slowest probe.

    `flapping` are services that earlier looks found to come and go: their good answer alone is not believed.
    Raises NotConfiguredError where no service has a URL, SettingsError where an endpoint changed during an incident.
    """
    from resilience.services.looking import ProbeContext, control, probe_all
    from resilience.stand_ins import availability

    require_configured(settings)
    services = [
        service
        for service in settings.services
        if (not critical or service.critical) and (names is None or service.name in names)
    ]
    if critical and not any(service.configured for service in services):
        raise NotConfiguredError(
            name="critical services",
            source=str(settings.source or ""),
            expected="at least one critical service with a URL",
            hint="resilience doctor",
        )
    # A look by URL alone says nothing of the services that are called the same here.
    seen = memory.load(settings.state) if settings.source else {}
    started_at, began = datetime.now(UTC), perf_counter()
    async with ProbeContext(deny_hosts=settings.deny_hosts) as context:
        observed, controls = await asyncio.gather(
            probe_all([service for service in services if service.configured], settings=settings, context=context),
            control(settings.control_targets, context=context),
        )
    observations = {observation.name: observation for observation in observed}
    _check_frozen(settings, observations)
    here = vantage()
    health = judge_all(
        services,
        observations,
        environment=settings.environment,
        vantage=here,
        started_at=started_at,
        duration_s=round(perf_counter() - began, 3),
        stand_ins=availability(services, settings),
        controls=controls,
        wishes=settings.wishes,
        reached_before=memory.reached(seen, here.network),
        flapping=flapping,
        unset_critical_counts=not is_shipped(settings.source),
    )
    if remember and settings.source is not None:
        memory.remember(settings.state, seen, health)
        if len(services) == len(settings.services):
            memory.note_snapshot(settings.state, codec.to_json(health))
    log_health(health)
    return health


def _check_frozen(settings: Settings, observations: Mapping[str, Observation]) -> None:
    """Refuse to look elsewhere than at the incident's first assessment while a fallback is applied."""
    try:
        journal = journals.load(settings.state)
    except RecordError:
        return  # a damaged journal is what `status` and `restore` complain of; looking must go on
    if journal is None:
        return
    for name, observation in observations.items():
        frozen = journal.endpoints.get(name)
        if frozen and frozen != observation.endpoint:
            raise SettingsError(
                name=f"service {name}: its endpoint",
                found=observation.endpoint,
                expected=f"{frozen}, as at the first assessment of this incident,",
                hint="unset what points it elsewhere, or end the incident: resilience restore",
            )


def assess_document(health: InfrastructureHealth, decision: Decision) -> dict[str, Any]:
    """Return the document of `assess --json`: the health, with the mode it leads to and why."""
    document: dict[str, Any] = {"schema": SCHEMA, **codec.to_builtins(health)}
    document["mode"] = decision.mode.value
    document["reasons"] = list(decision.reasons)
    document["blocked"] = decision.blocked
    return document


def samples_of(health: InfrastructureHealth, stage: str, target: str = "staging") -> list[Sample]:
    """Return one sample per probed service."""
    return [
        Sample(
            at=result.started_at or health.started_at,
            service=result.name,
            status=result.status,
            response_time_s=result.response_time_s,
            fault=result.fault,
            phases=result.phases,
            target=target,
            stage=stage,
        )
        for result in health.services
        if result.status is not ConnectivityStatus.NOT_CONFIGURED
    ]


async def start_stand_ins(
    settings: Settings,
    services: Sequence[Service],
    *,
    fresh: bool = False,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[StandIn, ...]:
    from resilience import stand_ins as local

    return await local.start(services, settings, fresh=fresh, on_progress=on_progress)


async def restore(
    settings: Settings,
    *,
    force: bool = False,
    keep_stand_ins: bool = False,
    on_step: Callable[[str], None] | None = None,
    take_over: bool = False,
) -> Restored:
    """Put back what apply changed in this checkout, whichever run did it."""
    from resilience import stand_ins as local

    return await restoring.restore(
        settings.state,
        stop=lambda names: local.stop(settings, names),
        force=force,
        keep_stand_ins=keep_stand_ins,
        shell_run=os.environ.get(APPLIED, ""),
        on_step=on_step,
        take_over=take_over,
    )


# --------------------------------------------------------------------------- a run and its folder


class Run:
    """One walk through the runbook: every stage reads what the one before left, and writes `incident.json` at its end."""

    def __init__(self, settings: Settings, folder: Path, incident: Incident) -> None:
        self.settings = settings
        self.folder = folder
        self.incident = incident
        self.redactor = Redactor.of(settings, hosts=[vantage().host])
        self._saved: bytes = b""

    # ---- opening

    @classmethod
    def create(
        cls,
        settings: Settings,
        *,
        slug: str = "incident",
        apply: bool = False,
        parameters: Mapping[str, object] | None = None,
    ) -> Run:
        """Make a new folder `outputs/<date>/<time>Z-<slug>/`; two runs in one second get different ones."""
        now = datetime.now(UTC)
        folder = _new_folder(settings.outputs, now, slug)
        redactor = Redactor(settings.secrets)
        given = {name: redactor.text(str(value)) for name, value in (parameters or {}).items()}
        if settings.source is not None:
            given.setdefault("config", str(settings.source))
        incident = Incident(
            run=f"{folder.parent.name}/{folder.name}",
            slug=slug,
            environment=settings.environment,
            started_at=now,
            vantage=vantage(),
            issue=settings.issue,
            commit=memory.commit(settings.root),
            applies=apply,
            drill=settings.drill,
            parameters=given,
            versions=memory.versions(),
        )
        run = cls(settings, folder, incident)
        run.save()
        _point_latest(settings.outputs, folder)
        return run

    @classmethod
    def open(cls, folder: Path | str, settings: Settings | None = None) -> Run:
        """Open a run's folder; its configuration is the one it was made with. Raises UsageError, RecordError."""
        path = Path(folder)
        file = path / "incident.json"
        if not file.exists():
            raise UsageError(f"{path} holds no run (no incident.json).", hint="resilience status")
        incident = codec.from_json(file.read_bytes(), Incident, source=file)
        if settings is None:
            settings = load_settings(incident.parameters.get("config") or None, environment=incident.environment)
        # The run may have been made with --out: what it remembers stays beside it.
        settings = replace(settings, outputs=path.resolve().parent.parent)
        run = cls(settings, path.resolve(), incident)
        run._saved = file.read_bytes()
        return run

    def refresh(self) -> Incident:
        """Read again what another process left."""
        file = self.folder / "incident.json"
        self.incident = codec.from_json(file.read_bytes(), Incident, source=file)
        return self.incident

    # ---- saving

    def save(self, **changes: object) -> Incident:
        """Put the incident, with these fields changed, on disk: redacted, atomically."""
        if changes:
            self.incident = replace(self.incident, **changes)  # type: ignore[arg-type]
        document = codec.mapped(codec.to_builtins(self.incident), self.redactor.text, keep=codec.FIELDS)
        data = codec.to_json(document)
        if data != self._saved:
            write_atomically(self.folder / "incident.json", data, mode=0o644)
            self._saved = data
        return self.incident

    def event(
        self, what: str, detail: str = "", *, kind: str = "event", at: datetime | None = None, link: str = ""
    ) -> None:
        """Add an event to the timeline (saved with the next save)."""
        entry = TimelineEvent(
            at=at or datetime.now(UTC), what=what, detail=self.redactor.text(detail), kind=kind, link=link
        )
        timeline = sorted((*self.incident.timeline, entry), key=lambda event: event.at)
        self.incident = replace(self.incident, timeline=tuple(timeline))

    def add_samples(self, samples: Sequence[Sample]) -> None:
        """Append samples to the run's folder and the history; an unwritable history loses nothing of the run."""
        lines = b"".join(codec.to_json(sample, indent=0) + b"\n" for sample in samples)
        with (self.folder / "samples.jsonl").open("ab") as file:
            file.write(lines)
        memory.record(self.settings, self.incident, samples)

    def samples(self) -> tuple[Sample, ...]:
        """Return all samples of this run so far, oldest first; a cut last line is left out."""
        found = []
        with suppress(FileNotFoundError), (self.folder / "samples.jsonl").open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    found.append(codec.from_json(line, Sample, source="samples.jsonl"))
        return tuple(found)

    @contextmanager
    def stage(self, name: StageName, *, notebook: str = "") -> Iterator[None]:
        """Record that a stage started, and how it ended; errors are recorded and raised on."""
        stage = Stage(
            name=name,
            status=StageStatus.STARTED,
            started_at=datetime.now(UTC),
            notebook=notebook,
            by=f"{vantage().user}@{vantage().host}",
        )
        stages = tuple(s for s in self.incident.stages if s.name is not name)
        self.save(stages=(*stages, stage))
        self._signal(f"{name.value}.started")
        try:
            yield
        except (KeyboardInterrupt, asyncio.CancelledError):
            self._end(stage, StageStatus.INTERRUPTED, error="interrupted")
            raise
        except Exception as exc:
            hint = exc.hint if isinstance(exc, ResilienceError) else ""
            message = exc.message if isinstance(exc, ResilienceError) else f"{type(exc).__name__}: {exc}"
            self._end(stage, StageStatus.FAILED, error=self.redactor.text(message), hint=self.redactor.text(hint))
            raise
        else:
            self._end(stage, StageStatus.FINISHED)
        finally:
            self._signal(f"{name.value}.finished")

    def _end(self, stage: Stage, status: StageStatus, *, error: str = "", hint: str = "") -> None:
        ended = replace(stage, status=status, finished_at=datetime.now(UTC), error=error, hint=hint)
        stages = tuple(s for s in self.incident.stages if s.name is not stage.name)
        self.save(stages=(*stages, ended))

    def _signal(self, name: str) -> None:
        """In a drill, tell the lab which stage begins or ends, so that its timetable follows the runbook's."""
        if self.settings.drill:
            signals = self.settings.state / "signals"
            signals.mkdir(parents=True, exist_ok=True)
            (signals / name).touch()

    def skip(self, name: StageName, why: str) -> None:
        """Record that a stage was left out, and why."""
        now = datetime.now(UTC)
        stages = tuple(s for s in self.incident.stages if s.name is not name)
        skipped = Stage(name=name, status=StageStatus.SKIPPED, started_at=now, finished_at=now, note=why)
        self.save(stages=(*stages, skipped))

    def done_by_hand(self, name: StageName, note: str) -> Stage:
        """Record that a person did this stage by hand, with the note that says how."""
        now = datetime.now(UTC)
        stage = Stage(
            name=name,
            status=StageStatus.DONE_BY_HAND,
            started_at=now,
            finished_at=now,
            note=self.redactor.text(note),
            by=f"{vantage().user}@{vantage().host}",
        )
        self.save(stages=(*(s for s in self.incident.stages if s.name is not name), stage))
        self.event(f"{name.value} done by hand", note, kind="by_hand")
        self.save()
        return stage

    # ---- stages

    async def assess(self, *, samples: int = 1, critical: bool = False) -> InfrastructureHealth:
        """Stage 1: look at staging `samples` times (no pause needed: each look takes its slowest probe's time)."""
        if samples < 1:
            raise UsageError(f"samples={samples}: at least 1 was expected.", hint="--samples 3")
        with self.stage(StageName.ASSESS, notebook="01_assess.ipynb"):
            health = await self._look(StageName.ASSESS.value, critical=critical)
            for _ in range(samples - 1):
                flapping = flapping_services(self.samples())
                health = await self._look(StageName.ASSESS.value, critical=critical, flapping=flapping)
            first = self.incident.health is None
            self.save(health=self.incident.health or health, latest=health)
            if first or health.overall_status is not ConnectivityStatus.AVAILABLE:
                self._note_outage(health)
            self.event("assessed", staging_line(health), kind="detected", link="samples.csv")
        return health

    async def _look(self, stage: str, *, critical: bool = False, flapping: Sequence[str] = ()) -> InfrastructureHealth:
        health = await look(self.settings, critical=critical, flapping=flapping)
        self._check_endpoints(health)
        self.add_samples(samples_of(health, stage))
        return health

    def _check_endpoints(self, health: InfrastructureHealth) -> None:
        first = self.incident.health
        if first is None:
            return
        for result in health.services:
            frozen = first.result(result.name)
            if frozen and frozen.endpoint and result.endpoint and frozen.endpoint != result.endpoint:
                raise SettingsError(
                    name=f"service {result.name}: its endpoint",
                    found=result.endpoint,
                    expected=f"{frozen.endpoint}, as at the first assessment of this run,",
                    hint="start a new run: resilience run",
                )

    def _note_outage(self, health: InfrastructureHealth) -> None:
        if health.overall_status in (ConnectivityStatus.AVAILABLE, ConnectivityStatus.UNKNOWN):
            return
        if self.incident.outage_started_at is None:
            unwell = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED)
            bad = [sample.at for sample in self.samples() if sample.status in unwell and sample.target == "staging"]
            started = min(bad, default=health.started_at)
            self.save(outage_started_at=started)
            self.event("first bad sample", kind="bad_sample", at=started, link="samples.csv")
        failures = (
            0 if self.incident.tests is None else int(self.incident.tests.verdict is Verdict.INFRASTRUCTURE_UNAVAILABLE)
        )
        due = notices(
            health,
            self.settings.escalation,
            now=datetime.now(UTC),
            issue=self.settings.issue,
            down_since=memory.down_since(self.settings, self.incident) or self.incident.outage_started_at,
            failures_in_a_row=failures + memory.suite_failures(self.settings),
        )
        known = {notice.reason.split(" for ")[0] for notice in self.incident.notices}
        new = tuple(notice for notice in due if notice.reason.split(" for ")[0] not in known)
        if new:
            self.save(notices=(*self.incident.notices, *new))

    def choose_mode(
        self, force: TestExecutionMode | str | None = None, *, asked_by: str = "", extend: bool = False
    ) -> Decision:
        """Stage 2: how to run the tests, and why. `force` overrules, and the report says so.

        A fallback that is applied counts as it is; with `extend` it takes in what died since.
        """
        with self.stage(StageName.CHOOSE_MODE, notebook="02_choose_mode.ipynb"):
            health = self._need(self.incident.latest, StageName.ASSESS, "01_assess.ipynb", "resilience assess")
            mode = parse_mode(force) if force else None
            applied = self.incident.applied if self.applied_now else None
            now = datetime.now(UTC)
            in_use = tuple(s.service for s in applied.stand_ins if s.ready) if applied else ()
            in_mode = applied.mode if applied else None
            if extend and in_mode is not None:
                anew = decide(health, self.settings, now=now, force=mode)
                if died := [name for name in anew.stand_ins if name not in in_use]:
                    in_use, in_mode = (*in_use, *died), stricter(in_mode, anew.mode)
            decision = decide(
                health,
                self.settings,
                now=now,
                force=mode,
                asked_by=asked_by or "the parameter mode",
                applied=in_mode,
                in_use=in_use,
            )
            self.save(decision=decision)
            self.event(f"mode {decision.mode.value} chosen", "; ".join(decision.reasons), kind="mode")
            self.save()
        return decision

    @property
    def applied_now(self) -> bool:
        """Say whether the fallback of this run is applied in this checkout at this moment."""
        journal = journals.load(self.settings.state)
        return (
            self.incident.applied is not None
            and journal is not None
            and journal.status == "applied"
            and journal.run == self.incident.applied.run
        )

    def without_stand_ins(self) -> Decision:
        """Nothing is applied here: hold back, instead, what would have run on stand-ins."""
        decision: Decision = self._need(
            self.incident.decision, StageName.CHOOSE_MODE, "02_choose_mode.ipynb", "resilience mode"
        )
        if decision.stand_ins:
            why = "its stand-in is not applied: resilience apply"
            held = {**decision.held, **{name: f"{name} is down and {why}" for name in decision.stand_ins}}
            decision = replace(decision, stand_ins=(), held=held)
            self.save(decision=decision)
        return decision

    def make_plan(self) -> Plan:
        """Return what apply would do, in the words it will use. Changes nothing but the run's record."""
        health = self._need(self.incident.latest, StageName.ASSESS, "01_assess.ipynb", "resilience assess")
        decision = self._need(self.incident.decision, StageName.CHOOSE_MODE, "02_choose_mode.ipynb", "resilience mode")
        before = journals.variables_before(self.settings.state, self.settings.env_file)
        plan = make_plan(decision, health, self.settings, before=before, run=self._applied_id())
        self.save(plan=plan)
        return plan

    def _applied_id(self) -> str:
        return self.incident.run.replace("/", "-")

    async def apply(
        self,
        *,
        on_step: Callable[[str], None] | None = None,
        on_progress: Callable[[str], None] | None = None,
        fresh: bool = False,
        take_over: bool = False,
    ) -> Applied:
        """Stage 3: start stand-ins and write the env file; where a stand-in does not come up, decide once more.

        `on_step` is told the plan's own words, `on_progress` (else `on_step` too) what is done meanwhile.
        Raises LockedError (75), EditedError, StandInError where even the second decision cannot be applied.
        """
        with self.stage(StageName.APPLY_FALLBACK, notebook="03_apply_fallback.ipynb"):
            health = self._need(self.incident.latest, StageName.ASSESS, "01_assess.ipynb", "resilience assess")
            decision = self._need(
                self.incident.decision, StageName.CHOOSE_MODE, "02_choose_mode.ipynb", "resilience mode"
            )
            plan = self.incident.plan or self.make_plan()
            applied = await self._apply(plan, decision, health, on_step, on_progress, fresh, take_over)
            if applied.failed:
                errors = "; ".join(f"{s.service}: {s.error}" for s in applied.stand_ins if not s.ready)
                self.event("a stand-in did not come up", errors, kind="stand_in_failed")
                decision = decide(health, self.settings, now=datetime.now(UTC), failed_stand_ins=applied.failed)
                self.save(decision=decision)
                self.event(f"mode {decision.mode.value} chosen", "; ".join(decision.reasons), kind="mode")
                plan = self.make_plan()
                second = await self._apply(plan, decision, health, on_step, on_progress, False, take_over)
                failed = tuple(s for s in applied.stand_ins if not s.ready)
                applied = replace(second, redecided=True, failed=applied.failed, stand_ins=(*second.stand_ins, *failed))
            self.save(applied=_plain(applied))
            if applied.env_file and changes_anything(decision):
                self.event(
                    "fallback applied",
                    ", ".join(f"{s.service} ({s.provider})" for s in applied.stand_ins if s.ready),
                    kind="applied",
                )
            self.save()
        return applied

    async def _apply(
        self,
        plan: Plan,
        decision: Decision,
        health: InfrastructureHealth,
        on_step: Callable[[str], None] | None,
        on_progress: Callable[[str], None] | None,
        fresh: bool,
        take_over: bool,
    ) -> applying.AppliedHere:
        if not changes_anything(decision):
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
        return await applying.apply(
            plan,
            values_to_apply(
                decision,
                health,
                self.settings,
                run=self._applied_id(),
                before=journals.variables_before(self.settings.state, self.settings.env_file),
            ),
            self.settings.places,
            self.settings.services,
            journals.Origin(
                run=self._applied_id(),
                folder=self.folder,
                endpoints={result.name: result.endpoint for result in (self.incident.health or health).services},
                commit=self.incident.commit,
            ),
            start=lambda services: start_stand_ins(
                self.settings, services, fresh=fresh, on_progress=on_progress or on_step
            ),
            on_step=on_step,
            on_progress=on_progress,
            take_over=take_over,
        )

    async def run_tests(
        self,
        commands: Sequence[str] | None = None,
        *,
        select: str = "",
        on_progress: Callable[[Progress], None] | None = None,
        timeout_s: float | None = None,
        total_timeout_s: float | None = None,
        wait_for_services_s: float | None = None,
        exit_code: str = "ours",
        output: Callable[[bytes], None] | None = None,
        take_over: bool = False,
    ) -> TestSuiteResult:
        """Stage 4: run the team's commands in the mode; an outage never looks like a bug, nor a bug like an outage.

        `commands` replace those configured for the mode. Raises LockedError (75), SettingsError where none is known.
        """
        from resilience.host.lock import locked

        with self.stage(StageName.RUN_TESTS, notebook="04_run_tests.ipynb"):
            health = self._need(self.incident.latest, StageName.ASSESS, "01_assess.ipynb", "resilience assess")
            decision = self._need(
                self.incident.decision, StageName.CHOOSE_MODE, "02_choose_mode.ipynb", "resilience mode"
            )
            planned = self._commands(decision, commands, select)
            with locked(self.settings.state, "test", run=self.incident.run, take_over=take_over):
                self.event("tests started", "; ".join(command.command for command in planned), kind="tests_started")
                self.save()
                async with self._sampling(StageName.RUN_TESTS.value):
                    result = await self._suite(
                        planned,
                        decision,
                        health,
                        on_progress,
                        timeout_s,
                        total_timeout_s,
                        wait_for_services_s,
                        exit_code,
                        output,
                    )
            self.save(tests=result)
            if exit_code == "ours":
                _refuse_unstarted(result)
            self.event("tests finished", totals_line(result.totals), kind="tests_finished", link="junit.xml")
            self.save()
        return result

    def _commands(self, decision: Decision, commands: Sequence[str] | None, select: str) -> tuple[PlannedCommand, ...]:
        if commands:
            from resilience.core.plan import SELECT

            modes = self.settings.modes.get(decision.mode)
            chosen = select or (modes.select if modes else "") or SELECT.get(decision.mode, "")
            return tuple(PlannedCommand(command=command, select=chosen) for command in commands)
        plan = self.incident.plan or self.make_plan()
        if not plan.commands:
            raise SettingsError(
                name=f"[modes.{decision.mode.value}] commands",
                source=str(self.settings.source or ""),
                expected="the commands that run your tests",
                hint="resilience test -- pytest tests/",
            )
        return tuple(replace(command, select=select or command.select) for command in plan.commands)

    async def _suite(
        self,
        planned: Sequence[PlannedCommand],
        decision: Decision,
        health: InfrastructureHealth,
        on_progress: Callable[[Progress], None] | None,
        timeout_s: float | None,
        total_timeout_s: float | None,
        wait_for_services_s: float | None,
        exit_code: str,
        output: Callable[[bytes], None] | None,
        *,
        on_staging: bool = False,
    ) -> TestSuiteResult:
        from resilience import stand_ins as local
        from resilience.suite.records import Instruments, Place, Request
        from resilience.suite.testrun import run_suite

        applied = self.incident.applied if self.applied_now and not on_staging else None
        in_use = () if applied is None else tuple(s.service for s in applied.stand_ins if s.ready)
        values = read_env_file(self.settings.env_file) if applied is not None and applied.env_file else {}
        snapshot = self.folder / "snapshot.json"
        document = codec.mapped({**assess_document(health, decision), "in_use": in_use}, self.redactor.text)
        write_atomically(snapshot, codec.to_json(document), mode=0o644, durable=False)
        environ = child_environment(os.environ, values) | {"RESILIENCE_SNAPSHOT": str(snapshot)}
        environ["PATH"] = self.settings.path(environ.get("PATH", os.defpath))
        deadlines = self.settings.deadlines
        local.hold(self.settings, self.incident.run)
        try:
            return await run_suite(
                Request(
                    commands=tuple(planned),
                    mode=decision.mode,
                    held=held_markers(decision, self.settings),
                    dead=decision.held,
                    skipping=self.settings.wishes.skip_on_failure,
                    exit_code=exit_code,
                    attempts=deadlines.retry_attempts,
                    delay_s=deadlines.retry_delay_s,
                    timeout_s=timeout_s,
                    total_timeout_s=total_timeout_s,
                    wait_s=wait_for_services_s,
                ),
                Place(
                    root=self.settings.root,
                    folder=self.folder,
                    environ=environ,
                    env_command=self.settings.env_command,
                    services=self.settings.services,
                    stand_ins=tuple(s for s in applied.stand_ins if s.ready) if applied else (),
                    secrets=self.settings.secrets,
                ),
                Instruments(
                    probe=lambda names: self._probe_as_tests_do(names, in_use),
                    connections=local.connections,
                    on_event=on_progress,
                    output=output,
                ),
            )
        finally:
            local.release(self.settings, self.incident.run)

    async def _probe_as_tests_do(
        self, names: Sequence[str], stood_in: Sequence[str]
    ) -> Mapping[str, ConnectivityResult]:
        """Look afresh at what the tests reach under these names: the stand-in where one is used, else staging."""
        from resilience.services.looking import ProbeContext, probe

        services = [service for service in self.settings.services if service.name in names]
        async with ProbeContext(deny_hosts=self.settings.deny_hosts) as context:
            context.follow(self.settings)
            looks = [
                probe(service, context=context, target="stand_in" if service.name in stood_in else "staging")
                for service in services
                if service.configured or service.name in stood_in
            ]
            observed = await asyncio.gather(*looks)
        found = {observation.name: observation for observation in observed}
        return {service.name: judge(service, found.get(service.name)) for service in services}

    @asynccontextmanager
    async def _sampling(self, stage: str) -> AsyncIterator[None]:
        """Look at staging in the background, so that the charts show what it did meanwhile."""

        async def go_on() -> None:
            while True:
                await asyncio.sleep(self.settings.recovery.interval_s)
                with suppress(ResilienceError):
                    health = await look(self.settings, remember=False)
                    self.add_samples(samples_of(health, stage))

        task = asyncio.create_task(go_on())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def validate_recovery(
        self, *, wait_s: float = 0.0, on_check: Callable[[RecoveryCheck], None] | None = None
    ) -> Recovery:
        """Stage 5: `good` deep checks of staging in a row over at least `dwell_s`; never of a stand-in.

        While checks are good it goes on; once one is bad it gives up after `wait_s` seconds. The lock is not held.
        """
        with self.stage(StageName.VALIDATE_RECOVERY, notebook="05_validate_recovery.ipynb"):
            want = self.settings.recovery
            began, started_at = perf_counter(), datetime.now(UTC)
            checks: list[RecoveryCheck] = []
            in_a_row, first_good, why = 0, None, ""
            while True:
                health = await self._look(StageName.VALIDATE_RECOVERY.value)
                self.save(latest=health)
                good, why = is_good(health)
                in_a_row = in_a_row + 1 if good else 0
                now = datetime.now(UTC)
                first_good = (first_good or now) if good else None
                check = RecoveryCheck(at=now, good=good, in_a_row=in_a_row, why=why)
                checks.append(check)
                if on_check:
                    on_check(check)
                stayed = first_good is not None and (now - first_good).total_seconds() >= want.dwell_s
                if in_a_row >= want.good and stayed:
                    break
                if not good and perf_counter() - began >= wait_s:
                    break
                await asyncio.sleep(want.interval_s)
            recovered = in_a_row >= want.good and stayed
            recovery = Recovery(
                recovered=recovered,
                started_at=started_at,
                duration_s=perf_counter() - began,
                good_needed=want.good,
                in_a_row=in_a_row,
                dwell_s=want.dwell_s,
                checks=tuple(checks),
                reason="" if recovered else why,
                first_good_at=first_good,
            )
            self.save(recovery=recovery)
            if recovered:
                self.event(
                    "recovery confirmed", f"{in_a_row} good checks in a row", kind="recovered", link="samples.csv"
                )
                self.save()
        return recovery

    async def run_on_staging(
        self, mode: TestExecutionMode, *, output: Callable[[bytes], None] | None = None, take_over: bool = False
    ) -> TestSuiteResult | None:
        """Run the commands of this mode on real staging, nothing held back; None where the mode has no commands."""
        from resilience.core.plan import SELECT
        from resilience.host.lock import locked

        modes = self.settings.modes.get(mode)
        if modes is None or not modes.commands:
            self.save(
                notes=(*self.incident.notes, f"no command is configured for mode {mode.value}; nothing was run in it")
            )
            return None
        health = self._need(self.incident.latest, StageName.ASSESS, "01_assess.ipynb", "resilience assess")
        decision = Decision(
            mode=TestExecutionMode.FULL, reasons=("staging has recovered",), decided_at=datetime.now(UTC)
        )
        select = modes.select or SELECT.get(mode, "")
        planned = tuple(PlannedCommand(command=command, select=select) for command in modes.commands)
        with locked(self.settings.state, "recover", run=self.incident.run, take_over=take_over):
            return await self._suite(planned, decision, health, None, None, None, None, "ours", output, on_staging=True)

    async def restore(
        self,
        *,
        force: bool = False,
        keep_stand_ins: bool = False,
        on_step: Callable[[str], None] | None = None,
        take_over: bool = False,
    ) -> Restored:
        """Put everything back to the byte and stop what apply started. Raises EditedError for a file edited since."""
        restored = await restore(
            self.settings, force=force, keep_stand_ins=keep_stand_ins, on_step=on_step, take_over=take_over
        )
        self.save(restored=restored)
        if not restored.nothing_to_do:
            self.event("restored to the byte", ", ".join(Path(file).name for file in restored.files), kind="restored")
            self.save()
        return restored

    def finish(self, *, verdict: Verdict | None = None, exit_code: int | None = None) -> Incident:
        """Judge the run from its records, never from a notebook, and write the verdict."""
        found, code = judge_run(self.incident)
        return self.save(
            verdict=verdict or found,
            exit_code=code if exit_code is None else exit_code,
            finished_at=datetime.now(UTC),
        )

    def report(
        self,
        *,
        public: bool = False,
        charts: bool = True,
        verdict: Verdict | None = None,
        exit_code: int | None = None,
    ) -> tuple[Path, ...]:
        """Stage 6: write the report from what is there; it is made whatever failed before. Gives the files."""
        from resilience.report import load, render

        with self.stage(StageName.REPORT, notebook="06_report.ipynb"):
            self._add_lab_events()
            self.finish(verdict=verdict, exit_code=exit_code)
            memory.record(self.settings, self.incident, ())
            _, samples, missing = load(self.folder)
            with memory.history(self.settings) or nullcontext() as history:
                return render(
                    self.incident,
                    samples,
                    self.folder,
                    redactor=self.redactor,
                    history=history,
                    public=public,
                    charts=charts,
                    missing=missing,
                )

    def _add_lab_events(self) -> None:
        """In a drill, add what the lab did, so that the report can be held against it."""
        file = self.folder / "lab.jsonl"
        if not file.exists():
            return
        known = {(event.at, event.what) for event in self.incident.timeline}
        for line in file.read_bytes().splitlines():
            event = codec.from_json(line, TimelineEvent, source=file)
            if (event.at, event.what) not in known:
                self.event(event.what, event.detail, kind=event.kind, at=event.at)

    def _need(self, record: Any, stage: StageName, notebook: str, command: str) -> Any:
        if record is None:
            raise OrderError(
                f"this stage needs what {stage.value} leaves, and run {self.incident.run} has none.",
                hint=f"run notebooks/{notebook} first, or type: {command}",
            )
        made = next((getattr(record, name) for name in ("started_at", "decided_at") if hasattr(record, name)), None)
        if made is not None and datetime.now(UTC) - made > MAX_AGE:
            raise OrderError(
                f"what {stage.value} left in run {self.incident.run} is from {made:%Y-%m-%d %H:%M} UTC: too old.",
                hint=f"run notebooks/{notebook} again, or type: {command}",
            )
        return record

    def blocked_result(self) -> TestSuiteResult:
        """Return the result of a test run that did not take place, because infrastructure blocks it."""
        decision = self.incident.decision
        return TestSuiteResult(
            mode=decision.mode if decision else TestExecutionMode.FULL,
            started_at=datetime.now(UTC),
            duration_s=0.0,
            exit_code=ExitCode.BLOCKED,
            commands=(),
            totals=TestTotals(),
            tests=(),
            verdict=Verdict.INFRASTRUCTURE_UNAVAILABLE,
            notes=decision.reasons if decision else (),
            held=decision.held if decision else {},
        )

    def headline(self) -> tuple[str, str]:
        """Return the two lines that start with STAGING: and TESTS:."""
        health, decision = self.incident.latest, self.incident.decision
        first = staging_line(health) if health else f"{self.incident.environment.upper()}: not assessed yet"
        return first, tests_line(decision) if decision else "TESTS: no mode chosen yet"


async def recover(
    run: Run,
    *,
    wait_s: float,
    tests: bool = True,
    on_check: Callable[[RecoveryCheck], None] | None = None,
    take_over: bool = False,
    output: Callable[[bytes], None] | None = None,
) -> int:
    """Wait for staging to stay healthy, restore, run the critical tests on it, then the full suite; return the exit code.

    Waiting never locks. Where staging does not come back in `wait_s` seconds nothing is changed: exit code 124, or that
    of `assess` where nothing was waited for. The full suite is left out where infrastructure takes the critical tests.
    """
    recovery = await run.validate_recovery(wait_s=wait_s, on_check=on_check)
    if not recovery.recovered:
        latest_health = run.incident.latest
        code = ExitCode.TIMED_OUT if wait_s or latest_health is None else exit_code_of(latest_health.overall_status)
        timed_out = code == ExitCode.TIMED_OUT
        run.report(verdict=Verdict.TIMED_OUT if timed_out else None, exit_code=code if timed_out else None)
        return code
    await run.restore(take_over=take_over)
    codes = [ExitCode.PASSED]
    if tests:
        for field, mode in (
            ("critical_tests", TestExecutionMode.CRITICAL_ONLY),
            ("full_tests", TestExecutionMode.FULL),
        ):
            result = await run.run_on_staging(mode, output=output, take_over=take_over)
            if result is None:
                continue
            if _selected_nothing(result):
                run.save(
                    notes=(*run.incident.notes, f"no test is selected by mode {mode.value}; nothing was run in it")
                )
                continue
            run.save(**{field: result})
            codes.append(result.exit_code)
            if result.exit_code in (ExitCode.BLOCKED, ExitCode.UNKNOWN):
                break
    run.report()
    return ExitCode.worst(*codes)


def _refuse_unstarted(result: TestSuiteResult) -> None:
    """A command that the shell did not find, or may not run, says nothing about the product."""
    for command in result.commands:
        if command.kind == "other" and command.exit_code in (126, 127):
            found = "was not found" if command.exit_code == 127 else "may not be run"
            raise RunbookError(
                f"the test command {command.command!r} {found} (exit code {command.exit_code} of the shell).",
                hint="check it where you type this, or [modes.*] commands in the configuration",
            )


def _selected_nothing(result: TestSuiteResult) -> bool:
    """Say whether all tests there are were deselected, as where a team marks none as critical."""
    counted = all(command.kind == "pytest" for command in result.commands)
    return counted and 0 < result.total_tests == result.totals.deselected


def render_again(folder: Path, settings: Settings, *, public: bool = False) -> tuple[str, ...]:
    """Write a run's report from what its folder still holds; return what is missing. Its records stay as they are."""
    from resilience.report import load, render

    incident, samples, missing = load(folder)
    redactor = Redactor.of(settings, hosts=[incident.vantage.host, vantage().host])
    with (
        memory.history(replace(settings, outputs=folder.parent.parent, drill=incident.drill))
        or nullcontext() as history
    ):
        render(incident, samples, folder, redactor=redactor, history=history, public=public, missing=missing)
    return missing


async def print_report(folder: Path) -> Path | None:
    """Write `report.pdf` beside `report.html`; None where there is no Chromium or it failed."""
    from resilience.report.pdf import browser, to_pdf

    chromium = browser(os.environ)
    return await to_pdf(folder / "report.html", folder / "report.pdf", chromium=chromium) if chromium else None


def parse_mode(text: TestExecutionMode | str) -> TestExecutionMode:
    """Return the mode of this name. Raises UsageError with the known ones."""
    from resilience.core.errors import did_you_mean

    try:
        return TestExecutionMode(str(text).strip().lower().replace("-", "_"))
    except ValueError:
        known = [mode.value for mode in TestExecutionMode]
        raise UsageError(f"mode {str(text)!r} is unknown.", hint=did_you_mean(str(text), known)) from None


def open_run(
    run: str = "",
    *,
    config: str = "",
    environment: str = "",
    outputs: str = "",
    apply: bool = False,
    slug: str = "incident",
    parameters: Mapping[str, object] | None = None,
) -> Run:
    """Open the run of this folder, of RESILIENCE_RUN, or `latest`; make a new one where none is named."""
    wanted = run or os.environ.get("RESILIENCE_RUN", "")
    if wanted and wanted != "latest":
        return Run.open(wanted, load_settings(config, environment=environment) if config else None)
    settings = load_settings(config or None, environment=environment)
    if outputs:
        settings = replace(settings, outputs=Path(outputs).expanduser().resolve())
    if wanted == "latest":
        return Run.open(latest(settings), settings)
    return Run.create(settings, slug=slug, apply=apply, parameters=parameters)


def applied_run(settings: Settings) -> Run | None:
    """Return the run whose fallback is applied in this checkout, so that one incident stays one folder; None for none."""
    journal = journals.load(settings.state)
    if journal is None or not journal.folder or not (Path(journal.folder) / "incident.json").exists():
        return None
    return Run.open(journal.folder, settings)


def latest(settings: Settings) -> Path:
    """Return the folder of the newest run. Raises UsageError where there is none."""
    pointer = settings.outputs / "latest"
    if pointer.exists():
        return pointer.resolve()
    raise UsageError(f"no run in {settings.outputs} yet.", hint="resilience run --no-apply")


def _new_folder(outputs: Path, now: datetime, slug: str) -> Path:
    day = outputs / f"{now:%Y-%m-%d}"
    try:
        day.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = day / (f"{now:%H%M%S}Z-{slug}" + (f"-{number}" if number > 1 else ""))
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as exc:
        raise RunbookError(
            f"the folder {day} cannot be made: {exc.strerror}.", hint="set [runbook] outputs, or --out FOLDER"
        ) from exc
    raise RunbookError(f"{day} is full of runs of this second.")


def _point_latest(outputs: Path, folder: Path) -> None:
    aside = outputs / f".latest-{os.getpid()}"
    with suppress(OSError):
        aside.unlink(missing_ok=True)
        aside.symlink_to(folder.relative_to(outputs))
        aside.replace(outputs / "latest")


def _plain(applied: Applied) -> Applied:
    names = [name for name in Applied.__slots__ if hasattr(applied, name)]
    return Applied(**{name: getattr(applied, name) for name in names})


def python_version() -> str:
    return ".".join(map(str, sys.version_info[:3]))

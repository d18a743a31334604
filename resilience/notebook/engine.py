"""Execute the notebooks of a run's stages one after the other, and write what became of each into incident.json."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from resilience.core.errors import ResilienceError, RunbookError
from resilience.core.records import ExitCode, Stage, StageName, StageStatus
from resilience.host.files import scratch
from resilience.notebook import endings
from resilience.notebook.endings import BROKEN, Break
from resilience.notebook.parameters import MARK, NOTEBOOKS
from resilience.notebook.passed import ParameterValues, declared_in, parse
from resilience.notebook.shipped import notebooks_folder
from resilience.notebook.stopping import Stopping
from resilience.notebook.telling import Moment
from resilience.runs.folder import change_incident, read_incident, record_stage

if TYPE_CHECKING:
    from resilience.notebook.kernels import Kernels

__all__ = [
    "Executed",
    "Moment",
    "declared_parameters",
    "execute",
    "known_parameters",
    "notebooks_folder",
    "read_incident",
]

_GRACE_S = 10.0
"""Seconds an interrupted cell has to put down its work before its kernel is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What became of the stages. `exit_code` is 0 where every stage went through, whatever the tests said.

    `restored` says that a break was followed by a restore that worked; `signal` is the first that stopped the run.
    """

    stages: tuple[Stage, ...]
    exit_code: int
    duration_s: float
    signal: int | None = None
    timed_out: bool = False
    restored: bool = False

    def stage(self, name: StageName) -> Stage | None:
        return next((stage for stage in self.stages if stage.name is name), None)


def declared_parameters(notebook: Path) -> tuple[str, ...]:
    """Return the names that a notebook declares in its parameters cell."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if source.startswith(MARK):
            return declared_in(source)
    return ()


def known_parameters(stages: Sequence[StageName] | None = None, folder: Path | None = None) -> tuple[str, ...]:
    """Return every name that a notebook of these stages declares.

    `folder` stands in place of our own notebooks, as for a team that changed its copies.
    """
    where = folder or notebooks_folder()
    names: dict[str, None] = {}
    for stage in stages or tuple(StageName):
        names.update(dict.fromkeys(declared_parameters(where / f"{NOTEBOOKS[stage]}.ipynb")))
    return tuple(names)


async def execute(
    run_folder: Path,
    *,
    stages: Sequence[StageName] | None = None,
    parameters: Mapping[str, object] | None = None,
    total_timeout_s: float | None = None,
    stage_timeout_s: float | None = None,
    on_progress: Callable[[Moment], None] | None = None,
    environ: Mapping[str, str] | None = None,
    restore: Callable[[], Awaitable[object]] | None = None,
    report: Callable[[int | None], object] | None = None,
    redact: Callable[[str], str] | None = None,
    folder: Path | None = None,
    grace_s: float = _GRACE_S,
) -> Executed:
    """Execute the notebooks of these stages, each in a kernel of its own, and record each stage's end as it was seen.

    The kernel of the next stage boots while the current one waits for the network. A stage that breaks ends the run but
    for the report; `restore` is called after a break, `report` where the report's notebook did not come through (both
    read the run's folder anew), so that no run ends without them. `report` gets the exit code that the run ends with where no
    record says it, else None. SIGINT and SIGTERM interrupt the kernel, as do the
    time-outs; nothing of ours is left running. Raises SettingsError for parameters that no notebook declares, before
    anything starts.

    Measured for five stages that each wait 2 s: 13.5 s in this way, 23.8 s as five calls of papermill; without
    kernels it is 11.1 s. Limits are in seconds. `grace_s` is what an interrupted cell has to end its own work, such
    as a test run.
    """
    where = folder or notebooks_folder()
    wanted = tuple(stages if stages is not None else StageName)
    asked = parse(
        {name: value for name, value in (parameters or {}).items() if name != "run"},
        declared=known_parameters(folder=where),
        source="the parameters of the run",
    )
    run = _Execution(
        run_folder=run_folder.resolve(),
        notebooks=where,
        asked=asked,
        stopping=Stopping(total_timeout_s=total_timeout_s, stage_timeout_s=stage_timeout_s),
        tell=on_progress or (lambda _moment: None),
        redact=redact or (lambda text: text),
        grace_s=grace_s,
    )
    return await run.go(wanted, environ=os.environ if environ is None else environ, restore=restore, report=report)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Execution:
    """One headless run. Everything happens on the caller's loop; papermill itself waits in a thread."""

    run_folder: Path
    notebooks: Path
    asked: ParameterValues
    stopping: Stopping
    tell: Callable[[Moment], None]
    redact: Callable[[str], str]
    grace_s: float

    async def go(
        self,
        stages: Sequence[StageName],
        *,
        environ: Mapping[str, str],
        restore: Callable[[], Awaitable[object]] | None,
        report: Callable[[int | None], object] | None,
    ) -> Executed:
        """Go through the stages; whatever breaks, end every kernel, and leave a report where one can be made.

        Each stage's record has the exit code of its break, by which the report and whoever judges the run later say the same.
        """
        # Before any thread: two that import jupyter_client at once can meet it half-initialised. Not at the top, as the
        # parameters of a run are refused without it.
        from resilience.notebook.kernels import Kernels

        # Short on purpose: the kernels' sockets live here, and a socket's path holds at most 107 characters.
        sockets = scratch("rb")
        log = self.run_folder / "logs" / "kernels.log"
        kernels = Kernels(len(stages), folder=sockets, log=log, environ=environ, redact=self.redact)
        ends: list[Stage] = []
        restored = False
        broken: Stage | None = None
        with self.stopping.listening():
            try:
                kernels.warm(1)
                await asyncio.to_thread(_register_engine)
                for name in stages:
                    if broken is not None and (name is not StageName.REPORT or self.stopping.ended):
                        if name is not StageName.REPORT:
                            ends.append(self._not_reached(name, broken))
                        continue
                    end = await self._stage(name, kernels)
                    ends.append(end)
                    if end.status in BROKEN and name is not StageName.REPORT:
                        broken = end
                        restored = await self._restore(restore)
                if StageName.REPORT in stages:
                    ends = await self._ensure_report(ends, report)
            finally:
                try:
                    await kernels.close()
                finally:
                    shutil.rmtree(sockets, ignore_errors=True)
        return Executed(
            stages=tuple(ends),
            exit_code=endings.exit_code(ends, heard=self.stopping.signal),
            duration_s=self.stopping.elapsed_s,
            signal=self.stopping.signal,
            timed_out=any(end.status is StageStatus.TIMED_OUT for end in ends),
            restored=restored,
        )

    async def _stage(self, name: StageName, kernels: Kernels) -> Stage:
        """Record that the stage began, execute its notebook in the next kernel, and record how that ended.

        The record that it began is on disk before its kernel is waited for: whoever finds a run that was killed here
        must see at which stage. The kernel for the stage after boots while this one's notebook runs.
        """
        # Here, as papermill costs a second; `_register_engine` has loaded it while the first kernel booted.
        from resilience.notebook.cells import Session

        notebook = f"{NOTEBOOKS[name]}.ipynb"
        begun = Stage(
            name=name, status=StageStatus.STARTED, started_at=datetime.now(UTC), notebook=f"notebooks/{notebook}"
        )
        record_stage(self.run_folder, begun, self.redact)
        self.tell(Moment(stage=name, status=StageStatus.STARTED, elapsed_s=self.stopping.elapsed_s))
        try:
            kernel = await kernels.take()
        except RunbookError as exc:
            return self._end(begun, Break(StageStatus.FAILED, message=exc.message, hint=exc.hint))
        session = Session(
            kernel,
            begun,
            run_folder=self.run_folder,
            stopping=self.stopping,
            tell=self.tell,
            redact=self.redact,
            grace_s=self.grace_s,
        )
        kernels.warm()
        try:
            await asyncio.to_thread(session.papermill, self.notebooks / notebook, self._values(notebook))
        finally:
            kernels.put_away(kernel, broken=session.broke is not None)
        return self._end(begun, session.broke)

    def _values(self, notebook: str) -> dict[str, object]:
        declared = declared_parameters(self.notebooks / notebook)
        values = {name: value for name, value in self.asked.items() if name in declared}
        return {"run": str(self.run_folder), **values}

    def _end(self, begun: Stage, broke: Break | None) -> Stage:
        if broke is not None:
            broke = replace(broke, message=self.redact(broke.message), hint=self.redact(broke.hint))
        written = read_incident(self.run_folder).stage(begun.name)
        end = endings.ended(begun, broke, written, at=datetime.now(UTC))
        if end.status in BROKEN and end.name is not StageName.REPORT:
            end = replace(end, exit_code=endings.exit_code([end], heard=self.stopping.signal))
        record_stage(self.run_folder, end, self.redact)
        self.tell(
            Moment(
                stage=end.name,
                status=end.status,
                cell=end.cell,
                text=end.error,
                elapsed_s=self.stopping.elapsed_s,
            )
        )
        return end

    def _not_reached(self, name: StageName, broken: Stage) -> Stage:
        now = datetime.now(UTC)
        note = f"not reached: stage {broken.name.value} {broken.status.value.replace('_', ' ')}"
        stage = Stage(name=name, status=StageStatus.SKIPPED, started_at=now, finished_at=now, note=note)
        record_stage(self.run_folder, stage, self.redact)
        return stage

    async def _restore(self, restore: Callable[[], Awaitable[object]] | None) -> bool:
        """Put back what the run applied, where it may; return whether that was done.

        Also what it only began to apply: a stage that was cut short left no record of it, but a journal.
        """
        incident = read_incident(self.run_folder)
        if restore is None or not self.asked.get("restore", True) or incident.restored:
            return False
        stage = incident.stage(StageName.APPLY_FALLBACK)
        if incident.applied is None and (stage is None or stage.status not in BROKEN):
            return False
        try:
            await restore()
        except (ResilienceError, OSError) as exc:
            # A restore that fails must not cost the report; the report says that it failed.
            note = f"restoring failed: {type(exc).__name__}: {exc}"
            change_incident(self.run_folder, self.redact, notes=(*read_incident(self.run_folder).notes, note))
            return False
        return True

    async def _ensure_report(self, ends: list[Stage], report: Callable[[int | None], object] | None) -> list[Stage]:
        """Let the library make the report where its notebook did not; its stage then says why, and whether that worked.

        A signal or the end of the time that met the report itself is the end of the run, though every stage before it came
        through: the report is told the exit code, and its stage keeps it. So does one that nothing could make.
        """
        made = next((end for end in ends if end.name is StageName.REPORT), None)
        if report is None or (made is not None and made.status not in BROKEN):
            return ends
        begun = made or Stage(name=StageName.REPORT, status=StageStatus.STARTED, started_at=datetime.now(UTC))
        why = "made by the library: " + (
            f"its notebook {made.status.value}: {made.error}" if made else "the run was cut short"
        )
        stopped = made is not None and made.status in (StageStatus.INTERRUPTED, StageStatus.TIMED_OUT)
        code = endings.exit_code([begun], heard=self.stopping.signal) if stopped else None
        end = replace(begun, status=StageStatus.FINISHED, note=why, error="", hint="", exit_code=code)
        try:
            await asyncio.to_thread(report, code)
        except Exception as exc:  # noqa: BLE001 - whatever broke the report becomes the stage's record
            error = self.redact(f"{type(exc).__name__}: {exc}")
            lost = ExitCode.RUNBOOK_FAILED
            end = replace(end, status=StageStatus.FAILED, error=error, exit_code=lost)
        end = replace(end, finished_at=datetime.now(UTC))
        record_stage(self.run_folder, end, self.redact)
        return [*(stage for stage in ends if stage.name is not StageName.REPORT), end]


def _register_engine() -> None:
    # Here, as papermill is loaded in a thread while the first kernel boots.
    from resilience.notebook.cells import register_engine

    register_engine()

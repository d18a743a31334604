"""Execute the runbook's notebooks through papermill, and write what became of each stage into incident.json."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from resilience.core import errors
from resilience.core.codec import from_json, mapped, to_json
from resilience.core.errors import ResilienceError, RunbookError
from resilience.core.records import ExitCode, Incident, Stage, StageName, StageStatus, Verdict
from resilience.host.files import scratch, write_atomically
from resilience.notebook.kernel import HEADLESS
from resilience.notebook.parameters import MARK, NOTEBOOKS, Asked, declared_in, parse

if TYPE_CHECKING:
    from jupyter_client.asynchronous.client import AsyncKernelClient

ENGINE = "resilience-warm"
"""The name under which our engine is registered with papermill, in this process only."""

_TOKEN = "RESILIENCE_KERNEL"  # noqa: S105 - a marker in the environment of a kernel's children, not a credential
_LAUNCH = (
    "import sys; sys.modules['debugpy'] = None; "
    "from ipykernel.kernelapp import launch_new_instance; launch_new_instance()"
)
"""Start a kernel without its debugger, which nobody attaches to and which is 0.3 s of the 0.9 s that a start takes."""

_GRACE_S = 10.0
"""Seconds an interrupted cell has to put down its work before its kernel is killed."""
_START_S = 60.0
_CLOSE_S = 1.0
_AHEAD = 2

_BROKEN = {StageStatus.FAILED, StageStatus.KILLED, StageStatus.TIMED_OUT, StageStatus.INTERRUPTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Where a headless run is: which stage, which of its cells, and the last line that cell showed."""

    stage: StageName
    status: StageStatus
    cell: str = ""
    index: int = 0
    cells: int = 0
    text: str = ""
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What became of the stages. `exit_code` is 0 where every stage went through, whatever the tests said."""

    stages: tuple[Stage, ...]
    exit_code: int
    duration_s: float
    signal: int | None = None
    timed_out: bool = False
    restored: bool = False

    def stage(self, name: StageName) -> Stage | None:
        return next((stage for stage in self.stages if stage.name is name), None)


def notebooks_folder() -> Path:
    """Return the folder of our notebooks: in the wheel, or in the checkout."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_shipped" / "notebooks"
    return shipped if shipped.is_dir() else package.parent / "notebooks"


def declared_parameters(notebook: Path) -> tuple[str, ...]:
    """Return the names that a notebook declares in its parameters cell."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if source.startswith(MARK):
            return declared_in(source)
    return ()


def known_parameters(stages: Sequence[StageName] | None = None, folder: Path | None = None) -> tuple[str, ...]:
    """Return every name that a notebook of these stages declares."""
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
    report: Callable[[], object] | None = None,
    redact: Callable[[str], str] | None = None,
    folder: Path | None = None,
    grace_s: float = _GRACE_S,
) -> Executed:
    """Execute the notebooks of these stages, each in a kernel of its own, and record each stage's end as it was seen.

    The kernel of the next stage boots while the current one waits for the network. A stage that breaks ends the run but
    for the report; `restore` is called after a break, `report` where the report's notebook did not come through (both
    read the run's folder anew), so that no run ends without them. SIGINT and SIGTERM interrupt the kernel, as do the
    time-outs; nothing of ours is left running. Raises SettingsError for parameters that no notebook declares, before
    anything starts.
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
        environ=os.environ if environ is None else environ,
        deadline=None if total_timeout_s is None else time.monotonic() + total_timeout_s,
        stage_timeout_s=stage_timeout_s,
        on_progress=on_progress or (lambda _moment: None),
        redact=redact or (lambda text: text),
        grace_s=grace_s,
    )
    return await run.go(wanted, restore=restore, report=report)


class _Execution:
    """One headless run. Everything happens on the caller's loop; papermill itself waits in a thread."""

    def __init__(
        self,
        *,
        run_folder: Path,
        notebooks: Path,
        asked: Asked,
        environ: Mapping[str, str],
        deadline: float | None,
        stage_timeout_s: float | None,
        on_progress: Callable[[Moment], None],
        redact: Callable[[str], str],
        grace_s: float,
    ) -> None:
        self.run_folder = run_folder
        self.notebooks = notebooks
        self.asked = asked
        self.environ = environ
        self.deadline = deadline
        self.stage_timeout_s = stage_timeout_s
        self.tell = on_progress
        self.redact = redact
        self.grace_s = grace_s
        self.stop = asyncio.Event()
        self.signal: int | None = None
        self.out_of_time = False
        self.started = time.monotonic()
        self.closing: set[asyncio.Task[None]] = set()
        self.scratch = Path()

    async def go(
        self,
        stages: Sequence[StageName],
        *,
        restore: Callable[[], Awaitable[object]] | None,
        report: Callable[[], object] | None,
    ) -> Executed:
        ends: list[Stage] = []
        restored = False
        kernels = _Kernels(self, len(stages))
        # Short on purpose: the kernels' sockets live here, and a socket's path holds at most 107 characters.
        self.scratch = scratch("rb")
        put_back = self._listen()
        try:
            # Before the threads: two that import jupyter_client at once can meet it half-initialised.
            import jupyter_client.asynchronous.client
            import jupyter_client.connect  # noqa: F401

            kernels.warm(1)
            await asyncio.to_thread(_register_engine)
            broken: Stage | None = None
            for name in stages:
                if broken is not None and (name is not StageName.REPORT or self.stop.is_set() or self.out_of_time):
                    if name is not StageName.REPORT:
                        note = f"not reached: stage {broken.name.value} {broken.status.value.replace('_', ' ')}"
                        ends.append(self._skip(name, note))
                    continue
                end = await self._stage(name, kernels)
                ends.append(end)
                if end.status in _BROKEN and name is not StageName.REPORT:
                    broken = end
                    self._note_verdict(end)
                    restored = await self._restore(restore)
            if StageName.REPORT in stages:
                ends = await self._ensure_report(ends, report)
            if broken is not None:
                # The report judges by the records' statuses, which do not tell a lock from a failure.
                self._note_verdict(broken)
        finally:
            try:
                await kernels.close()
            finally:
                put_back()
                shutil.rmtree(self.scratch, ignore_errors=True)
        return Executed(
            stages=tuple(ends),
            exit_code=self._exit_code(ends),
            duration_s=time.monotonic() - self.started,
            signal=self.signal,
            timed_out=any(end.status is StageStatus.TIMED_OUT for end in ends),
            restored=restored,
        )

    async def _stage(self, name: StageName, kernels: _Kernels) -> Stage:
        notebook = f"{NOTEBOOKS[name]}.ipynb"
        begun = Stage(
            name=name, status=StageStatus.STARTED, started_at=datetime.now(UTC), notebook=f"notebooks/{notebook}"
        )
        record_stage(self.run_folder, begun)
        self.tell(Moment(stage=name, status=StageStatus.STARTED, elapsed_s=time.monotonic() - self.started))
        try:
            kernel = await kernels.take()
        except RunbookError as exc:
            return self._end(begun, _Break(StageStatus.FAILED, message=exc.message, hint=exc.hint))
        session = _Session(self, kernel, begun)
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

    def _end(self, begun: Stage, broke: _Break | None) -> Stage:
        now = datetime.now(UTC)
        if broke is None:
            written = read_incident(self.run_folder).stage(begun.name)
            if written is not None and written.status in (StageStatus.SKIPPED, StageStatus.DONE_BY_HAND):
                end = replace(written, notebook=begun.notebook, finished_at=written.finished_at or now)
            else:
                end = replace(begun, status=StageStatus.FINISHED, finished_at=now)
        else:
            end = replace(
                begun,
                status=broke.status,
                finished_at=now,
                cell=broke.cell,
                error=self.redact(broke.message),
                hint=self.redact(broke.hint),
            )
        record_stage(self.run_folder, end)
        self.tell(
            Moment(
                stage=end.name,
                status=end.status,
                cell=end.cell,
                text=end.error,
                elapsed_s=time.monotonic() - self.started,
            )
        )
        return end

    def _skip(self, name: StageName, note: str) -> Stage:
        now = datetime.now(UTC)
        stage = Stage(name=name, status=StageStatus.SKIPPED, started_at=now, finished_at=now, note=note)
        record_stage(self.run_folder, stage)
        return stage

    def _note_verdict(self, broken: Stage) -> None:
        """Write what the run came to before the report is made: the report shows it."""
        verdict = {
            StageStatus.TIMED_OUT: Verdict.TIMED_OUT,
            StageStatus.INTERRUPTED: Verdict.INTERRUPTED,
        }.get(broken.status, Verdict.RUNBOOK_FAILED)
        _write_incident(
            self.run_folder,
            replace(read_incident(self.run_folder), verdict=verdict, exit_code=self._exit_code([broken])),
        )

    async def _restore(self, restore: Callable[[], Awaitable[object]] | None) -> bool:
        incident = read_incident(self.run_folder)
        if restore is None or not self.asked.get("restore", True) or incident.applied is None or incident.restored:
            return False
        try:
            await restore()
        except (ResilienceError, OSError) as exc:
            # A restore that fails must not cost the report; the report says that it failed.
            _add_note(self.run_folder, self.redact(f"restoring failed: {type(exc).__name__}: {exc}"))
            return False
        return True

    async def _ensure_report(self, ends: list[Stage], report: Callable[[], object] | None) -> list[Stage]:
        made = next((end for end in ends if end.name is StageName.REPORT), None)
        if report is None or (made is not None and made.status not in _BROKEN):
            return ends
        begun = made or Stage(name=StageName.REPORT, status=StageStatus.STARTED, started_at=datetime.now(UTC))
        why = "made by the library: " + (
            f"its notebook {made.status.value}: {made.error}" if made else "the run was cut short"
        )
        end = replace(begun, status=StageStatus.FINISHED, finished_at=datetime.now(UTC), note=why, error="", hint="")
        record_stage(self.run_folder, end)
        try:
            await asyncio.to_thread(report)
        except Exception as exc:  # noqa: BLE001 - whatever broke the report becomes the stage's record
            end = replace(end, status=StageStatus.FAILED, error=self.redact(f"{type(exc).__name__}: {exc}"))
            record_stage(self.run_folder, end)
        return [*(stage for stage in ends if stage.name is not StageName.REPORT), end]

    def _exit_code(self, ends: Sequence[Stage]) -> int:
        codes = []
        for end in ends:
            if end.status is StageStatus.INTERRUPTED:
                codes.append(ExitCode.TERMINATED if self.signal == signal.SIGTERM else ExitCode.INTERRUPTED)
            elif end.status is StageStatus.TIMED_OUT:
                codes.append(ExitCode.TIMED_OUT)
            elif end.status is StageStatus.KILLED:
                codes.append(ExitCode.RUNBOOK_FAILED)
            elif end.status is StageStatus.FAILED:
                kind = getattr(errors, end.error.partition(":")[0], ResilienceError)
                codes.append(getattr(kind, "exit_code", ExitCode.RUNBOOK_FAILED))
        return ExitCode.worst(*codes) if codes else ExitCode.PASSED

    def _listen(self) -> Callable[[], None]:
        """Take SIGINT and SIGTERM as "stop"; gives back how to stop listening."""
        loop = asyncio.get_running_loop()
        heard: list[signal.Signals] = []

        def stop(number: int) -> None:
            self.signal = self.signal or number
            self.stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            # Not the main thread, or no signals on this platform: the caller then stops us by cancelling.
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, stop, number)
                heard.append(number)

        def put_back() -> None:
            for number in heard:
                loop.remove_signal_handler(number)

        return put_back

    def remaining(self, stage_started: float) -> float | None:
        """Return the seconds that are left to the stage, or None where nothing limits it."""
        limits = [] if self.deadline is None else [self.deadline]
        if self.stage_timeout_s is not None:
            limits.append(stage_started + self.stage_timeout_s)
        return max(0.0, min(limits) - time.monotonic()) if limits else None


@dataclass(frozen=True, slots=True, kw_only=False)
class _Break:
    """Why a notebook did not come through."""

    status: StageStatus
    cell: str = ""
    message: str = ""
    hint: str = ""


class _Session:
    """One notebook in one kernel: what our papermill engine does with it."""

    def __init__(self, run: _Execution, kernel: _Kernel, stage: Stage) -> None:
        self.run = run
        self.kernel = kernel
        self.stage = stage
        self.started = time.monotonic()
        self.loop = asyncio.get_running_loop()
        self.broke: _Break | None = None
        self.out = Path()
        self.save: Callable[[], None] | None = None

    def papermill(self, notebook: Path, values: Mapping[str, object]) -> None:
        """Execute the notebook with papermill, in a thread; sets `broke` where it did not come through."""
        from papermill.exceptions import PapermillExecutionError
        from papermill.execute import execute_notebook

        self.out = self.run.run_folder / "notebooks" / notebook.name
        self.out.parent.mkdir(exist_ok=True)
        try:
            # papermill is given no file to write: what it writes itself is not redacted.
            execute_notebook(
                str(notebook), None, parameters=dict(values), engine_name=ENGINE, progress_bar=False, session=self
            )
        except PapermillExecutionError as exc:
            if self.broke is None:
                self.broke = _Break(StageStatus.FAILED, message=f"{exc.ename}: {exc.evalue}")
            if self.save is not None:
                self.save()  # with what papermill put above its cells
        except Exception as exc:  # noqa: BLE001 - whatever breaks papermill becomes the stage's record
            self.broke = _Break(
                StageStatus.FAILED, message=f"{type(exc).__name__}: {exc}", hint="the runbook failed, not your tests"
            )

    async def cells(self, manager: Any) -> None:
        """Execute the cells one by one until one breaks. Called on the loop, by the engine."""
        client = _make_client(manager, self)
        stop = asyncio.ensure_future(self.run.stop.wait())
        died = asyncio.ensure_future(self.kernel.process.wait())
        try:
            for index, cell in enumerate(manager.nb.cells):
                manager.cell_start(cell, index)
                if cell.cell_type == "code":
                    await self._cell(client, manager, cell, index, stop, died)
                manager.cell_complete(manager.nb.cells[index], cell_index=index)
                if self.broke is not None:
                    return
        finally:
            for task in (stop, died):
                task.cancel()

    async def _cell(
        self, client: Any, manager: Any, cell: Any, index: int, stop: asyncio.Future[Any], died: asyncio.Future[Any]
    ) -> None:
        where = f"{cell.get('id', '')} (cell {index + 1} of {len(manager.nb.cells)})"
        self.run.tell(
            Moment(
                stage=self.stage.name,
                status=StageStatus.STARTED,
                cell=cell.get("id", ""),
                index=index + 1,
                cells=len(manager.nb.cells),
                elapsed_s=time.monotonic() - self.run.started,
            )
        )
        work = asyncio.ensure_future(client.async_execute_cell(cell, index))
        limit = self.run.remaining(self.started)
        await asyncio.wait({work, stop, died}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            error = work.exception()
            if error is None:
                return
            if not died.done() and type(error).__name__ == "CellExecutionError":
                # Told from the kernel's death by the process itself, not by the message.
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(died), 0.05 if "Kernel" in str(error)[:20] else 0.001)
            if not died.done():
                self.broke = _from_error(error, where)
                manager.cell_exception(cell, cell_index=index)
                return
        if died.done():
            work.cancel()
            await asyncio.wait({work}, timeout=1)
            code = died.result()
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            self.broke = _Break(
                StageStatus.KILLED,
                where,
                f"KernelDied: the notebook's kernel was ended by {how} in this cell",
                f"look for the out-of-memory killer, then: resilience resume {self.run.run_folder.name}",
            )
        elif stop.done():
            await self._put_down(work)
            name = signal.Signals(self.run.signal or signal.SIGINT).name
            self.broke = _Break(
                StageStatus.INTERRUPTED,
                where,
                f"Interrupted: {name} stopped the run in this cell",
                f"go on with: resilience resume {self.run.run_folder.name}",
            )
        else:
            await self._put_down(work)
            total = self.run.deadline is not None and time.monotonic() >= self.run.deadline
            self.run.out_of_time = total
            seconds = (time.monotonic() - self.run.started) if total else (time.monotonic() - self.started)
            self.broke = _Break(
                StageStatus.TIMED_OUT,
                where,
                f"TimedOut: the {'run' if total else 'stage'} was stopped in this cell after {seconds:.0f} s",
                f"give it longer, or go on with: resilience resume {self.run.run_folder.name}",
            )
        _show_break(cell, self.broke)
        manager.cell_exception(cell, cell_index=index)

    async def _put_down(self, work: asyncio.Future[Any]) -> None:
        """Interrupt the cell; kill its kernel, and the commands it started, where it does not end in time."""
        self.kernel.interrupt()
        await asyncio.wait({work}, timeout=self.run.grace_s)
        if not work.done():
            self.kernel.kill()
            work.cancel()
            await asyncio.wait({work}, timeout=1)
        if not work.cancelled():
            work.exception()
        if self.stage.name is not StageName.APPLY_FALLBACK:
            # Stand-ins begun by apply outlive their kernel by design; whatever else it started must not.
            sweep(self.kernel.token)

    def shown(self, text: str) -> None:
        """Pass on the last line that a cell showed."""
        line = next((line for line in reversed(text.splitlines()) if line.strip()), "")
        if line:
            self.run.tell(
                Moment(
                    stage=self.stage.name,
                    status=StageStatus.STARTED,
                    text=self.run.redact(line)[:300],
                    elapsed_s=time.monotonic() - self.run.started,
                )
            )


class _Kernel:
    """A kernel of our own interpreter, reached over sockets in a private folder."""

    def __init__(self, process: asyncio.subprocess.Process, client: AsyncKernelClient, token: str) -> None:
        self.process = process
        self.client = client
        self.token = token

    @classmethod
    async def start(cls, folder: Path, name: str, environ: Mapping[str, str], log: Path) -> _Kernel:
        from jupyter_client.asynchronous.client import AsyncKernelClient
        from jupyter_client.connect import write_connection_file

        # ipc instead of tcp: no port to race for, and nothing that listens.
        file, info = write_connection_file(
            str(folder / f"{name}.json"), transport="ipc", ip=str(folder / name), key=uuid.uuid4().hex.encode()
        )
        token = uuid.uuid4().hex
        env = {key: value for key, value in environ.items() if key != "JPY_SESSION_NAME"}
        env |= {HEADLESS: "1", _TOKEN: token, "IPYTHONDIR": str(folder / "ipython"), "JPY_PARENT_PID": str(os.getpid())}
        log.touch(mode=0o600)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-c", _LAUNCH, "-f", file, "--HistoryManager.enabled=False",
                env=env, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        client = AsyncKernelClient()
        client.load_connection_info(info)
        client.start_channels(stdin=False, hb=False, control=True)
        client.allow_stdin = False
        return cls(process, client, token)

    async def ready(self) -> None:
        """Wait until it answers and has imported what every stage needs. Raises RunbookError."""
        died = asyncio.ensure_future(self.process.wait())
        warm = asyncio.ensure_future(self._warm_up())
        try:
            await asyncio.wait({died, warm}, timeout=_START_S, return_when=asyncio.FIRST_COMPLETED)
            if not warm.done():
                what = f"ended with exit code {died.result()}" if died.done() else f"did not answer in {_START_S:.0f} s"
                raise RunbookError(f"a notebook kernel {what}.", hint="see logs/kernels.log in the run's folder")
            await warm
        finally:
            for task in (died, warm):
                task.cancel()

    async def _warm_up(self) -> None:
        from queue import Empty

        message = self.client.execute("from resilience.notebook.kernel import warm_up; warm_up()", silent=True)
        while True:
            reply = await self.client.get_shell_msg(timeout=None)
            if reply["parent_header"].get("msg_id") == message:
                break
        if reply["content"]["status"] != "ok":
            raise RunbookError(
                f"a notebook kernel cannot import the runbook: {reply['content'].get('evalue', '')}",
                hint="make setup",
            )
        # Output is lost until the subscription stands; ask until something comes through it.
        while True:
            with suppress(Empty):
                await self.client.get_iopub_msg(timeout=0.2)
                break
            self.client.kernel_info()
        while True:
            try:
                await self.client.get_iopub_msg(timeout=0.01)
            except Empty:
                return

    def interrupt(self) -> None:
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    async def close(self) -> None:
        """End it politely, else by force; its sockets and threads are gone afterwards."""
        try:
            if self.process.returncode is None:
                self.client.shutdown()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.process.wait(), _CLOSE_S)
            if self.process.returncode is None:
                self.kill()
                await self.process.wait()
        finally:
            self.client.stop_channels()
            self.client.context.destroy(linger=0)


class _Kernels:
    """One kernel in use, the next ones booting: a boot takes 0.9 s of processor time, a stage often less."""

    def __init__(self, run: _Execution, wanted: int) -> None:
        self.run = run
        self.wanted = wanted
        self.booting: list[asyncio.Task[_Kernel]] = []
        self.alive: list[_Kernel] = []
        self.count = 0

    def warm(self, ahead: int = _AHEAD) -> None:
        """Boot kernels until this many are waiting, but no more than there are stages."""
        while len(self.booting) < ahead and self.count < self.wanted:
            self.count += 1
            self.booting.append(asyncio.ensure_future(self._start(f"k{self.count}")))

    async def _start(self, name: str) -> _Kernel:
        logs = self.run.run_folder / "logs"
        logs.mkdir(exist_ok=True)
        kernel = await _Kernel.start(self.run.scratch, name, self.run.environ, logs / "kernels.log")
        self.alive.append(kernel)
        await kernel.ready()
        return kernel

    async def take(self) -> _Kernel:
        """Return a kernel that is ready. Raises RunbookError."""
        self.warm(1)
        return await self.booting.pop(0)

    def put_away(self, kernel: _Kernel, *, broken: bool) -> None:
        """End a kernel without waiting for it; one in which something broke holds on to threads, and is killed."""
        if broken:
            kernel.kill()
        task = asyncio.ensure_future(self._close(kernel))
        self.run.closing.add(task)
        task.add_done_callback(self.run.closing.discard)

    async def _close(self, kernel: _Kernel) -> None:
        await kernel.close()
        self.alive.remove(kernel)

    async def close(self) -> None:
        for task in self.booting:
            task.cancel()
        if self.booting:
            await asyncio.wait(self.booting)
        while self.run.closing:
            await asyncio.wait(set(self.run.closing))
        for kernel in list(self.alive):
            # Never used: nothing in it is worth a polite end.
            kernel.kill()
            await self._close(kernel)
        _redact_log(self.run.run_folder / "logs" / "kernels.log", self.run.redact)


def _redact_log(path: Path, redact: Callable[[str], str]) -> None:
    """Rewrite what kernels said beside their protocol: warnings and tracebacks of threads hold whatever they like."""
    with suppress(OSError):
        said = path.read_text(encoding="utf-8", errors="replace")
        write_atomically(path, redact(said).encode("utf-8", "replace"), mode=0o644, durable=False)


def record_stage(run_folder: Path, stage: Stage) -> None:
    """Write the stage's record into incident.json, in the place of the one that says it was begun."""
    incident = read_incident(run_folder)
    stages = list(incident.stages)
    for position in range(len(stages) - 1, -1, -1):
        known = stages[position]
        if known.name is stage.name and (known.status is StageStatus.STARTED or known.started_at >= stage.started_at):
            stages[position] = replace(stage, note=stage.note or known.note, by=stage.by or known.by)
            break
    else:
        stages.append(stage)
    _write_incident(run_folder, replace(incident, stages=tuple(stages)))


def read_incident(run_folder: Path) -> Incident:
    """Read `incident.json`. Raises RecordError."""
    path = run_folder / "incident.json"
    return from_json(path.read_bytes(), Incident, source=path)


def sweep(token: str) -> tuple[int, ...]:
    """Kill what a kernel's cells started and left behind, found by the kernel's own mark in its environment."""
    mark = f"{_TOKEN}={token}".encode()
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                process.kill()
                found.append(process.pid)
    return tuple(found)


def _add_note(run_folder: Path, note: str) -> None:
    incident = read_incident(run_folder)
    _write_incident(run_folder, replace(incident, notes=(*incident.notes, note)))


def _write_incident(run_folder: Path, incident: Incident) -> None:
    write_atomically(run_folder / "incident.json", to_json(incident))


_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def _from_error(error: BaseException, where: str) -> _Break:
    name = getattr(error, "ename", type(error).__name__)
    value = _ANSI.sub("", str(getattr(error, "evalue", error)))
    message, _, hint = value.partition(" Hint: ")
    return _Break(StageStatus.FAILED, where, f"{name}: {message}", hint)


def _show_break(cell: Any, broke: _Break) -> None:
    """Put into the cell what papermill would not: it leaves a killed kernel's cell looking completed."""
    from nbformat.v4 import new_output

    name, _, value = broke.message.partition(": ")
    cell.outputs = [output for output in cell.get("outputs", []) if output.output_type != "error"]
    text = f"{broke.message}. Hint: {broke.hint}" if broke.hint else broke.message
    cell.outputs.append(new_output("error", ename=name, evalue=value, traceback=[text]))  # type: ignore[no-untyped-call]


def _make_client(manager: Any, session: _Session) -> Any:
    from papermill.clientwrap import PapermillNotebookClient

    class Client(PapermillNotebookClient):  # type: ignore[misc]
        async def _async_poll_kernel_alive(self) -> None:
            await asyncio.Event().wait()  # we watch the process itself

        def process_message(self, message: Any, *args: Any, **kwargs: Any) -> Any:
            output = super().process_message(message, *args, **kwargs)
            content = message["content"]
            text = content.get("text") or content.get("data", {}).get("text/plain", "")
            if isinstance(text, str) and message["msg_type"] in ("stream", "display_data", "update_display_data"):
                session.shown(text)
            return output

    client = Client(manager, timeout=None)
    client.reset_execution_trackers()
    client.kc = session.kernel.client
    return client


def _register_engine() -> None:
    """Register our engine with papermill in this process; plain papermill never sees it."""
    import logging

    from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
    from papermill.iorw import write_ipynb  # noqa: F401 - imported while the first kernel boots

    class Manager(NotebookExecutionManager):  # type: ignore[misc]
        """Saves once a cell, whole or not at all, and never calls a cell completed that did not run."""

        output_path: str | None

        def __init__(self, *args: Any, redact: Callable[[str], str], **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            # Every save writes the whole notebook again.
            self._redact = lru_cache(maxsize=4096)(redact)

        def save(self, **kwargs: Any) -> None:
            if kwargs.get("nb"):
                self.nb = kwargs["nb"]
            if self.output_path:
                import nbformat

                leaving = nbformat.from_dict(_leaving(self.nb, self._redact))  # type: ignore[no-untyped-call]
                data = nbformat.writes(leaving) + "\n"  # type: ignore[no-untyped-call]
                write_atomically(Path(self.output_path), data.encode(), mode=0o644, durable=False)
            self.last_save_time = self.now()

        def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
            cell.metadata.papermill["start_time"] = self.now().isoformat()
            cell.metadata.papermill["status"] = self.RUNNING
            cell.metadata.papermill["exception"] = False
            if cell.cell_type == "code" and cell.source.strip():
                self.save()

        def cell_complete(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
            # Saved when the next cell starts, or at the end: once a cell.
            save, self.output_path = self.output_path, None
            try:
                super().cell_complete(cell, cell_index, **kwargs)
            finally:
                self.output_path = save

        def notebook_complete(self, **kwargs: Any) -> None:
            unreached = [cell for cell in self.nb.cells if cell.metadata.papermill["status"] == self.PENDING]
            save, self.output_path = self.output_path, None
            try:
                super().notebook_complete(**kwargs)
            finally:
                self.output_path = save
            for cell in unreached:
                cell.metadata.papermill["status"] = self.PENDING
            self.save()

    class WarmEngine(Engine):  # type: ignore[misc]
        """Runs the cells in a kernel that is already there."""

        @classmethod
        def execute_notebook(
            cls, nb: Any, kernel_name: str, output_path: str | None = None, *, session: _Session, **_kwargs: Any
        ) -> Any:
            out = str(session.out)
            nb.metadata.papermill["output_path"] = out
            manager = Manager(nb, output_path=out, progress_bar=False, redact=session.run.redact)
            session.save = manager.save
            manager.notebook_start()
            try:
                asyncio.run_coroutine_threadsafe(session.cells(manager), session.loop).result()
            finally:
                manager.notebook_complete()
            return manager.nb

    papermill_engines.register(ENGINE, WarmEngine)
    # It would say that nothing is saved, as it is not the one who saves.
    logging.getLogger("papermill").setLevel(logging.WARNING)


def _leaving(notebook: Any, redact: Callable[[str], str]) -> Any:
    """Return the notebook as it may be read by anyone: every text in it, parameters and metadata included, redacted."""
    tree = {**notebook, "cells": [_joined(cell) for cell in notebook.cells]}
    return mapped(tree, redact)


def _joined(cell: Any) -> Any:
    """Return the cell with pieces of one stream as one output: a secret may lie across two."""
    if not cell.get("outputs"):
        return cell
    outputs: list[Any] = []
    for output in cell.outputs:
        last = outputs[-1] if outputs else None
        if last is not None and output.output_type == "stream" == last["output_type"] and output.name == last["name"]:
            outputs[-1] = {**last, "text": last["text"] + output.text}
        else:
            outputs.append(dict(output))
    return {**cell, "outputs": outputs}

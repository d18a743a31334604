"""Let papermill execute one notebook in a kernel that is already there, saved whole and redacted, once a cell."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook

from resilience.core.codec import mapped
from resilience.core.records import Stage, StageName, StageStatus
from resilience.host.files import write_atomically
from resilience.notebook import endings
from resilience.notebook.endings import Break
from resilience.notebook.kernels import Kernel, sweep
from resilience.notebook.stopping import Stopping
from resilience.notebook.telling import Moment

ENGINE = "resilience-warm"
"""The name under which our engine is registered with papermill, in this process only."""

_EXPLORE = "explore"
"""Tag of the cells that show a frame for a person to explore. Here nobody sits, and pandas takes each kernel 1.5 s of work."""


class Session:
    """One notebook in one kernel: what our papermill engine does with it. `broke` says why it did not come through.

    What stops a cell is seen from outside of it: a kernel that was killed cannot say so, and papermill's own record
    calls each of its cells completed (measured, 2.7.0).
    """

    def __init__(
        self,
        kernel: Kernel,
        stage: Stage,
        *,
        run_folder: Path,
        stopping: Stopping,
        tell: Callable[[Moment], None],
        redact: Callable[[str], str],
        grace_s: float,
    ) -> None:
        """Take the stage's record as it was begun. `tell` hears of each cell, and of the lines that it shows, redacted.

        `grace_s`: seconds that a cell has to end itself when it is interrupted, before its kernel is killed.
        """
        self.kernel = kernel
        self.stage = stage
        self.run_folder = run_folder
        self.stopping = stopping
        self.tell = tell
        self.redact = redact
        self.grace_s = grace_s
        self.started = time.monotonic()
        self.loop = asyncio.get_running_loop()
        self.broke: Break | None = None
        self.out = Path()
        self.save: Callable[[], None] | None = None

    def papermill(self, notebook: Path, values: Mapping[str, object]) -> None:
        """Execute the notebook with papermill, in a thread; sets `broke` where it did not come through."""
        self.out = self.run_folder / "notebooks" / notebook.name
        self.out.parent.mkdir(exist_ok=True)
        try:
            # papermill is given no file to write: what it writes itself is not redacted.
            execute_notebook(
                str(notebook), None, parameters=dict(values), engine_name=ENGINE, progress_bar=False, session=self
            )
        except PapermillExecutionError as exc:
            if self.broke is None:
                self.broke = Break(StageStatus.FAILED, message=f"{exc.ename}: {exc.evalue}")
            if self.save is not None:
                self.save()  # with what papermill put above its cells
        except Exception as exc:  # noqa: BLE001 - whatever breaks papermill becomes the stage's record
            self.broke = Break(
                StageStatus.FAILED, message=f"{type(exc).__name__}: {exc}", hint="the runbook failed, not your tests"
            )

    async def cells(self, manager: Any) -> None:
        """Execute the cells one by one until one breaks. Called on the loop, by the engine.

        A cell that raised is shown as papermill shows it; for one whose kernel was ended, by whomever, we say why, as
        papermill would leave it looking completed. Cells for exploring are left out; plain papermill runs them.
        """
        client = Client(manager, self)
        stop = asyncio.ensure_future(self.stopping.asked.wait())
        died = asyncio.ensure_future(self.kernel.process.wait())
        try:
            for index, cell in enumerate(manager.nb.cells):
                manager.cell_start(cell, index)
                if cell.cell_type == "code" and _EXPLORE not in cell.metadata.get("tags", ()):
                    self._tell(cell=cell.get("id", ""), index=index + 1, cells=len(manager.nb.cells))
                    where = f"{cell.get('id', '')} (cell {index + 1} of {len(manager.nb.cells)})"
                    work = asyncio.ensure_future(client.async_execute_cell(cell, index))
                    self.broke = await self._watch(work, where, stop, died)
                    if self.broke is not None:
                        if self.broke.status is not StageStatus.FAILED:
                            _show_break(cell, self.broke, ends=self.stage.name is StageName.REPORT)
                        manager.cell_exception(cell, cell_index=index)
                manager.cell_complete(manager.nb.cells[index], cell_index=index)
                if self.broke is not None:
                    return
        finally:
            for task in (stop, died):
                task.cancel()

    async def _watch(
        self, work: asyncio.Future[Any], where: str, stop: asyncio.Future[Any], died: asyncio.Future[int]
    ) -> Break | None:
        """Wait for the cell, and return why it broke: by its own error, its kernel's death, a signal or the time.

        A dead kernel goes before an error, as the cell's error is then only how the client met the death; the death is
        told from the process itself, not from a message.

        None: it came through. The cell has been put down, or its kernel has ended, when a break is returned.
        """
        limit = self.stopping.remaining(self.started)
        await asyncio.wait({work, stop, died}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            error = work.exception()
            if error is None:
                return None
            if not died.done() and type(error).__name__ == "CellExecutionError":
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(died), 0.05 if "Kernel" in str(error)[:20] else 0.001)
            if not died.done():
                return endings.failed(error, where)
        run = self.run_folder.name
        if died.done():
            work.cancel()
            await asyncio.wait({work}, timeout=1)
            self._sweep()
            return endings.killed(died.result(), where, run=run)
        told = stop.done()
        await self._put_down(work)
        if told:
            return endings.interrupted(self.stopping.signal, where, run=run)
        whole = self.stopping.run_is_over()
        seconds = self.stopping.elapsed_s if whole else time.monotonic() - self.started
        return endings.timed_out(seconds, where, run=run, whole=whole)

    async def _put_down(self, work: asyncio.Future[Any]) -> None:
        """Interrupt the cell; kill its kernel, and the commands it started, where it does not end in time."""
        self.kernel.interrupt()
        await asyncio.wait({work}, timeout=self.grace_s)
        if not work.done():
            self.kernel.kill()
            work.cancel()
            await asyncio.wait({work}, timeout=1)
        if not work.cancelled():
            work.exception()
        self._sweep()

    def _sweep(self) -> None:
        """End what the kernel started and left behind; a kernel that was killed could not, and its tests went on."""
        if self.stage.name is not StageName.APPLY_FALLBACK:
            # Stand-ins begun by apply outlive their kernel by design; whatever else it started must not.
            sweep(self.kernel.token)

    def shown(self, text: str) -> None:
        """Pass on the last line that a cell showed."""
        line = next((line for line in reversed(text.splitlines()) if line.strip()), "")
        if line:
            self._tell(text=self.redact(line)[:300])

    def _tell(self, *, cell: str = "", index: int = 0, cells: int = 0, text: str = "") -> None:
        self.tell(
            Moment(
                stage=self.stage.name,
                status=StageStatus.STARTED,
                cell=cell,
                index=index,
                cells=cells,
                text=text,
                elapsed_s=self.stopping.elapsed_s,
            )
        )


def _show_break(cell: Any, broke: Break, *, ends: bool = False) -> None:
    """Put into the cell what papermill would not: it leaves a killed kernel's cell looking completed.

    What a cell that `ends` a run has said goes: it is of an end that the break made another.
    """
    name, _, value = broke.message.partition(": ")
    cell.outputs = [] if ends else [output for output in cell.get("outputs", []) if output.output_type != "error"]
    text = f"{broke.message}. Hint: {broke.hint}" if broke.hint else broke.message
    cell.outputs.append(new_output("error", ename=name, evalue=value, traceback=[text]))  # type: ignore[no-untyped-call]


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """Executes the cells of a session in its kernel, whose end the session watches, and passes on what they show."""

    def __init__(self, manager: Any, session: Session) -> None:
        super().__init__(manager, timeout=None)
        self.reset_execution_trackers()
        self.kc = session.kernel.client
        self._shown = session.shown

    async def _async_poll_kernel_alive(self) -> None:
        await asyncio.Event().wait()  # the session watches the process itself

    def process_message(self, message: Any, *args: Any, **kwargs: Any) -> Any:
        output = super().process_message(message, *args, **kwargs)
        content = message["content"]
        text = content.get("text") or content.get("data", {}).get("text/plain", "")
        if isinstance(text, str) and message["msg_type"] in ("stream", "display_data", "update_display_data"):
            self._shown(text)
        return output


class Manager(NotebookExecutionManager):  # type: ignore[misc]
    """Saves once a cell, whole or not at all, and never calls a cell completed that did not run.

    papermill's own writes are not atomic and not redacted, and its last save marks every cell as completed.
    """

    output_path: str | None

    def __init__(self, *args: Any, redact: Callable[[str], str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Every save writes the whole notebook again.
        self._redact = lru_cache(maxsize=4096)(redact)

    def save(self, **kwargs: Any) -> None:
        """Write the whole notebook, redacted, aside and rename it.

        Who reads it while it runs sees one state or the other.
        """
        if kwargs.get("nb"):
            self.nb = kwargs["nb"]
        if self.output_path:
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
    """Runs the cells in a kernel that is already there.

    papermill calls it in a thread; the cells are executed on the loop that the session was made on, where its sockets
    are.
    """

    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, output_path: str | None = None, *, session: Session, **_kwargs: Any
    ) -> Any:
        out = str(session.out)
        nb.metadata.papermill["output_path"] = out
        manager = Manager(nb, output_path=out, progress_bar=False, redact=session.redact)
        session.save = manager.save
        manager.notebook_start()
        try:
            asyncio.run_coroutine_threadsafe(session.cells(manager), session.loop).result()
        finally:
            manager.notebook_complete()
        return manager.nb


def register_engine() -> None:
    """Register our engine with papermill in this process; plain papermill never sees it."""
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

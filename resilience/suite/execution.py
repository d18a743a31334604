"""Turn one command into a process, its output and its events, and end it with all it started when its time is up."""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from resilience.core.errors import UsageError
from resilience.core.redact import Redactor
from resilience.host.processes import as_bytes
from resilience.suite import groups, pseudo_terminal
from resilience.suite.aside import Aside
from resilience.suite.entering import Entrance
from resilience.suite.events import Failure, Record, Test
from resilience.suite.log import Log
from resilience.suite.pump import Output, Pump, to_stdout
from resilience.suite.records import Place, Turn, Ways
from resilience.suite.signed import Signed

_TICK_S = 0.02
_AFTER_INTERRUPT_S = 1.0
"""How long a person who pressed Ctrl-C waits for the rest of the log, and again for the events."""

Heard = Callable[[str, Test | None, Failure | None], None]


@dataclass(slots=True)
class Execution:
    """One execution of one command, and what is known of it."""

    record: Record
    exit_code: int = 0
    duration_s: float = 0.0
    ended: float = 0.0
    """When its process ended, in seconds since the epoch."""
    missing: int = 0
    """How many events never came."""
    service: str | None = None
    """The service that a stalled test waited for."""
    stuck: tuple[str, str] = ("", "")
    """Rootdir and id of that test."""
    stalled: str = ""
    """Why it was ended before its time: a test that made no progress beside a service that is down."""
    timed_out: str = ""
    stacks: Mapping[str, str] = field(default_factory=dict)
    tail: str = ""
    log: str = ""


class Executes(Protocol):
    """What has a command executed: we ourselves, or a pytest that somebody else started and that we only follow."""

    notes: list[str]

    @property
    def entrance(self) -> Ways: ...

    async def run(
        self, execution: Execution, turn: Turn, told: Mapping[str, Any], *,
        limit: tuple[float, str] | None, heard: Heard, on_step: Callable[[], str],
    ) -> None:  # fmt: skip
        """Return when the command of this turn has ended and its events are in `execution`."""


class Executor:
    """Runs commands as the team does: their shell, their environment, and our plug-in beside it."""

    def __init__(self, place: Place, entrance: Entrance, redactor: Redactor, output: Output | None) -> None:
        self.place, self.entrance, self.redactor = place, entrance, redactor
        self.output: Output = output or to_stdout
        self.on_terminal = output is None and pseudo_terminal.wanted()
        self.notes: list[str] = []

    async def run(
        self, execution: Execution, turn: Turn, told: Mapping[str, Any], *,
        limit: tuple[float, str] | None, heard: Heard, on_step: Callable[[], str],
    ) -> None:  # fmt: skip
        """Run the command of this turn to its end, or to its `limit` (monotonic time, and which limit it is).

        `told` is what the plug-in is told, `heard` hears of each event. `on_step` is called between looks; where it returns why
        the command stalled, it is ended as by a limit. When cancelled it
        ends the children, reads what they left into `execution`, and passes the cancellation on.
        """
        # Raw, so it lies in our private folder and never in the run's, even when we are killed.
        events = self.entrance.folder / f"{turn.name}.events.jsonl"
        events.touch(mode=0o600)
        told_here = self.place.folder / "logs" / events.name
        told_here.unlink(missing_ok=True)
        key = secrets.token_hex(16)
        signed = Signed(key)
        configuration = self.entrance.configure(turn.name, {**told, "events": str(events.resolve()), "sign": key})
        environ = self.entrance.environment(self.place.environ, configuration, self.place.root)
        # To a file, not a pipe: what outlives the command and holds its output would keep a pipe open.
        raw = self.entrance.folder / f"{turn.name}.out"
        raw.touch()
        kept = self.place.folder / "logs" / f"{turn.name}.log"
        execution.log = f"logs/{kept.name}"
        began = time.monotonic()
        read, written = pseudo_terminal.pair() if self.on_terminal else (raw.open("rb"), raw.open("ab"))
        with read as source, written as sink, events.open("rb") as stream:
            process = self._start(turn, environ, sink)
            log = Log(kept, self.redactor)
            pump = Pump(source, stream, log, self.output)
            rest_s = None

            def drain() -> bool:
                return _drain(pump, signed, execution.record, heard)

            try:
                await self._watch(process, pump, execution, limit, drain, on_step)
                await log.close()
            except asyncio.CancelledError:
                rest_s = _AFTER_INTERRUPT_S
                await asyncio.shield(asyncio.create_task(groups.end(process, self.entrance.run, gently=True)))
                drain()
                execution.exit_code, execution.duration_s = 130, time.monotonic() - began
                execution.ended = time.time()
                raise
            finally:
                if process.poll() is None:
                    await asyncio.shield(asyncio.create_task(groups.end(process, self.entrance.run)))
                await asyncio.shield(asyncio.create_task(self._finish(log, events, told_here, rest_s)))
        execution.duration_s, execution.ended = time.monotonic() - began, time.time()
        code = process.returncode
        execution.exit_code = 128 - code if code < 0 else code
        execution.tail, execution.missing = log.tail, signed.missing
        if execution.timed_out or execution.stalled:
            execution.stacks = _stacks(self.entrance.stacks, execution.record)

    def _start(self, turn: Turn, environ: Mapping[str, str], sink: Any) -> subprocess.Popen[bytes]:
        """Start the command in the user's shell, in a session of its own, so that all of it can be ended."""
        shell = self.place.environ.get("SHELL") or "/bin/sh"
        if not os.access(shell, os.X_OK):
            shell = "/bin/sh"
        argv = [*shlex.split(self.place.env_command), shell, "-c", turn.command.command]
        try:
            return subprocess.Popen(
                [as_bytes(word) for word in argv],
                cwd=self.place.root,
                env={as_bytes(name): as_bytes(value) for name, value in environ.items()},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        except OSError as exc:
            raise UsageError(
                f"{argv[0]} could not be started in {self.place.root.name}: {exc.strerror}.",
                hint="check SHELL and env_command",
            ) from exc

    async def _watch(
        self, process: subprocess.Popen[bytes], pump: Pump, execution: Execution, limit: tuple[float, str] | None,
        drain: Callable[[], bool], on_step: Callable[[], str],
    ) -> None:  # fmt: skip
        """Return when the process has ended and its output is read, or it was ended: at its limit, or waiting in vain."""
        while True:
            ended = process.poll() is not None
            busy = drain()
            stalled = on_step()
            if ended and not busy:
                return
            if stalled and not ended:
                execution.stalled = stalled
                await groups.end(process, self.entrance.run)
                drain()
                return
            if not ended and limit is not None and time.monotonic() >= limit[0]:
                execution.timed_out = limit[1]
                await groups.end(process, self.entrance.run)
                drain()
                return
            await asyncio.sleep(0 if busy and not pump.log.full else _TICK_S)

    async def _finish(self, log: Log, raw: Path, told: Path, within_s: float | None) -> None:
        """Bring the log and the events file to their end, off the event loop; where interrupted, within these seconds each."""
        await log.close(within_s)
        if log.trouble:
            self.notes.append(self.redactor.text(log.trouble))
        aside = Aside(lambda: self._redact_events(raw, told, aside), "events of the tests")
        aside.start()
        if not await aside.done(within_s):
            self.notes.append(f"{told.name} was not written: the run was interrupted")

    def _redact_events(self, raw: Path, told: Path, aside: Aside) -> None:
        """Write to the run's folder what the plug-in told, without secrets; nothing where it is stopped before its end."""
        new = told.with_suffix(".new")
        try:
            with raw.open("rb") as source, new.open("wb") as target:
                for line in source:
                    if aside.stopped:
                        new.unlink()
                        return
                    if not line.startswith((b'{"k":"b"', b'{"k":"t"')):
                        line = self.redactor.text(line.decode("utf-8", "replace").rstrip("\n")).encode() + b"\n"
                    target.write(line)
            new.replace(told)
        except OSError as exc:
            self.notes.append(f"the events file could not be written: {exc.strerror}")


def _drain(pump: Pump, signed: Signed, record: Record, heard: Heard) -> bool:
    """Read what came; return whether there was anything."""
    printed = pump.output()
    return take(pump.events(), signed, record, heard) or printed


def take(lines: Iterable[bytes], signed: Signed, record: Record, heard: Heard) -> bool:
    """Take lines of the events file; return whether any was an event of our plug-in."""
    busy = False
    now = time.time()
    for line in lines:
        try:
            kind, test, failure = record.feed(signed.read(line), now)
        except (LookupError, TypeError, ValueError, AttributeError):
            record.bad_lines += 1
            continue
        busy = True
        heard(kind, test, failure)
    return busy


def _stacks(folder: Path, record: Record) -> dict[str, str]:
    """Return for each test in flight where it stood: the innermost frames of its process's main thread."""
    found: dict[str, str] = {}
    for session in record.sessions.values():
        if not session.current:
            continue
        try:
            lines = (folder / f"{session.id}.txt").read_text(errors="replace").splitlines()
        except OSError:
            continue
        frames: list[str] = []
        for line in lines:
            if line.startswith(("Thread ", "Current thread ")):
                frames = []
            elif line.strip().startswith("File "):
                frames.append(line.strip())
        shown = [frame.replace('File "', "").replace('", line ', ":").replace(" in ", " ") for frame in frames]
        ours = [frame for frame in shown if "/_pytest/" not in frame and "/pluggy/" not in frame]
        found[session.current] = "at " + " < ".join(ours[:6]) if ours else ""
    return found

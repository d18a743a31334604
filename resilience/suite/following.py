"""Follow a pytest that somebody else started, by the events of our plug-in, and ask its starter for the second runs."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resilience.core.errors import ResilienceError
from resilience.suite.entering import replace_json
from resilience.suite.execution import Execution, Heard, take
from resilience.suite.records import Turn
from resilience.suite.signed import Signed

_TICK_S = 0.03
_READ = 1 << 20


class StarterGoneError(ResilienceError):
    """Who started the tests does not answer any more: nobody is there to be told what they came to."""

    exit_code = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The folder that the starter made for the exchange, private to it and us."""

    folder: Path
    run: str
    key: str
    """What the events of the first session are signed with."""

    @property
    def control(self) -> Path:
        return self.folder / "control.json"

    @property
    def stacks(self) -> Path:
        return self.folder / "stacks"

    @property
    def events(self) -> Path:
        """The events of the first session, which may have begun to write them before we knew of it."""
        return self.folder / "events.jsonl"


class Follower:
    """Executes nothing itself: the first turn is a session that runs already, each further one is asked for.

    What is asked for and what came of it are messages: `begin` with what the plug-in is told, `again` with the file that tells
    a second process; the starter answers `exit` with the code of pytest.
    """

    def __init__(
        self,
        ground: Ground,
        say: Callable[[Mapping[str, Any]], Awaitable[None]],
        hear: Callable[[], Awaitable[Mapping[str, Any] | None]],
    ) -> None:
        self.entrance, self.say, self.hear = ground, say, hear
        self.notes: list[str] = []

    async def run(
        self, execution: Execution, turn: Turn, told: Mapping[str, Any], *,
        limit: tuple[float, str] | None, heard: Heard, on_step: Callable[[], str],
    ) -> None:  # fmt: skip
        """Return when the session of this turn has ended. Raises StarterGoneError where its starter has.

        A test that makes no progress is not ended, as the process is not ours.
        """
        ground = self.entrance
        again = told.get("again")
        if again is None and turn.round == 1:
            events, key = ground.events, ground.key
            await self.say({"begin": told})
        else:
            events, key = ground.folder / f"{turn.name}.events.jsonl", secrets.token_hex(16)
            events.touch(mode=0o600)
            path = ground.folder / f"{turn.name}.json"
            replace_json(path, {**told, "events": str(events), "sign": key})
            count = sum(len(ids) for ids in again["ids"].values()) if again else 0
            await self.say({"again": {"told": str(path), "round": turn.round, "tests": count}})
        began = time.monotonic()
        answer = asyncio.ensure_future(self.hear())
        try:
            signed = await self._read(events, key, execution, heard, on_step, answer)
            message = answer.result()
        finally:
            answer.cancel()
        if message is None or "exit" not in message:
            raise StarterGoneError("the pytest that was followed is gone.")
        execution.exit_code, execution.missing = int(message["exit"]), signed.missing
        execution.duration_s, execution.ended = time.monotonic() - began, time.time()

    async def _read(
        self, events: Path, key: str, execution: Execution, heard: Heard, on_step: Callable[[], str],
        answer: asyncio.Future[Mapping[str, Any] | None],
    ) -> Signed:  # fmt: skip
        """Read the events as they come, until the starter says that the session has ended and all of them are read."""
        signed, rest = Signed(key), b""
        with events.open("rb") as stream:
            while True:
                over = answer.done()
                data = stream.read(_READ)
                *lines, rest = (rest + data).split(b"\n")
                take((line for line in lines if line), signed, execution.record, heard)
                on_step()
                if over and not data:
                    return signed
                if not data:
                    await asyncio.wait([answer], timeout=_TICK_S)
                else:
                    await asyncio.sleep(0)


class Replayed:
    """The events of one session that has ended, as lines; a second run is not asked for."""

    def __init__(self, ground: Ground, lines: list[bytes]) -> None:
        self.entrance, self.lines = ground, lines
        self.notes: list[str] = []

    async def run(
        self, execution: Execution, turn: Turn, told: Mapping[str, Any], *,
        limit: tuple[float, str] | None, heard: Heard, on_step: Callable[[], str],
    ) -> None:  # fmt: skip
        """Take the lines: unsigned as they are, or as the plug-in signed them with a key that is not known here any more."""
        signed = Signed("")
        take((_payload(line) for line in self.lines), signed, execution.record, heard)
        on_step()
        ends = [session.exit for session in execution.record.sessions.values() if session.exit is not None]
        execution.exit_code = max((int(code) for code in ends), default=0)
        execution.ended = time.time()


def _payload(line: bytes) -> bytes:
    """Return the event of a line, without the number and the mark of a signature."""
    parts = line.rsplit(b" ", 2)
    if len(parts) == 3 and parts[1].isdigit() and len(parts[2]) == 16:
        try:
            json.loads(parts[0])
        except ValueError:
            return line
        return parts[0]
    return line

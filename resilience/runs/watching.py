"""Watch staging: look, keep state and messages in the history as one, tell only what changed, and look again."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import stamina

from resilience.core import codec
from resilience.core.alerts import Alert
from resilience.core.errors import RecordError, RunbookError
from resilience.core.escalation import escalation_lines, notices
from resilience.core.records import InfrastructureHealth, Recovery
from resilience.core.redact import Redactor
from resilience.core.settings import Settings
from resilience.core.watching import Around, State, Step, Watch, step
from resilience.core.words import staging_line
from resilience.host.files import write_atomically
from resilience.host.lock import locked
from resilience.publish.alerts import beat, channels, send
from resilience.publish.outbox import PutOffError, RefusedError
from resilience.report.exports.prometheus import metrics
from resilience.runs import forwarding, memory
from resilience.runs.escalating import look_incident, note_look, remember_facts, so_far
from resilience.runs.history import History
from resilience.runs.keeping import Keeping
from resilience.runs.looking import look
from resilience.runs.memory import LOOKS

JITTER = 0.1
"""Share of the interval by which a wait is longer or shorter, so that many watchers do not all look at once."""
_SEND_ATTEMPTS = 2


class Watcher:
    """One watch of one checkout. `tell` gets each line for people, `alive` each look with its time, as a sign of life.

    State and what is to be sent are kept in one transaction, before anything is sent: a watch that is killed at any
    moment loses no message, and sends one twice at most, under the same key and id. With `keeps` False it only prints: it
    remembers nothing beyond its own end, sends nothing, and may run beside another watch.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        tell: Callable[[str], None],
        alive: Callable[[InfrastructureHealth, datetime], None] = lambda health, at: None,
        critical: bool = False,
        keeps: bool = True,
    ) -> None:
        self.settings = settings
        self._tell, self._alive, self._critical, self._keeps = tell, alive, critical, keeps
        self._watch = Watch()
        self._redactor = Redactor.of(settings.secrets, settings.services)
        self._name = f"watch:{settings.environment}"
        self._run = ""
        self._troubles: dict[str, str] = {}
        self._first = True

    async def run(self, *, rounds: int | None = None, enough: Callable[[], bool] = lambda: False) -> None:
        """Look again and again until cancelled, for so many rounds, or until `enough` says that nobody reads any more.

        Raises LockedError where another watch that keeps runs here.
        """
        done = 0
        with locked(self.settings.state / "watch", "watch") if self._keeps else nullcontext():
            while True:
                soon = await self.round()
                done += 1
                if (rounds is not None and done >= rounds) or enough():
                    return
                await asyncio.sleep(self.pause(soon))

    def pause(self, soon: bool) -> float:
        """Return the seconds to wait: a short time where a look is to be confirmed, else the interval with its jitter."""
        watch = self.settings.watch
        if soon:
            return min(watch.confirm_s, watch.interval_s)
        return watch.interval_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - a spread of load, no secret

    async def round(self) -> bool:
        """Look once, tell and send what changed; return whether to look again soon."""
        if not self._keeps:
            health, taken, now = await self._look(self._watch)
            self._watch = taken.watch
            self._say(taken, taken.alert and self._redacted(taken.alert), health, now)
        else:
            health, taken, now = await self._kept_round()
            await self._beat()
            self._textfile(health, taken)
        self._alive(health, now)
        return taken.soon

    async def _look(self, before: Watch) -> tuple[InfrastructureHealth, Step, datetime]:
        """Return a look at staging, what it came to after the state before it, and when it was taken."""
        flapping = [name for name, one in before.services.items() if one.state is State.FLAPPING]
        health = await look(self.settings, critical=self._critical, flapping=flapping)
        now = datetime.now(UTC)
        if self._keeps:
            self._note(before, health)
        return health, step(before, health, self._around(health), now), now

    async def _kept_round(self) -> tuple[InfrastructureHealth, Step, datetime]:
        """Look once from the state in the history, and keep there what it came to before anything of it is sent."""
        kept = memory.history(self.settings)
        if kept is None:
            raise RunbookError(
                f"the history in {self.settings.outputs} cannot be opened.", hint=f"ls -l {self.settings.outputs}"
            )
        with kept:
            keeping = Keeping(kept)
            before = self._load(keeping)
            health, taken, now = await self._look(before)
            alert = None if taken.alert is None else self._redacted(taken.alert)
            with keeping.at_once():
                keeping.keep({self._name: codec.to_json(taken.watch, indent=0).decode()})
                for channel in channels(self.settings.alerts) if alert is not None else ():
                    keeping.put(f"alert/{alert.id}/{channel}", channel, codec.to_json(alert, indent=0).decode())  # type: ignore[union-attr]
            self._say(taken, alert, health, now)
            if before.key and not taken.watch.key:
                self._close(kept, health, before, now)
            await self._send(keeping)
        return health, taken, now

    def _load(self, keeping: Keeping) -> Watch:
        """Return the state as it was kept; a new one where there is none, or it cannot be read."""
        text = keeping.get(self._name)
        try:
            return codec.from_json(text, Watch) if text else Watch()
        except RecordError as exc:
            self._tell(f"the state of the watch cannot be read and begins anew: {exc}")
            return Watch()

    def _note(self, before: Watch, health: InfrastructureHealth) -> None:
        """Keep the look in the history; the looks of one outage belong together, and to no other."""
        if not self._run or not before.key:
            self._run = f"{LOOKS}watch-{health.started_at:%Y%m%dT%H%M%S.%fZ}"
        note_look(self.settings, health, run=self._run)

    def _around(self, health: InfrastructureHealth) -> Around:
        known = so_far(self.settings, health, remember=self._keeps)
        return Around(
            settings=self.settings.watch,
            notices=notices(known, self.settings.escalation),
            maintenance=self.settings.maintenance,
            acknowledged=known.acknowledged is not None,
            issue=self.settings.issue,
        )

    def _redacted(self, alert: Alert) -> Alert:
        return replace(alert, title=self._redactor.text(alert.title), text=self._redactor.text(alert.text))

    def _say(self, taken: Step, alert: Alert | None, health: InfrastructureHealth, now: datetime) -> None:
        """Tell how staging is at the beginning, and from then on each transition, muted ones too, and each message."""
        at = f"{now:%Y-%m-%d %H:%M:%SZ}"
        if self._first:
            self._first = False
            self._tell(f"{at} {staging_line(health)}")
        for change in taken.changes:
            muted = " (under the same cause)" if change.muted else ""
            self._tell(self._redactor.text(f"{at} {change.line}{muted}"))
        if alert is not None:
            self._tell(f"{at} {alert.kind.upper()}: {alert.title}")
        for line in escalation_lines(taken.escalated):
            self._tell(self._redactor.text(f"{at} {line}"))

    def _close(self, kept: History, health: InfrastructureHealth, before: Watch, now: datetime) -> None:
        """Close the outage in the history: it was seen well by as many looks as `up` asks for."""
        recovery = Recovery(
            recovered=True,
            started_at=now,
            duration_s=0.0,
            good_needed=self.settings.watch.up[0],
            in_a_row=self.settings.watch.up[0],
            dwell_s=0.0,
            checks=(),
            first_good_at=now,
        )
        incident = replace(look_incident(self.settings, health, run=self._run), recovery=recovery)
        remember_facts(self.settings, incident)
        with suppress(sqlite3.Error, OSError):
            kept.record((), incident)
            forwarding.pass_on(self.settings, (), incident)

    async def _send(self, keeping: Keeping) -> None:
        """Send what waits, each channel in its order; a channel that fails keeps its letters and stops no other."""
        if self.settings.alerts.unset:
            self._trouble("alerts", f"not set: {', '.join(self.settings.alerts.unset)}")
        for channel in channels(self.settings.alerts):
            error = ""
            for letter in keeping.waiting(channel):
                try:
                    alert = codec.from_json(letter.body, Alert)
                    async for attempt in stamina.retry_context(
                        on=PutOffError, attempts=_SEND_ATTEMPTS, wait_initial=0.2, wait_jitter=0.2, timeout=None
                    ):
                        with attempt:
                            await send(channel, alert, self.settings.alerts, self._redactor)
                except PutOffError as exc:
                    keeping.put_off(letter, str(exc))
                    error = f"{exc}; it waits in the outbox"
                    break
                except (RefusedError, RecordError) as exc:
                    keeping.refused(letter, str(exc))
                    error = f"{exc}; given up"
                else:
                    keeping.sent(letter)
            self._trouble(channel, error)

    async def _beat(self) -> None:
        if self.settings.watch.heartbeat_url:
            self._trouble("heartbeat", await beat(self.settings.watch.heartbeat_url))

    def _textfile(self, health: InfrastructureHealth, taken: Step) -> None:
        """Write the metrics for Prometheus' textfile collector: those of a run, and how the watch sees it."""
        if not self.settings.watch.textfile:
            return
        text = metrics(look_incident(self.settings, health))
        environment = self.settings.environment.replace("\\", "\\\\").replace('"', '\\"')
        text += (
            "# HELP resilience_watch_outage 1 while the watch sees an outage\n# TYPE resilience_watch_outage gauge\n"
            f'resilience_watch_outage{{environment="{environment}"}} {int(bool(taken.watch.key))}\n'
        )
        path = self.settings.root / Path(self.settings.watch.textfile)
        try:
            write_atomically(path, text.encode(), mode=0o644, durable=False)
        except OSError as exc:
            self._trouble("textfile", exc.strerror or str(exc))
        else:
            self._trouble("textfile", "")

    def _trouble(self, what: str, error: str) -> None:
        """Say what does not work once, and that it works again; a watch that says it each round is not read."""
        if error == self._troubles.get(what, ""):
            return
        self._tell(f"{what}: {error}" if error else f"{what}: works again")
        self._troubles[what] = error

"""Turn one call of `start` into what its services share: progress, folders, the supervisor, the answer of compose."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.core.settings import Service, Settings
from resilience.host.processes import Launch
from resilience.services.place import Endpoint
from resilience.stand_ins import compose, supervision
from resilience.stand_ins.lease import Lease
from resilience.stand_ins.records import read_records
from resilience.stand_ins.state import Running, read_state

Say = Callable[[str], None]


class TooLateError(StandInError):
    """A stand-in that did not come up in the time it had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A service and where its stand-in is to answer."""

    service: Service
    place: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """A server that answers with the env file's credentials."""

    provider: str
    version: str = ""
    pid: int | None = None
    started_here: bool = True
    supervised: str = ""
    composed: bool = False
    data_dir: str = ""
    log: str = ""
    gaps: tuple[str, ...] = ()


class Start:
    """One call of `start`: what is shared between the services that come up side by side."""

    def __init__(self, settings: Settings, *, fresh: bool, say: Say) -> None:
        self.settings = settings
        self.fresh = fresh
        self.say = say
        self.folder = settings.data / "supervisor"
        self.logs = settings.data / "logs"
        self.records = read_records(settings)
        self._one_at_a_time = asyncio.Lock()

    @property
    def patience_s(self) -> float:
        """Seconds for a server that is there already to prove itself."""
        return min(3.0, self.settings.deadlines.fallback_activation_s)

    @cached_property
    def compose(self) -> asyncio.Task[str]:
        """Why compose cannot be used, asked once for all services."""
        return asyncio.create_task(compose.why_not())

    @cached_property
    def lease(self) -> Lease:
        script = Path(sys.executable).with_name("resilience")
        program = [str(script)] if script.is_file() else [sys.executable, "-m", "resilience.cli"]
        config = ["--config", str(self.settings.source)] if self.settings.source else []
        return Lease(hook=(*program, "restore", *config), hook_cwd=str(self.settings.root))

    async def run(self, launch: Launch) -> Running:
        """Have the supervisor run this."""
        async with self._one_at_a_time:
            running_now = (await supervision.ensure(self.folder, [launch], self.lease)).get(launch.name)
        if running_now is None or not running_now.pid:
            raise StandInError(
                f"{launch.name} {running_now.ended if running_now else 'was not started'}", hint=f"read {launch.log}"
            )
        return running_now

    def running(self, name: str) -> Running | None:
        """Return the supervised process of this name, if it lives."""
        state = read_state(self.folder)
        service = state.services.get(name)
        return service if service is not None and state.alive and service.alive else None

    async def end(self, name: str) -> None:
        await supervision.end(self.folder, [name])

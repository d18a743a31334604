"""Turn one call of `start` into what its services share: progress, folders, deadlines, the supervisor, the answer of compose."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from resilience.core.errors import StandInError
from resilience.core.records import StandIn
from resilience.core.settings import Service
from resilience.host import seen
from resilience.host.processes import Launch
from resilience.services.place import port_open
from resilience.services.standing_in import TooLateError, Wanted
from resilience.stand_ins import compose, containers, supervision
from resilience.stand_ins.checkout import Checkout, logs_folder, supervised_folder
from resilience.stand_ins.lease import Lease
from resilience.stand_ins.owners import own_mark
from resilience.stand_ins.records import read_records
from resilience.stand_ins.state import Running, read_state

if TYPE_CHECKING:
    from resilience.stand_ins.proof import Found

Say = Callable[[str], None]


class SupervisedGround:
    """The ground on which the kinds run their stand-ins: see `resilience.services.standing_in.Ground`."""

    def __init__(self, checkout: Checkout, *, fresh: bool = False, say: Say = lambda _: None) -> None:
        self.checkout = checkout
        self.fresh = fresh
        self.say = say
        self.data = checkout.data
        self.logs = logs_folder(checkout)
        self.deadlines = checkout.deadlines
        self.nonce = own_mark(checkout).nonce
        self.folder = supervised_folder(checkout)
        self.records = read_records(checkout.data)
        self._one_at_a_time = asyncio.Lock()
        self.one_container = asyncio.Lock()

    @property
    def patience_s(self) -> float:
        """Seconds for a server that is there already to prove itself."""
        return min(3.0, self.deadlines.fallback_activation_s)

    @cached_property
    def compose(self) -> asyncio.Task[str]:
        """Why compose cannot be used, asked once for all services."""
        return asyncio.create_task(compose.why_not())

    @cached_property
    def engine(self) -> asyncio.Task[containers.Engine]:
        """The engine for the team's own images and compose files, looked for once for all services."""
        return asyncio.create_task(containers.find_engine())

    def begun(self, service: Service, shown: str, provider: str) -> StandIn:
        """Return the record of a start that has not ended yet: what is read of it is that it was interrupted."""
        return StandIn(
            service=service.name,
            type=service.type,
            provider=provider,
            endpoint=shown,
            ready=False,
            started_here=False,
            error="its start was interrupted",
        )

    @cached_property
    def lease(self) -> Lease:
        """How long the stand-ins stay, and `resilience restore` as what puts the env file back before they end."""
        script = Path(sys.executable).with_name("resilience")
        program = [str(script)] if script.is_file() else [sys.executable, "-m", "resilience.cli"]
        config = ["--config", str(self.checkout.source)] if self.checkout.source else []
        return Lease(hook=(*program, "restore", *config), hook_cwd=str(self.checkout.root))

    async def prove(self, wanted: Wanted, *, contained: bool = False) -> Found | None:
        """Return the server that is there already, if it is ours or shared, and takes the env file's credentials.

        None where nothing listens. `contained`: our compose has just started it, so that whose it is need not be asked.
        Raises StandInError where the port is somebody else's, or may lead to another machine.
        """
        place = wanted.place
        if not await asyncio.to_thread(port_open, place.bind, place.port):
            return None
        # Only where something listens: a start from nothing does not wait for the probes and psutil, 60 ms.
        from resilience.stand_ins.proof import prove

        return await prove(wanted.service, place, self.checkout, timeout_s=self.patience_s, contained=contained)

    def seen_on_staging(self, service: str) -> Mapping[str, str]:
        return seen.facts(self.checkout.state, service)

    def running(self, name: str) -> Running | None:
        state = read_state(self.folder)
        service = state.services.get(name)
        return service if service is not None and state.alive and service.alive else None

    def all_running(self) -> dict[str, Running]:
        """Return all that the supervisor runs, by name."""
        state = read_state(self.folder)
        return {name: one for name, one in state.services.items() if state.alive and one.alive}

    def how_ended(self, name: str) -> str:
        """Return how the supervised process of this name ended, which the supervisor writes down a moment later."""
        until = time.monotonic() + 0.5
        while (one := read_state(self.folder).services.get(name)) is not None and not one.ended:
            if time.monotonic() > until:
                break
            time.sleep(0.005)
        return one.ended if one is not None and one.ended else "ended"

    async def run(self, launch: Launch) -> Running:
        """Requests go to the supervisor one at a time, as each answer is read from the one state file."""
        async with self._one_at_a_time:
            running = (await supervision.ensure(self.folder, [launch], self.lease)).get(launch.name)
        if running is None or not running.pid:
            raise StandInError(
                f"{launch.name} {running.ended if running else 'was not started'}", hint=f"read {launch.log}"
            )
        return running

    async def end(self, name: str) -> None:
        await supervision.end(self.folder, [name])

    async def in_time(self, name: str, coming_up: Awaitable[None], *, new: bool) -> None:
        """Bound a first start by FALLBACK_PREPARE_TIMEOUT, one with prepared data by FALLBACK_ACTIVATION_TIMEOUT.

        Making data takes seconds, and the switch to what is prepared must not: so the two have their own limits. What did
        not come up is ended again, for the port is the next provider's.
        """
        seconds, variable = (
            (self.deadlines.fallback_prepare_s, "FALLBACK_PREPARE_TIMEOUT")
            if new
            else (self.deadlines.fallback_activation_s, "FALLBACK_ACTIVATION_TIMEOUT")
        )
        try:
            async with asyncio.timeout(seconds):
                await coming_up
        except TimeoutError:
            await self.end(name)
            hint = f"{variable}={max(1, int(seconds * 2))}"
            raise TooLateError(f"{name} did not come up within {seconds:g} s.", hint=hint) from None
        except StandInError:
            await self.end(name)
            raise

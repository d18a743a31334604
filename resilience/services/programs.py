"""Turn a program of this machine into the server of one service: run, proven by the kind's own probe, or ended again."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.host.processes import SIGTERM, Launch
from resilience.services.looking import probe
from resilience.services.place import Endpoint, port_open
from resilience.services.standing_in import Ground, Offer, Provider, Server, StandIns, Wanted, emptied
from resilience.services.wire import ProbeContext

PAUSE_S = 0.02
LOOK_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How one server is run. `provider`: system or wheel; `secret` is what its configuration holds besides, for the digest.

    `prepare` is awaited before it is run, `finish` when its port is open and before it is proven.
    """

    provider: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signals: tuple[int, ...] = (SIGTERM,)
    drop_root: str = ""
    secret: str = ""
    prepare: Callable[[], Awaitable[None]] | None = None
    finish: Callable[[], Awaitable[None]] | None = None
    new: bool = True
    gaps: tuple[str, ...] = ()


class ProgramStandIns(StandIns):
    """Stand-ins that are one program each. A kind says where its program is and how it is run."""

    def found(self) -> tuple[str, str]:
        """Return provider and path of what is installed here; empty where nothing is. Nothing is run."""
        return "", ""

    def program(self, group: Sequence[Wanted], path: str, data: Path) -> Program:
        """Return how the program at this path is run for these services, which share one place, with its data in this folder."""
        raise NotImplementedError

    def offer(self, place: Endpoint) -> Offer | None:
        provider, path = self.found()
        return Offer(provider=provider, words=f"{Path(path).name} of the {provider} on {place.shown}") if path else None

    def providers(self, group: Sequence[Wanted], ground: Ground, name: str) -> Sequence[Provider]:
        """Return the one that is installed. Services on one port share it, and so its user and password."""
        place = group[0].place
        if any((one.place.user, one.place.password) != (place.user, place.password) for one in group):
            raise StandInError(
                f"port {place.port}: two services want different passwords of one {place.kind.title}.",
                hint="give them the same, or other ports",
            )
        provider, path = self.found()
        if not path:
            return []
        return [Provider(name=provider, bring_up=partial(self._bring_up, group, ground, name, path))]

    async def _bring_up(self, group: Sequence[Wanted], ground: Ground, name: str, path: str) -> Sequence[Server]:
        """Run it, or keep it with the same configuration, and return when the probe finds each service well.

        Its credentials stand in no argument list but by the digest: another password replaces the server.
        """
        place, data, log = group[0].place, ground.data / name, ground.logs / f"{name}.log"
        await emptied(ground, name, data)
        await asyncio.to_thread(partial(data.mkdir, parents=True, exist_ok=True, mode=0o700))
        program = self.program(group, path, data)
        words = json.dumps([program.argv, sorted(program.env.items()), program.secret, place.digest()])
        launch = Launch(
            name=name,
            argv=program.argv,
            cwd=str(data),
            log=str(log),
            env=program.env,
            stop_signals=program.stop_signals,
            drop_root=program.drop_root,
            digest=hashlib.sha256(words.encode()).hexdigest()[:16],
        )
        version, pid = "", 0

        async def coming_up() -> None:
            nonlocal version, pid
            if program.prepare is not None and ground.running(name) is None:
                await program.prepare()
            process = await ground.run(launch)
            pid = process.pid

            def refuse_dead() -> None:
                if not process.alive:
                    raise StandInError(f"{Path(program.argv[0]).name} ended while starting.", hint=f"read {log}")

            while not port_open(place.bind, place.port):
                refuse_dead()
                await asyncio.sleep(PAUSE_S)
            if program.finish is not None:
                await program.finish()
            for one in group:
                version = await self._well(one, refuse_dead)

        await ground.in_time(name, coming_up(), new=program.new)
        up = Server(
            provider=program.provider,
            version=version,
            pid=pid,
            supervised=name,
            data_dir=str(data),
            log=str(log),
            gaps=program.gaps,
        )
        return [up for _ in group]

    async def _well(self, wanted: Wanted, refuse_dead: Callable[[], None]) -> str:
        """Return the version that the probe notes, when it finds the service well. Bound it with a time-out."""
        asked = replace(self.probed(wanted.service, wanted.place), timeout_s=LOOK_S)
        while True:
            refuse_dead()
            with ProbeContext() as context:
                seen = await probe(asked, context=context, target="stand_in")
            if seen.fault is None:
                return seen.facts.get("server_version", "")
            await asyncio.sleep(PAUSE_S)

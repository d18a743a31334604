"""Turn a team's own command into the stand-in of its service: kept where it runs as configured, proven by the kind's probe."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shlex
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from resilience.core.errors import StandInError
from resilience.host.processes import SIGTERM, Launch, kept
from resilience.services.place import Endpoint, port_open
from resilience.services.registry import resolve
from resilience.services.standing_in import Server, TooLateError, Wanted, stand_ins_of
from resilience.stand_ins.containers import HOLE, filled
from resilience.stand_ins.ground import SupervisedGround
from resilience.stand_ins.own_rules import START, check
from resilience.stand_ins.providers import running
from resilience.stand_ins.state import Running, last_line

if TYPE_CHECKING:
    from resilience.core.records import Observation

PAUSE_S = 0.005
WITNESS = "resilience.stand_ins.witness"
"""Imported on a thread while the command starts: 60 ms that it would otherwise wait for."""


def name_of(place: Endpoint) -> str:
    """Return the supervisor's name of the process: by the wanted port, which stays where another one is used."""
    return f"{place.type}-{place.home}"


class Start:
    """One start of a service's own command, on the ground that all stand-ins share."""

    def __init__(self, ground: SupervisedGround, wanted: Wanted, exported: Mapping[str, str]) -> None:
        self.ground, self.wanted, self.exported = ground, wanted, exported
        self.name = name_of(wanted.place)
        self.log = ground.logs / f"{wanted.service.name}-start.log"

    async def bring_up(self) -> Server:
        """Start it, or keep it where it runs with the same configuration, and return when its probe finds it well.

        It has `start_timeout_s`. A server that is there already and may be used is used instead, for the port is taken. What
        did not come up is ended with all that came of it. Raises StandInError that says which of it was: it ended, forked
        away, never answered, answers wrongly, or another process has its port.
        """
        service, place, ground = self.wanted.service, self.wanted.place, self.ground
        check(service, ground.checkout, self.exported)
        if ground.fresh:
            await ground.end(self.name)
        if ground.running(self.name) is None and await asyncio.to_thread(port_open, place.bind, place.port):
            witness = await asyncio.to_thread(resolve, WITNESS)
            witness.refuse_other(service, place.port, others=self._others())
            if found := await ground.prove(self.wanted):
                return running(found)
        ground.say(f"{service.name}: starting {service.own.command}")
        process = await ground.run(self._launch())
        try:
            version = await self._proven(process)
        except BaseException:
            await ground.end(self.name)
            raise
        return Server(provider=START, version=version, pid=process.pid, supervised=self.name, log=str(self.log))

    def _launch(self) -> Launch:
        """Return the command with its placeholders filled in, and the environment it gets.

        That is ours with the team's PATH, as the tests have it; then what the command reads of an env file, the exports of the
        services it depends on, and `env`. Values go by the environment alone. By its digest a configuration that changed is
        told, which our own environment is no part of.
        """
        service, place, checkout = self.wanted.service, self.wanted.place, self.ground.checkout
        own, parts = service.own, {"host": place.bind, "port": str(place.port), "local": service.local.reveal()}
        reads = {name: value.reveal() for name, value in own.reads.items() if value and name not in os.environ}
        command = HOLE.sub(lambda match: shlex.quote(parts[match[1]]), own.command)
        given = {**reads, **self.exported, **filled(self.wanted)}
        argv = (*shlex.split(checkout.env_command), "sh", "-c", command)
        cwd = str(checkout.root / own.cwd)
        configured = json.dumps([argv, cwd, sorted(given.items()), place.digest()])
        return Launch(
            name=self.name,
            argv=kept(argv, self.log),
            cwd=cwd,
            log=str(self.log),
            stop_signals=(SIGTERM,),
            env={**os.environ, "PATH": checkout.path(os.environ.get("PATH", os.defpath)), **given},
            digest=hashlib.sha256(configured.encode()).hexdigest()[:16],
        )

    async def _proven(self, process: Running) -> str:
        """Return the version that the probe noted, when the probe finds it well and the port is the command's own."""
        service, place, own = self.wanted.service, self.wanted.place, self.wanted.service.own
        until = time.monotonic() + own.timeout_s
        witness = await asyncio.to_thread(resolve, WITNESS)
        seen: Observation | None = None
        while True:
            self._refuse_ended(process)
            if port_open(place.bind, place.port):
                left = max(0.1, min(self.ground.patience_s, until - time.monotonic()))
                probed = replace(stand_ins_of(place.kind).probed(service, place), timeout_s=left)
                # On a thread: to find who listens takes 20 ms, in which the others that come up beside it would wait.
                whose = asyncio.to_thread(
                    witness.refuse_other, service, place.port, others=self._others(), own=process.pid
                )
                seen, _ = await asyncio.gather(witness.look(probed), whose)
                if seen is not None and seen.fault is None:
                    self._refuse_ended(process)
                    return seen.facts.get("server_version", "")
            if time.monotonic() > until:
                break
            await asyncio.sleep(PAUSE_S)
        last = last_line(self.log)
        if seen is None or seen.fault is None:
            why = f"nothing listens on {place.shown}"
            hint = "does it take its port from {port}?" if "{port}" not in own.command else f"read {self.log}"
        else:
            why, hint = f"{place.shown} answers, but {seen.fault.detail or seen.fault.cause}", f"read {self.log}"
        said = f"; its last line: {last}" if last else ""
        raise TooLateError(
            f"{service.name}: its `start` did not come up within {own.timeout_s:g} s: {why}{said}.",
            hint=f"{hint}; start_timeout_s = {int(own.timeout_s * 2)}",
        )

    def _refuse_ended(self, process: Running) -> None:
        """Raise StandInError with how it ended and its last words, where it did."""
        if process.alive:
            return
        said = last_line(self.log) or "it printed nothing"
        raise StandInError(
            f"{self.wanted.service.name}: its `start` {self.ground.how_ended(self.name)} before it was ready: {said}",
            hint=f"read {self.log}; it must stay in the foreground",
        )

    def _others(self) -> dict[str, int]:
        return {name: one.pid for name, one in self.ground.all_running().items() if name != self.name}

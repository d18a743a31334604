"""Turn a team's own `image` or `compose` service into a container that answers on `local`, and end it by its recorded name.

The engine is whatever is on PATH: docker, else podman. Only documented options of both are used.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resilience.core.errors import StandInError, did_you_mean
from resilience.core.kind import Kind
from resilience.host import processes
from resilience.services.place import netloc
from resilience.services.standing_in import Server, Wanted
from resilience.stand_ins.records import Container, Record, write_records

if TYPE_CHECKING:
    from resilience.stand_ins.ground import SupervisedGround
    from resilience.stand_ins.proof import Found

ENGINES = {"docker": "DOCKER_HOST", "podman": "CONTAINER_HOST"}
"""Command → the variable that names an engine elsewhere."""
ELSEWHERE = ("tcp://", "ssh://", "http://", "https://")
ASK_S = 2.0
LOOK_S = 10.0
END_S = 30.0
PAUSE_S = 0.1
DIGEST = "resilience.digest"
"""The label by which a container of the same configuration is known again."""
HOLE = re.compile(r"(?<!\$)\{(local|host|port)\}")


class MisconfiguredError(StandInError):
    """What no other provider mends: a compose file that is broken, or lacks what the configuration names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The container engine of this machine; `command` is empty where none answers, and `why` says so."""

    command: str = ""
    why: str = ""
    no_compose: str = ""
    """Why its `compose` cannot be used; empty where it can."""


def filled(wanted: Wanted) -> dict[str, str]:
    """Return `env` with the placeholders filled in."""
    service, place = wanted.service, wanted.place
    parts = {"host": place.bind, "port": str(place.port), "local": service.local.reveal()}
    return {name: HOLE.sub(lambda match: parts[match[1]], value.reveal()) for name, value in service.own.env.items()}


async def find_engine() -> Engine:
    """Return the first engine that answers. Each question has 2 s, for one that hangs must not hold up the next provider.

    The command alone proves nothing, and an engine on another machine would publish its ports there.
    """
    reasons = []
    for command, variable in ENGINES.items():
        if shutil.which(command) is None:
            reasons.append(f"{command} is not installed")
        elif os.environ.get(variable, "").startswith(ELSEWHERE):
            reasons.append(f"{variable} names an engine elsewhere, whose ports are not this machine's")
        elif why := await _unanswered((command, "ps", "--quiet")):
            reasons.append(f"{command} is there, but its engine {why}")
        else:
            why = await _unanswered((command, "compose", "version"))
            return Engine(command=command, no_compose=f"`{command} compose` {why}" if why else "")
    return Engine(why="; ".join(reasons))


async def stop(ended: Collection[Container], stay: Collection[Container] = ()) -> list[Container]:
    """End these containers, and return those that the engine did not end in time, or that have no engine any more.

    A compose project goes with its networks and with what its services depended on, once none of them stays; named volumes
    are kept. A container that is gone already is no failure.
    """
    staying = {(one.engine, one.project) for one in stay if one.project}
    commands: dict[tuple[str, ...], list[Container]] = {}
    for one in ended:
        if one.name:
            command: tuple[str, ...] = (one.engine, "rm", "--force", "--volumes", one.name)
        elif (one.engine, one.project) in staying:
            head = (one.engine, "compose", "--project-name", one.project, "--file", one.file)
            command = (*head, "rm", "--stop", "--force", one.service)
        else:  # without the file, which may be gone or broken by now: compose knows a project's containers by their labels
            command = (one.engine, "compose", "--project-name", one.project, "down")
        commands.setdefault(command, []).append(one)
    outcomes = await asyncio.gather(*(_ends(command) for command in commands))
    return [one for left, ok in zip(commands.values(), outcomes, strict=True) if not ok for one in left]


async def _ends(command: Sequence[str]) -> bool:
    try:
        code, output = await processes.run(command, timeout_s=END_S, cwd="/")
    except (TimeoutError, OSError):
        return False
    return code == 0 or "no such container" in output.lower()


async def _unanswered(argv: Sequence[str]) -> str:
    """Return how the command did not answer; empty where it did."""
    try:
        code, output = await processes.run(argv, timeout_s=ASK_S)
    except TimeoutError:
        return f"did not answer within {ASK_S:g} s"
    except OSError as exc:
        return f"could not be asked ({exc})"
    return "" if code == 0 else f"does not answer ({_last(output, code)})"


def _last(output: str, code: int) -> str:
    return (output.strip().splitlines() or [f"exit code {code}"])[-1][:300]


class ContainerStart:
    """One start of a service's own container, on the ground that all stand-ins share."""

    def __init__(self, ground: SupervisedGround, wanted: Wanted, engine: str) -> None:
        self.ground, self.wanted, self.engine = ground, wanted, engine
        self.service, self.place, self.own = wanted.service, wanted.place, wanted.service.own
        owner = hashlib.sha256(str(ground.data).encode()).hexdigest()[:8]
        self.provider = "image" if self.own.image else "compose"
        if self.own.image:
            name = f"resilience-{owner}-{self.place.type}-{self.place.home}"
            self.container = Container(engine=engine, name=name)
        else:
            file = str((ground.checkout.root / self.own.compose_file).resolve())
            project = f"resilience-{owner}-{hashlib.sha256(file.encode()).hexdigest()[:4]}"
            self.container = Container(engine=engine, project=project, file=file, service=self.own.compose_service)

    async def bring_up(self) -> Server:
        """Start it, or keep it where it runs as configured, and return when its health check and our probe are content.

        What is wrong with the configuration is said before anything is started. It is written down before the engine is
        asked, so that a start that is killed leaves no container that nobody knows of. It has FALLBACK_PREPARE_TIMEOUT, since
        an image may have to be fetched. What did not come up is ended. Raises StandInError, TimeoutError.
        """
        if self.own.compose_service:
            await self._check_file()
        self.ground.say(
            f"{self.service.name}: starting {self.own.image or self.own.compose_service} with {self.engine}"
        )
        if self.ground.fresh:
            await self._end()
        self._write_down()
        try:
            async with asyncio.timeout(max(self.own.timeout_s, self.ground.deadlines.fallback_prepare_s)):
                await (self._run() if self.own.image else self._up())
            found = await self._proven()
        except BaseException:
            await self._end()
            raise
        kept = ("its compose volumes were kept",) if self.ground.fresh and self.own.compose_service else ()
        return Server(provider=self.provider, version=found.version, pid=found.pid, gaps=kept)

    def _write_down(self) -> None:
        stand_in = self.ground.begun(self.service, self.place.shown, self.provider)
        record = Record(stand_in=stand_in, bind=self.place.bind, port=self.place.port, container=self.container)
        self.ground.records[self.service.name] = record
        write_records(self.ground.data, self.ground.records)

    async def _end(self) -> None:
        """End it; its record stays where the engine did not end it, so that the next stop tries again."""
        known = self.ground.records
        stay = [one.container for name, one in known.items() if one.container and name != self.service.name]
        if not await stop([self.container], stay):
            self.ground.records.pop(self.service.name, None)

    async def _check_file(self) -> None:
        """Raise MisconfiguredError where the file is broken, lacks the service, or does not publish the port of `local`."""
        code, output = await self._ask("--profile", "*", "config", "--format", "json", compose=True)
        shown, wanted = self.own.compose_file, self.own.compose_service
        start = output.find("{")
        try:
            services: Mapping[str, Any] = json.loads(output[start:])["services"] if code == 0 and start >= 0 else {}
        except (ValueError, KeyError, TypeError):
            services = {}
        if not services:
            raise MisconfiguredError(
                f"{self.service.name}: {shown} cannot be used: {_last(output, code)}.",
                hint=f"{self.engine} compose --file {shown} config",
            )
        if wanted not in services:
            raise MisconfiguredError(
                f"{self.service.name}: {shown} has no service {wanted}; it has {', '.join(sorted(services))}.",
                hint=did_you_mean(wanted, tuple(services)) or f'compose = "{shown}:{min(services)}"',
            )
        ports = [str(port.get("published", "")) for port in services[wanted].get("ports") or ()]
        if str(self.place.port) not in ports:
            published = f"publishes {', '.join(ports)}" if any(ports) else "publishes no port"
            raise MisconfiguredError(
                f"{self.service.name}: {wanted} of {shown} {published}, and `local` says {self.place.port}.",
                hint=f"write the port that it publishes into the `local` of {self.service.name}",
            )

    async def _up(self) -> None:
        """Start the service and what it depends on. Of one project one at a time: two would make its network at once."""
        async with self.ground.one_container:
            code, output = await self._ask(
                "up", "--detach", "--wait", self.own.compose_service, compose=True, bounded=False
            )
        if code != 0:
            raise StandInError(f"{self.engine} compose up failed: {_last(output, code)}")

    async def _run(self) -> None:
        """Run the image, its port published on the one loopback address; values of `env` go by the environment alone."""
        published = f"{netloc(self.place.bind, self.place.port)}:{await self._inside()}"
        names = [word for name in sorted(self.own.env) for word in ("--env", name)]
        configured = json.dumps([self.own.image, published, sorted(filled(self.wanted).items())])
        digest = hashlib.sha256(configured.encode()).hexdigest()[:16]
        name = self.container.name
        code, label = await self._ask("inspect", "--format", f'{{{{index .Config.Labels "{DIGEST}"}}}}', name)
        if code == 0 and label.strip() == digest and (await self._state()).get("Running"):
            return
        await stop([self.container])
        argv = ("run", "--detach", "--name", name, "--label", f"{DIGEST}={digest}", "--publish", published, *names)
        code, output = await self._ask(*argv, self.own.image, bounded=False)
        if code != 0:
            raise StandInError(f"{self.engine} run failed: {_last(output, code)}")

    async def _inside(self) -> int:
        """Return the port inside: the only one that the image exposes, else the usual one of the kind. Fetches the image first."""
        asked = ("image", "inspect", "--format", "{{json .Config.ExposedPorts}}", self.own.image)
        code, output = await self._ask(*asked)
        if code != 0:
            pulled, said = await self._ask("pull", "--quiet", self.own.image, bounded=False)
            if pulled != 0:
                raise StandInError(f"{self.engine} pull failed: {_last(said, pulled)}")
            code, output = await self._ask(*asked)
        try:
            exposed = [int(port.partition("/")[0]) for port in json.loads(output) or () if port.endswith("/tcp")]
        except (ValueError, AttributeError):
            exposed = []
        usual = _usual_ports(self.place.kind)
        among = [port for port in exposed if port in usual] or exposed if len(exposed) > 1 else exposed or usual
        if len(among) != 1:
            shown = ", ".join(map(str, exposed)) or "none"
            raise MisconfiguredError(
                f"{self.service.name}: which port of {self.own.image} is meant is not clear: it exposes {shown}.",
                hint='compose = "docker-compose.yml:…", whose `ports` say it',
            )
        return among[0]

    async def _state(self) -> dict[str, Any]:
        code, output = await self._ask("inspect", "--format", "{{json .State}}", self.container.name)
        try:
            state = json.loads(output) if code == 0 else {}
        except ValueError:
            state = {}
        return state if isinstance(state, dict) else {}

    async def _proven(self) -> Found:
        """Return the server once its own health check, where it has one, and the kind's probe are content.

        An engine's forwarder listens before the server does, so a refusal counts only when `start_timeout_s` is over.
        """
        why = f"nothing listens on {self.place.shown}"
        until = asyncio.get_running_loop().time() + self.own.timeout_s
        while True:
            healthy = not self.own.image or await self._healthy()
            if healthy:
                try:
                    if found := await self.ground.prove(self.wanted, contained=True):
                        return found
                except StandInError as exc:
                    why = str(exc)
            else:
                why = "its own health check is not content"
            if asyncio.get_running_loop().time() > until:
                raise StandInError(f"its container runs, but did not come up within {self.own.timeout_s:g} s: {why}")
            await asyncio.sleep(PAUSE_S)

    async def _healthy(self) -> bool:
        """Whether its own health check is content, or it has none. Raises StandInError with its last line where it ended."""
        state = await self._state()
        if not state.get("Running"):
            _, said = await self._ask("logs", "--tail", "5", self.container.name)
            raise StandInError(f"its container ended with exit code {state.get('ExitCode', '?')}: {_last(said, 0)}")
        health = state.get("Health") or {}
        return health.get("Status", "") in ("", "none", "healthy")

    async def _ask(self, *words: str, compose: bool = False, bounded: bool = True) -> tuple[int, str]:
        """Ask the engine, with the environment that the team's own file may read. Not `bounded`: the caller does it.

        What fetches and makes ends with us, however we end: else it made a container after all had been put back.
        """
        one, timeout_s = self.container, LOOK_S if bounded else 86400.0
        head = ("compose", "--project-name", one.project, "--file", one.file) if compose else ()
        environment = {**os.environ, **filled(self.wanted)}
        cwd = Path(one.file).parent if compose else self.ground.checkout.root
        try:
            argv = (self.engine, *head, *words)
            asked = argv if bounded else processes.bound(argv)
            return await processes.run(asked, timeout_s=timeout_s, cwd=cwd, env=environment)
        except TimeoutError:
            raise StandInError(f"{self.engine} {words[0]} did not answer within {timeout_s:g} s") from None


def _usual_ports(kind: Kind) -> list[int]:
    """Return the port that a server of the kind usually has without TLS, by its schemes."""
    return list(dict.fromkeys(one.port for one in kind.schemes.values() if one.port and not one.tls))

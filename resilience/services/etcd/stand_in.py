"""Turn the system's etcd into a cluster of one member, with the user of the env file."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.services.etcd.kind import KIND
from resilience.services.etcd.probe import Gateway
from resilience.services.place import Endpoint
from resilience.services.programs import Program, ProgramStandIns
from resilience.services.standing_in import Wanted
from resilience.services.wire import Refused, Trace, Wire, parse


class _Etcd(ProgramStandIns):
    def found(self) -> tuple[str, str]:
        path = shutil.which("etcd")
        return ("system", path) if path else ("", "")

    def program(self, group: Sequence[Wanted], path: str, data: Path) -> Program:
        """Run one member, whose port for other members is a socket in its folder: nobody else may join it."""
        place = group[0].place
        here, peer = f"http://{place.netloc}", f"unix://localhost:{place.port}"

        async def finish() -> None:
            if place.user:
                await _ask_for_login(place)

        return Program(
            provider="system",
            argv=(
                *(path, "--name", "stand-in", "--data-dir", str(data / "data")),
                *("--listen-client-urls", here, "--advertise-client-urls", here, "--log-level", "warn"),
                *("--bcrypt-cost", "4"),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                *("--initial-cluster", f"stand-in={peer}"),
            ),
            finish=finish,
        )


async def _ask_for_login(place: Endpoint) -> None:
    """Make the user of the env file, who may do all, and have a login asked for from then on.

    Data that are kept ask for it already: then the login is tried as it is.
    """
    address, wire = parse(KIND, place.url("http")), Wire(Trace(5.0))
    await asyncio.get_running_loop().create_connection(lambda: wire, place.bind, place.port)
    gateway = Gateway(wire, address)
    try:
        if await gateway.login():
            return
        for name in dict.fromkeys(("root", place.user)):
            await gateway.ask("auth/user/add", {"name": name, "password": place.password})
        await gateway.ask("auth/role/add", {"name": "root"})
        for name in dict.fromkeys(("root", place.user)):
            await gateway.ask("auth/user/grant", {"user": name, "role": "root"})
        await gateway.ask("auth/enable", {})
    except Refused as exc:
        raise StandInError(f"its users could not be made: {exc.fault.detail}", hint="its log says why") from exc
    finally:
        wire.abort()


STAND_INS = _Etcd()

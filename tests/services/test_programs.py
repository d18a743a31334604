"""A program of this machine becomes a stand-in that its kind's probe finds well, or is ended with the reason said."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.kind import Doubles, Kind
from resilience.core.secret import Secret
from resilience.core.settings import Deadlines, Service, Settings
from resilience.services.memcached.kind import KIND
from resilience.services.place import port_open
from resilience.services.programs import Program, ProgramStandIns
from resilience.services.standing_in import Wanted
from tests.kits.ports import free_ports
from tests.stand_ins.conftest import checkout  # noqa: F401 - a fixture

SERVER = """
import socketserver, sys
class Cache(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"VERSION 1.0\\r\\n" if line.startswith(b"version") else b"END\\r\\n")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
Server((sys.argv[1], int(sys.argv[2])), Cache).serve_forever()
"""


class _Made(ProgramStandIns):
    code = SERVER

    def found(self) -> tuple[str, str]:
        return "system", sys.executable

    def program(self, group: Sequence[Wanted], path: str, data: Path) -> Program:
        place = group[0].place
        return Program(provider="system", argv=(path, "-c", self.code, place.bind, str(place.port)), gaps=("made up",))


class _Ends(_Made):
    code = "import sys; sys.exit('no room')"


class _Mute(_Made):
    code = "import socket, sys, time; s = socket.create_server((sys.argv[1], int(sys.argv[2]))); time.sleep(600)"


MADE, ENDS, MUTE = _Made(), _Ends(), _Mute()


def kind(stand_in: str) -> Kind:
    return replace(KIND, doubles=Doubles(stand_in=f"{__name__}:{stand_in}", install="install it"))


def one_of(stand_in: str, port: int, user: str = "") -> Service:
    return Service(name=f"cache{user}", kind=kind(stand_in), local=Secret(f"memcached://{user}127.0.0.1:{port}"))


async def test_it_is_run_proven_kept_and_ended(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    one = one_of("MADE", free_ports(1)[0])
    settings = checkout([one])
    [found] = await local.start([one], settings)
    assert (found.error, found.provider, found.version, found.gaps) == ("", "system", "1.0", ("made up",))
    assert (await local.start([one], settings))[0].pid == found.pid
    await local.stop(settings)


@pytest.mark.parametrize(("stand_in", "said"), [("ENDS", "ended while starting"), ("MUTE", "did not come up within")])
async def test_one_that_does_not_come_up_is_ended_and_said(
    checkout: Callable[..., Settings],  # noqa: F811
    stand_in: str,
    said: str,
) -> None:
    [port] = free_ports(1)
    one = one_of(stand_in, port)
    settings = checkout([one], deadlines=Deadlines(fallback_activation_s=2.0, fallback_prepare_s=2.0))
    [found] = await local.start([one], settings)
    assert said in found.error
    assert not port_open("127.0.0.1", port)


async def test_two_services_with_two_passwords_share_none(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    [port] = free_ports(1)
    both = [one_of("MADE", port, "a:1@"), one_of("MADE", port, "b:2@")]
    same = both[0].kind
    both = [replace(one, kind=same, name=name) for one, name in zip(both, "ab", strict=True)]
    settings = checkout(both)
    assert all("different passwords" in found.error for found in await local.start(both, settings))

"""What the tests of the kinds share: a service of a kind, a look at it, and what it means when it is dead or mute."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from resilience.core.assess import judge
from resilience.core.records import ConnectivityResult, FaultCode, Observation
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.services.looking import probe_all
from resilience.services.registry import KINDS
from tests.kits.servers import fakes


def of_kind(kind: str, local: str, **fields: object) -> Service:
    """A service that is looked at, and stood in for, at the same address."""
    fields = {"timeout_s": 3.0, "options": KINDS[kind].options} | fields
    return Service(
        name=f"the_{kind}",
        kind=KINDS[kind],
        url=Secret(local),
        local=Secret(local),
        **fields,
    )  # type: ignore[arg-type]


async def look(service: Service) -> Observation:
    (seen,) = await probe_all([service])
    return seen


async def judged(service: Service) -> ConnectivityResult:
    return judge(service, await look(service))


async def seen_against(kind: str, url: str, handler: fakes.Handler, **fields: object) -> Observation:
    """What is seen of a server that behaves like this; {port} in the URL is its port."""
    async with fakes.serve(handler) as port:
        return await look(of_kind(kind, url.replace("{port}", str(port)), **fields))


async def check_dead_and_mute(kind: str, url: str) -> None:
    """A port that nobody listens on, one that says nothing, one that closes, and one of another protocol are told apart."""
    dead = of_kind(kind, url.replace("{port}", str(fakes.refused())))
    assert code_of(await look(dead)) is FaultCode.TCP_REFUSED
    for handler, expected in (
        (fakes.silent, FaultCode.PROTO_SILENT),
        (fakes.close_at_once, FaultCode.PROTO_CLOSED),
        (fakes.says(b"SSH-2.0-OpenSSH_9.2p1\r\n", first=True, stay=True), FaultCode.PROTO_WRONG),
    ):
        seen = await seen_against(kind, url, handler, timeout_s=0.5)
        assert code_of(seen) in (expected, FaultCode.PROTO_RESET), (handler, seen.fault)


def code_of(seen: Observation) -> FaultCode | None:
    return seen.fault.code if seen.fault else None


def with_password(service: Service, user: str, password: str) -> Service:
    """The same service with other credentials."""
    scheme, _, rest = service.url.reveal().partition("://")
    url = Secret(f"{scheme}://{user}:{password}@{rest.rpartition('@')[2]}")
    return replace(service, url=url, local=url)


CLASSIFIED = """
from resilience.core.faults import classify
from resilience.services.registry import KINDS

def fault_of(kind, call):
    try:
        call()
    except Exception as exc:
        return classify(exc, kinds=(KINDS[kind],)).code.value
    return "none"
"""


async def by_client(script: str) -> list[str]:
    """Run what a team's client does in a process of its own, and return the lines it printed.

    Clients leave threads and sockets behind, and count as no leftovers of ours there. `fault_of(kind, call)` is at hand.
    """
    root = Path(__file__).parents[2]
    argv = (sys.executable, "-W", "ignore", "-c", CLASSIFIED + script)
    done = await asyncio.to_thread(
        subprocess.run, argv, cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()

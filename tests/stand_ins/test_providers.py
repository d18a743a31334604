"""The providers are asked in their order, and a kind that has none says what the team can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from resilience import stand_ins as local
from resilience.core import mode
from resilience.core.records import ConnectivityStatus, StandIn
from resilience.core.secret import Secret
from resilience.core.settings import Service, Settings
from resilience.services.standing_in import NONE, Wanted
from resilience.stand_ins.endpoints import endpoint
from resilience.stand_ins.ground import SupervisedGround
from resilience.stand_ins.providers import in_order
from resilience.stand_ins.records import Record
from tests.kits import records
from tests.kits.ports import free_ports
from tests.kits.queue_kind import QUEUE
from tests.kits.stand_in_kit import needs_servers, service


@asynccontextmanager
async def greeting(text: bytes) -> AsyncIterator[int]:
    """A server that greets, on a port of 127.0.0.1."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def queue(port: int) -> Service:
    return Service(name="jobs", kind=QUEUE, local=Secret(f"queue://localhost:{port}"))


async def test_a_kind_without_a_stand_in_says_so_when_asked_and_when_started(
    checkout: Callable[..., Settings],
) -> None:
    bare = Service(name="jobs", kind=QUEUE)
    for one in (queue(free_ports(1)[0]), bare):
        settings = checkout([one])
        could = local.availability([one], settings)[0]
        assert (could.usable, could.provider, could.reason) == (False, "", NONE)
    one = queue(free_ports(1)[0])
    found = (await local.start([one], checkout([one])))[0]
    assert not found.ready
    assert f"no stand-in came up (running: nothing listens on port {endpoint(one).port}; compose: " in found.error
    assert found.error.endswith(f"Hint: {NONE}")
    assert await local.connections(one) is None


async def test_a_kind_without_a_stand_in_uses_the_teams_own_server_once_its_probe_is_content(
    checkout: Callable[..., Settings],
) -> None:
    async with greeting(b"queue") as port, greeting(b"no such thing") as other:
        right, wrong = queue(port), queue(other)
        settings = checkout([right])
        assert local.availability([right], settings)[0].provider == "running"
        found = (await local.start([right], settings))[0]
        assert (found.ready, found.provider, found.started_here) == (True, "running", False), found.error
        assert await local.stop(settings) == ()
        refused = (await local.start([wrong], settings))[0]
    assert f"port {other} is taken by" in refused.error
    assert "where b'queue' was expected" in refused.error


def test_a_kind_without_a_stand_in_is_held_back_with_that_reason(tmp_path: Path) -> None:
    """What stands in for nothing leads to held tests, told in the words of the offer."""
    settings = records.config(tmp_path)
    health = records.health({"redis": ConnectivityStatus.UNAVAILABLE})
    offers = tuple(replace(offer, reason=NONE) for offer in health.stand_ins)
    decision = mode.decide(replace(health, stand_ins=offers), settings.services, settings.wishes, now=records.AT)
    assert NONE in decision.held["redis"]


@needs_servers
def test_the_order_is_running_then_compose_then_the_kinds_own(checkout: Callable[..., Settings]) -> None:
    one = service("redis", f"redis://:pw@localhost:{free_ports(1)[0]}/0")
    ground = SupervisedGround(checkout([one]))
    wanted = [Wanted(service=one, place=endpoint(one))]
    names = [provider.name for provider in in_order(ground, wanted)]
    assert names[:2] == ["running", "compose"]
    assert set(names[2:]) <= {"system", "wheel"}
    # A container of ours is brought up again rather than proven.
    begun = StandIn(service="redis", type="redis", provider="compose", endpoint="", ready=True, started_here=True)
    ground.records["redis"] = Record(stand_in=begun, bind="127.0.0.1", port=1, composed=True)
    assert next(iter(in_order(ground, wanted))).name == "compose"


@needs_servers
async def test_provider_orders_and_forbids(checkout: Callable[..., Settings]) -> None:
    [port] = free_ports(1)
    one = service("redis", f"redis://:pw@127.0.0.1:{port}/0")
    settings = checkout([one])

    def names(*told: str) -> list[str]:
        wanted = Wanted(service=replace(one, providers=told), place=endpoint(one))
        return [provider.name for provider in in_order(SupervisedGround(settings), [wanted])]

    assert names("wheel", "running") == ["wheel", "running"]
    assert names("compose") == ["compose"]
    only = replace(one, providers=("running",))
    could = local.availability([only], settings)[0]
    assert not could.usable
    assert "provider = ['running'] allows none that is here" in could.reason
    [found] = await local.start([only], settings)
    assert "provider = ['running'] allows no other" in found.error


async def test_a_mock_that_is_left_out_is_not_used(checkout: Callable[..., Settings]) -> None:
    one = service("backend_api", f"http://127.0.0.1:{free_ports(1)[0]}/", providers=("running",))
    settings = checkout([one])
    assert not local.availability([one], settings)[0].usable
    [found] = await local.start([one], settings)
    assert "leaves the mock out" in found.error

"""The system's NATS server stands in: up, used by the team's own client, refusing a wrong password, dead, and gone again."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable

import pytest

from resilience import stand_ins as local
from resilience.core.records import ConnectivityStatus, FaultCode
from resilience.core.settings import Settings
from resilience.services.place import port_open
from tests.kits.kind_kit import by_client, code_of, judged, look, of_kind, with_password
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually
from tests.stand_ins.conftest import checkout  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(shutil.which("nats-server") is None, reason="no NATS: apt-get install nats-server")


async def test_it_is_up_refuses_dies_and_is_gone(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    [port] = free_ports(1)
    one = of_kind("nats", f"nats://app:it%27s%20%22secret@127.0.0.1:{port}")
    settings = checkout([one])
    assert local.availability([one], settings)[0].provider == "system"
    [found] = await local.start([one], settings)
    assert (found.error, found.provider) == ("", "system")
    assert found.version.startswith("2.")
    seen = await judged(one)
    assert (seen.status, seen.found, seen.facts["jetstream"]) == (ConnectivityStatus.AVAILABLE, "PONG", "yes")
    refused = await look(with_password(one, "app", "wrong"))
    assert code_of(refused) is FaultCode.APP_AUTH
    assert code_of(await look(with_password(one, "", ""))) is FaultCode.APP_AUTH

    os.kill(found.pid or 0, signal.SIGKILL)
    assert eventually(lambda: not port_open("127.0.0.1", port))
    assert code_of(await look(one)) is FaultCode.TCP_REFUSED
    assert (await local.start([one], settings))[0].ready
    await local.stop(settings)
    assert not port_open("127.0.0.1", port)


CLIENT = """
import asyncio, nats
async def no_word(_):
    pass
async def connected(token, **limits):
    limits |= {{"connect_timeout": 2, "max_reconnect_attempts": 1, "reconnect_time_wait": 0.1}}
    return await nats.connect(f"nats://{{token}}@127.0.0.1:{port}", error_cb=no_word, **limits)
async def work():
    client = await connected("token-of-mine")
    inbox = await client.subscribe("jobs")
    await client.publish("jobs", b"job 1")
    print((await inbox.next_msg(timeout=5)).data.decode())
    await client.close()
"""


@pytest.mark.slow  # a process of its own, and a client that tries again
async def test_the_teams_client_works_with_it_and_its_errors_are_read(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    pytest.importorskip("nats")
    [port] = free_ports(1)
    one = of_kind("nats", f"nats://token-of-mine@127.0.0.1:{port}")
    settings = checkout([one])
    [found] = await local.start([one], settings)
    assert found.error == ""
    script = CLIENT.format(port=port)
    wrong = 'print(fault_of("nats", lambda: asyncio.run(connected("wrong", allow_reconnect=False))))'
    assert await by_client(f"{script}asyncio.run(work())\n{wrong}") == ["job 1", FaultCode.APP_AUTH]
    await local.stop(settings)
    dead = 'print(fault_of("nats", lambda: asyncio.run(connected("token-of-mine"))))'
    assert await by_client(script + dead) == [FaultCode.TCP_REFUSED]

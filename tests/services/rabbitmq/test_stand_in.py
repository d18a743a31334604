"""The system's RabbitMQ stands in: up, used by pika, refusing a wrong password, in alarm, dead, and gone with its epmd."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.records import ConnectivityStatus, FaultCode
from resilience.core.secret import Secret
from resilience.core.settings import Settings
from resilience.services.place import port_open
from resilience.services.rabbitmq.stand_in import STAND_INS
from tests.kits.kind_kit import code_of, judged, look, of_kind, with_password
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually, processes_naming
from tests.stand_ins.conftest import checkout  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(not STAND_INS.found()[1], reason="no RabbitMQ: apt-get install rabbitmq-server")


async def test_it_is_up_refuses_blocks_dies_and_is_gone_with_its_epmd(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    [port] = free_ports(1)
    one = of_kind("rabbitmq", f"amqp://app:it%27s%20secret@127.0.0.1:{port}/shop", write_check=True)
    settings = checkout([one])
    [found] = await local.start([one], settings)
    assert (found.error, found.provider) == ("", "system")
    assert found.version.startswith(("3.", "4."))
    good = await judged(one)
    assert (good.status, good.facts["alarms"]) == (ConnectivityStatus.AVAILABLE, "none")
    assert code_of(await look(with_password(one, "app", "wrong"))) is FaultCode.APP_AUTH
    elsewhere = replace(one, url=Secret(one.url.reveal().replace("/shop", "/nowhere")))
    assert code_of(await look(elsewhere)) is FaultCode.APP_NO_DB

    pika = pytest.importorskip("pika")
    credentials = pika.PlainCredentials("app", "it's secret")
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port, "shop", credentials))
    channel = connection.channel()
    channel.queue_declare("jobs", durable=True)
    channel.basic_publish("", "jobs", b"job 1")
    assert channel.basic_get("jobs", auto_ack=True)[2] == b"job 1"
    connection.close()

    data = Path(found.data_dir)
    told = subprocess.run(
        [
            Path(STAND_INS.found()[1]).with_name("rabbitmqctl"),
            "-n",
            f"resilience-{port}@localhost",
            "set_disk_free_limit",
            "900000000000000",
        ],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(data),
            "ERL_EPMD_PORT": (data / "ports.json").read_text()[1:].partition(",")[0],
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    blocked = await judged(one)
    assert (blocked.status, blocked.fault) == (ConnectivityStatus.DEGRADED, FaultCode.APP_OVERLOAD), blocked

    os.kill(found.pid or 0, signal.SIGKILL)
    assert eventually(lambda: not port_open("127.0.0.1", port))
    assert code_of(await look(one)) is FaultCode.TCP_REFUSED
    await local.stop(settings)
    epmd = int((data / "ports.json").read_text()[1:].partition(",")[0])
    assert eventually(lambda: not port_open("127.0.0.1", epmd)), "epmd was left"
    assert eventually(lambda: not processes_naming(data))


async def test_epmd_ends_with_it_where_it_is_stopped(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    one = of_kind("rabbitmq", f"amqp://app:pw@127.0.0.1:{free_ports(1)[0]}/")
    settings = checkout([one])
    [found] = await local.start([one], settings)
    assert found.error == ""
    epmd = int((Path(found.data_dir) / "ports.json").read_text()[1:].partition(",")[0])
    assert port_open("127.0.0.1", epmd)
    await local.stop(settings)
    assert eventually(lambda: not port_open("127.0.0.1", epmd)), "epmd was left"

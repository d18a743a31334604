"""A server is used only where it is ours to use: it takes the credentials, and is on this machine."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.settings import Deadlines, Settings
from resilience.services.place import port_open
from resilience.services.postgresql.stand_in import PostgresServer
from resilience.services.redis.stand_in import RedisServer
from resilience.stand_ins import proof
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import (
    errors,
    eventually,
    listening,
    needs_servers,
    query,
    service,
)

pytestmark = needs_servers


async def test_a_server_that_takes_the_env_files_credentials_is_used_and_never_stopped(
    checkout: Callable[..., Settings], tmp_path: Path
) -> None:
    ports = free_ports(2)
    postgres = PostgresServer(tmp_path / "pg", ports[0], user="app", password="pw", database="app")
    valkey = RedisServer(tmp_path / "redis", ports[1], password="pw")
    await asyncio.gather(postgres.start(), valkey.start())
    try:
        settings = checkout(
            [
                service("database", f"postgresql://app:pw@localhost:{ports[0]}/app"),
                service("redis", f"redis://:pw@localhost:{ports[1]}/0"),
            ]
        )
        found = await local.start(settings.services, settings)
        assert errors(found) == []
        assert [(one.provider, one.started_here, one.pid) for one in found] == [
            ("running", False, postgres.pid),
            ("running", False, valkey.pid),
        ]
        assert await local.stop(settings) == ()
        assert await query(ports[0], "select 1", "pw", "app", "app") == 1
        # With other credentials the port is simply taken, and it is said by whom.
        settings = checkout(
            [
                service("database", f"postgresql://app:other@localhost:{ports[0]}/app"),
                service("redis", f"redis://:other@localhost:{ports[1]}/0"),
            ]
        )
        found = await local.start(settings.services, settings)
        assert [one.ready for one in found] == [False, False]
        for one, pid in zip(found, (postgres.pid, valkey.pid), strict=True):
            assert f"(pid {pid})" in one.error
            assert "does not take the env file's credentials" in one.error
            assert "ss -ltnp" in one.error
            assert "other" not in one.error.replace("another", "")
    finally:
        await asyncio.gather(postgres.stop(), valkey.stop())


async def test_a_port_that_accepts_and_is_mute_is_no_stand_in(checkout: Callable[..., Settings]) -> None:
    with listening() as port:
        services = [
            service("redis", f"redis://:pw@localhost:{port}/0"),
            service("backend_api", f"http://localhost:{port}/health"),
        ]
        settings = checkout(services, deadlines=Deadlines(fallback_activation_s=0.5))
        found = await local.start(settings.services, settings)
    assert [one.ready for one in found] == [False, False]
    assert all(f"port {port} is taken by" in one.error for one in found)


@pytest.mark.skipif(sys.platform != "linux", reason="a process takes the name of its file on Linux")
async def test_a_tunnel_is_refused_even_where_what_it_leads_to_takes_the_credentials(
    checkout: Callable[..., Settings], tmp_path: Path
) -> None:
    ports = free_ports(2)
    valkey = await RedisServer(tmp_path / "redis", ports[0], password="pw").start()
    tunnel = tmp_path / "cloud-sql-proxy"
    tunnel.symlink_to(sys.executable)
    code = (
        "import asyncio, sys\n"
        "async def pipe(r, w):\n"
        "    while data := await r.read(4096): w.write(data)\n"
        "async def carry(r, w):\n"
        "    r2, w2 = await asyncio.open_connection('127.0.0.1', int(sys.argv[2]))\n"
        "    await asyncio.gather(pipe(r, w2), pipe(r2, w))\n"
        "async def main():\n"
        "    await (await asyncio.start_server(carry, '127.0.0.1', int(sys.argv[1]))).serve_forever()\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen([tunnel, "-c", code, str(ports[1]), str(ports[0])])
    try:
        assert eventually(lambda: port_open("127.0.0.1", ports[1]))
        settings = checkout([service("redis", f"redis://:pw@localhost:{ports[1]}/0")])
        found = (await local.start(settings.services, settings))[0]
        assert not found.ready
        assert f"held by cloud-sql-proxy (pid {process.pid}), which may lead to another machine" in found.error
    finally:
        process.kill()
        process.wait()
        await valkey.stop()


def test_only_an_address_of_this_machine_is_this_machines() -> None:
    assert proof._on_this_machine("127.0.0.1")
    assert proof._on_this_machine("::1")
    assert not proof._on_this_machine("192.0.2.7")
    assert not proof._on_this_machine("2001:db8::1")

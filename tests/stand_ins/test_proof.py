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
from resilience.host.processes import Child
from resilience.services.place import port_open
from resilience.services.postgresql.stand_in import PostgresServer
from resilience.services.redis.stand_in import RedisServer
from resilience.services.standing_in import stand_ins_of
from resilience.stand_ins import proof
from resilience.stand_ins.endpoints import endpoint
from resilience.stand_ins.owners import own_mark
from resilience.stand_ins.providers import SHARED
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import (
    errors,
    eventually,
    listening,
    needs_servers,
    query,
    service,
    settings_for,
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
                service("database", f"postgresql://app:pw@localhost:{ports[0]}/app", shared=True),
                service("redis", f"redis://:pw@localhost:{ports[1]}/0", shared=True),
            ]
        )
        found = await local.start(settings.services, settings)
        assert errors(found) == []
        assert [one.gaps[-1] for one in found] == [SHARED, SHARED]
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


async def test_a_server_that_nobody_started_is_used_only_where_it_may_be_shared(
    checkout: Callable[..., Settings], tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    for password, told in (("pw", f"redis://:pw@localhost:{port}/0"), ("", f"redis://localhost:{port}/0")):
        valkey = await RedisServer(tmp_path / "redis", port, password=password).start()
        try:
            settings = checkout([service("redis", told)])
            (refused,) = await local.start(settings.services, settings)
            assert not refused.ready
            assert f"(pid {valkey.pid}), which this checkout did not start" in refused.error
            assert "shared = true for redis" in refused.error
        finally:
            await valkey.stop()


async def test_a_redis_that_takes_any_password_has_proven_nothing_even_where_it_may_be_shared(
    checkout: Callable[..., Settings], tmp_path: Path
) -> None:
    """A server without a password takes any from the user default, and was taken for the stand-in."""
    port = free_ports(1)[0]
    valkey = await RedisServer(tmp_path / "redis", port).start()
    try:
        settings = checkout([service("redis", f"redis://default:pw@localhost:{port}/0", shared=True)])
        (refused,) = await local.start(settings.services, settings)
        assert not refused.ready
        assert "takes any password" in refused.error
    finally:
        await valkey.stop()


async def test_another_checkouts_stand_ins_are_refused_with_its_path_and_what_to_type(tmp_path: Path) -> None:
    """Also where they could be shared, for both have the same user and password: its tests write into theirs."""
    ports = free_ports(3)
    services = [
        service("database", f"postgresql://app:pw@localhost:{ports[0]}/app", shared=True),
        service("redis", f"redis://:pw@localhost:{ports[1]}/0", shared=True),
        service("backend_api", f"http://localhost:{ports[2]}/health", shared=True),
    ]
    here, there = (settings_for(made(tmp_path / name), services) for name in ("here", "there"))
    try:
        assert errors(await local.start(services, there)) == []
        refused = await local.start(services, here)
        assert [one.ready for one in refused] == [False] * 3
        for one, port in zip(refused, ports, strict=True):
            assert f"port {port} is held by the stand-in of {there.root}: " in one.error
            assert f"cd {there.root} && resilience restore" in one.error
    finally:
        await local.stop(here)
        await local.stop(there)


async def test_our_own_servers_are_known_by_their_nonce_where_no_supervisor_knows_them(
    checkout: Callable[..., Settings],
) -> None:
    """As where its state was lost: PostgreSQL reads the nonce to us, Redis says its folder, also with CONFIG switched off."""
    ports = free_ports(2)
    settings = checkout(
        [
            service("database", f"postgresql://app:pw@localhost:{ports[0]}/app"),
            service("redis", f"redis://:pw@localhost:{ports[1]}/0"),
        ]
    )
    nonce = own_mark(settings).nonce
    postgres = PostgresServer(settings.data / "pg", ports[0], user="app", password="pw", database="app")
    valkey = RedisServer(settings.data / "redis", ports[1], password="pw")
    await valkey.prepare()
    config = settings.data / "redis" / "redis.conf"
    config.write_text(config.read_text() + 'rename-command CONFIG ""\n')
    child = Child(valkey.launch())
    child.spawn()
    try:
        await valkey.wait_ready(pid=lambda: child.pid)
        await postgres.start()
        postgres.sign(nonce)
        owners = [await stand_ins_of(one.kind).owner(endpoint(one)) for one in settings.services]
        assert owners[0].nonce == nonce
        assert [Path(one.folder).name for one in owners] == ["pg", "redis"]
        found = await local.start(settings.services, settings)
        assert errors(found) == []
        assert [(one.provider, one.gaps) for one in found] == [("running", ())] * 2
    finally:
        await asyncio.gather(postgres.stop(), child.stop())


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


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

"""Every service has a stand-in at the address of the env file, side by side, whoever we are and whoever is killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import pytest
import websockets

from resilience import stand_ins as local
from resilience.core.settings import Settings
from resilience.services.place import port_open
from resilience.services.redis import stand_in as redis
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import (
    errors,
    eventually,
    needs_servers,
    processes_naming,
    query,
    service,
    team,
)

pytestmark = needs_servers


async def test_all_of_them_come_up_are_kept_counted_and_gone_again(checkout: Callable[..., Settings]) -> None:
    ports = free_ports(6)
    settings = checkout(team(ports))
    said: list[str] = []
    found = await local.start(settings.services, settings, on_progress=said.append)
    assert errors(found) == []
    assert [one.service for one in found] == [one.name for one in settings.services]
    assert [one.provider for one in found][2:] == ["mock"] * 4
    assert all(one.pid and one.started_here for one in found)
    assert any("database: ready on localhost" in line for line in said)
    assert not any("secret" in line for line in said)
    assert all("nothing listens" in one.passed_over[0] for one in found)

    again = await local.start(settings.services, settings)
    assert [(one.service, one.pid) for one in again] == [(one.service, one.pid) for one in found]
    assert local.status(settings) == again
    assert [await local.connections(one) for one in settings.services] == [0] * 6

    assert await query(ports[0], "select 1") == 1
    with pytest.raises(asyncpg.InvalidPasswordError):
        await query(ports[0], "select 1", password="wrong")
    connection = await redis.RedisConnection.open("127.0.0.1", ports[1], "", "redis-secret")
    connection.close()
    with pytest.raises(redis.RedisRefused, match="WRONGPASS"):
        await redis.RedisConnection.open("127.0.0.1", ports[1], "", "wrong")
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"http://127.0.0.1:{ports[2]}/api/x")).status_code == 200
        assert (await http.get(f"http://127.0.0.1:{ports[3]}/.well-known/jwks.json")).status_code == 200
        assert (await http.get(f"http://127.0.0.1:{ports[5]}/v1/models")).status_code == 200
    async with websockets.connect(f"ws://127.0.0.1:{ports[4]}/ws", proxy=None) as socket:
        await socket.send("x")
        assert await socket.recv() == "x"
    assert [await local.connections(one) for one in settings.services] == [1, 1, 1, 1, 1, 1]

    assert set(await local.stop(settings)) == {one.service for one in found}
    assert not any(port_open("127.0.0.1", port) for port in ports)
    assert local.status(settings) == ()
    assert await local.stop(settings) == ()


async def test_data_are_kept_between_runs_unless_fresh_ones_are_asked_for(checkout: Callable[..., Settings]) -> None:
    port = free_ports(1)[0]
    settings = checkout([service("database", f"postgresql://app:pw@localhost:{port}/app")])
    for fresh, expected in ((False, None), (False, "kept"), (True, None)):
        assert errors(await local.start(settings.services, settings, fresh=fresh)) == []
        assert await query(port, "select to_regclass('kept')::text", "pw", "app", "app") == expected
        await query(port, "create table if not exists kept ()", "pw", "app", "app")
        await local.stop(settings)


async def test_a_second_database_on_the_same_port_lives_in_the_same_server(checkout: Callable[..., Settings]) -> None:
    port = free_ports(1)[0]
    names = [service(name, f"postgresql://{name}:pw-{name}@localhost:{port}/{name}") for name in ("one", "two")]
    settings = checkout(names)
    found = await local.start(settings.services, settings)
    assert errors(found) == []
    assert found[0].pid == found[1].pid
    for name in ("one", "two"):
        assert await query(port, "select current_user::text", f"pw-{name}", name, name) == name


async def test_a_server_on_the_other_loopback_address_is_named_because_localhost_may_lead_there(
    checkout: Callable[..., Settings],
) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        other = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with other:
        port = other.getsockname()[1]
        settings = checkout([service("redis", f"redis://:pw@localhost:{port}/0")])
        found = (await local.start(settings.services, settings))[0]
        assert not found.ready
        assert f"[::1]:{port}" in found.error
        plain = checkout([service("redis", f"redis://:pw@127.0.0.1:{port}/0")])
        assert (await local.start(plain.services, plain))[0].ready


async def test_two_starts_at_the_same_time_give_one_of_each(checkout: Callable[..., Settings]) -> None:
    settings = checkout(team(free_ports(6))[:3])
    one, two = await asyncio.gather(*(local.start(settings.services, settings) for _ in range(2)))
    assert errors(one) == errors(two) == []
    assert [item.pid for item in one] == [item.pid for item in two]


async def test_stand_ins_started_from_a_thread_that_ended_go_on(checkout: Callable[..., Settings]) -> None:
    settings = checkout(team(free_ports(6))[1:3])
    thread = threading.Thread(target=lambda: asyncio.run(local.start(settings.services, settings)))  # type: ignore[arg-type, return-value]
    thread.start()
    await asyncio.to_thread(thread.join)
    assert all(one.ready for one in local.status(settings))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become an ordinary user")
@pytest.mark.parametrize(
    "uid", [pytest.param(65534, id="with a name", marks=pytest.mark.slow), pytest.param(54321, id="without a name")]
)
async def test_an_ordinary_user_with_a_private_home_can_start_all_of_them(uid: int) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv is not installed")
    home = Path("/tmp") / f"resilience-home-{os.getpid()}"  # pytest's own folder is closed to others
    home.mkdir(mode=0o700)
    os.chown(home, uid, uid)
    become = [setpriv, f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    root = str(Path(__file__).parents[2])
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    code = (
        "import asyncio, os, pathlib, sys\n"
        "from resilience import stand_ins as local\n"
        "from tests.kits.ports import free_ports\n"
        "from tests.kits.stand_in_kit import settings_for, team\n"
        "async def main():\n"
        "    ports = free_ports(6)\n"
        "    settings = settings_for(pathlib.Path(os.environ['HOME']), team(ports))\n"
        "    found = await local.start(settings.services, settings)\n"
        "    print(os.getuid(), [one.ready for one in found], [one.error for one in found if one.error])\n"
        "    print(len(await local.stop(settings)))\n"
        "asyncio.run(main())\n"
    )
    # Another interpreter of the same version where ours lies in a folder that is closed to others.
    site = sysconfig.get_paths()["purelib"]
    environment["PYTHONPATH"] = os.pathsep.join((root, site))
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [sys.executable, *(f"{folder}/{name}" for folder in ("/usr/bin", "/usr/local/bin"))]
    tried = "import asyncpg, psutil, pytest, resilience, subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    try:
        for python in candidates:
            able = await asyncio.to_thread(
                subprocess.run,
                [*become, python, "-c", tried],
                cwd=root,
                env=environment,
                capture_output=True,
                check=False,
            )
            if able.returncode == 0:
                break
        else:
            pytest.skip("no interpreter here that an ordinary user may run")
        run = [*become, python, "-c", code]
        told = await asyncio.to_thread(
            subprocess.run, run, cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert told.stdout == f"{uid} {[True] * 6} []\n6\n", told.stderr
        assert eventually(lambda: not processes_naming(home))
    finally:
        shutil.rmtree(home)

"""Every service has a stand-in at the address of the env file, proven by its protocol, and gone again when told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest
import websockets

from resilience import stand_ins as local
from resilience.core.records import ServiceType, StandIn
from resilience.core.secret import Secret
from resilience.core.settings import Deadlines, Service, Settings
from resilience.services.place import port_open
from resilience.services.postgresql import stand_in as postgresql
from resilience.services.postgresql.stand_in import PostgresServer
from resilience.services.redis import stand_in as redis
from resilience.services.redis.stand_in import RedisServer
from resilience.services.registry import KINDS
from resilience.stand_ins import ground, lease, proof
from tests.kits.stand_in_kit import eventually, free_ports, listening, processes_naming, service, settings_for

pytestmark = pytest.mark.skipif(
    not (postgresql.find_binaries() and redis.find_binaries()), reason="no PostgreSQL or Redis binaries on this machine"
)


def team(ports: list[int]) -> list[Service]:
    """The guide's services, but ClickHouse."""
    return [
        service("database", f"postgresql://app:pg%20secret@localhost:{ports[0]}/app_test"),
        service("redis", f"redis://:redis-secret@127.0.0.1:{ports[1]}/0"),
        service("backend_api", f"http://localhost:{ports[2]}/health", mock_routes=("/api/{x}",)),
        service("auth_service", f"http://localhost:{ports[3]}/health"),
        service("websocket", f"ws://localhost:{ports[4]}/ws"),
        service("llm_service", f"http://localhost:{ports[5]}/v1", kind=ServiceType.OPENAI),
    ]


@pytest.fixture
async def checkout(tmp_path: Path) -> AsyncIterator[Callable[..., Settings]]:
    """Settings with these services; at the end nothing of theirs may be left."""
    made: list[Settings] = []

    def make(services: list[Service], **fields: object) -> Settings:
        made.append(settings_for(tmp_path, services, **fields))
        return made[-1]

    yield make
    for settings in made:
        await local.stop(settings)
    assert eventually(lambda: not processes_naming(tmp_path)), "something of ours is left"


def errors(found: tuple[StandIn, ...]) -> list[str]:
    return [one.error for one in found if not one.ready]


async def query(
    port: int, sql: str, password: str = "pg secret", user: str = "app", database: str = "app_test"
) -> object:
    connection = await asyncpg.connect(
        host="127.0.0.1", port=port, user=user, password=password, database=database, ssl=False
    )
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


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


async def test_a_stand_in_that_dies_is_seen_and_the_others_are_not_touched(checkout: Callable[..., Settings]) -> None:
    settings = checkout(team(free_ports(6))[:3])
    found = {one.service: one for one in await local.start(settings.services, settings)}
    os.kill(found["redis"].pid or 0, signal.SIGKILL)
    assert eventually(lambda: any(not one.ready for one in local.status(settings)))
    assert eventually(
        lambda: "ended by signal 9" in {one.service: one for one in local.status(settings)}["redis"].error
    )
    assert [one.service for one in local.status(settings) if one.ready] == ["database", "backend_api"]
    again = {one.service: one for one in await local.start(settings.services, settings)}
    assert again["redis"].ready
    assert again["redis"].pid != found["redis"].pid
    assert again["database"].pid == found["database"].pid


async def test_one_of_several_is_stopped_and_the_rest_go_on(checkout: Callable[..., Settings]) -> None:
    ports = free_ports(6)
    settings = checkout(team(ports))
    await local.start(settings.services, settings)
    assert await local.stop(settings, ["websocket", "redis", "nobody"]) == ("redis", "websocket")
    assert [port_open("127.0.0.1", port) for port in ports] == [True, False, True, True, False, True]
    assert [one.service for one in local.status(settings)] == ["database", "backend_api", "auth_service", "llm_service"]
    assert all(one.ready for one in local.status(settings))


async def test_a_second_database_on_the_same_port_lives_in_the_same_server(checkout: Callable[..., Settings]) -> None:
    port = free_ports(1)[0]
    names = [service(name, f"postgresql://{name}:pw-{name}@localhost:{port}/{name}") for name in ("one", "two")]
    settings = checkout(names)
    found = await local.start(settings.services, settings)
    assert errors(found) == []
    assert found[0].pid == found[1].pid
    for name in ("one", "two"):
        assert await query(port, "select current_user::text", f"pw-{name}", name, name) == name


# Ready means prepared


async def test_prepare_runs_with_the_exports_in_the_root_and_the_ready_query_decides(
    checkout: Callable[..., Settings],
) -> None:
    port = free_ports(1)[0]
    url = f"postgresql://app:pw@localhost:{port}/app"
    psql = shutil.which("psql") or str(postgresql.find_binaries()[0].folder / "psql")
    ready = service(
        "database",
        url,
        exports={"DATABASE_URL": Secret(url)},
        prepare=("pwd > here", f'{psql} "$DATABASE_URL" -qc "create table if not exists users (id int)"'),
        ready_query="select count(*) from users",
    )
    settings = checkout([ready], env_command="env WRAPPED=yes")
    found = (await local.start([ready], settings))[0]
    assert found.ready, found.error
    assert found.prepare_s > 0
    assert found.gaps == ()
    assert (settings.root / "here").read_text().strip() == str(settings.root)

    gap = replace(ready, ready_query="select count(*) from orders")
    found = (await local.start([gap], settings))[0]
    assert not found.ready
    assert "orders" in found.error

    broken = replace(ready, prepare=('echo "$WRAPPED: migration 7 is broken"; exit 3',))
    found = (await local.start([broken], settings))[0]
    assert not found.ready
    assert "exit code 3: yes: migration 7 is broken" in found.error

    elsewhere = replace(ready, prepare=("true",))
    found = (await local.start([elsewhere], settings))[0]
    assert found.ready
    assert any("never connected to it" in gap for gap in found.gaps)


async def test_a_prepare_command_that_hangs_is_ended_with_its_children(
    checkout: Callable[..., Settings], tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    settings = checkout([service("redis", f"redis://:pw@localhost:{port}/0")])
    assert errors(await local.start(settings.services, settings)) == []
    hanging = replace(settings.services[0], prepare=(f"sleep 300 & sleep 301; : {tmp_path}/hanging",))
    short = replace(settings, deadlines=Deadlines(fallback_activation_s=15.0, fallback_prepare_s=0.5))
    found = (await local.start([hanging], short))[0]
    assert "was not done within 0.5 s" in found.error
    assert "FALLBACK_PREPARE_TIMEOUT" in found.error
    assert eventually(lambda: not processes_naming(tmp_path / "hanging"))


async def test_what_staging_had_and_the_stand_in_lacks_is_named(checkout: Callable[..., Settings]) -> None:
    port = free_ports(1)[0]
    settings = checkout([service("database", f"postgresql://app:pw@localhost:{port}/app")])
    settings.state.mkdir()
    seen = {"database": {"server_version": "9.6.24", "extensions": "plpgsql 1.0, postgis 3.4, moonphase 1.0"}}
    (settings.state / "seen.json").write_text(json.dumps(seen))
    found = (await local.start(settings.services, settings))[0]
    assert found.ready
    assert any("9.6.24 on staging" in gap for gap in found.gaps)
    assert "extension moonphase is on staging and cannot be had here" in found.gaps
    assert not any("plpgsql" in gap for gap in found.gaps)


# Whose server is it


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


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://app:s3cr3t@db.staging.example/app", "is not on this machine's loopback"),
        ("postgresql://app:s3cr3t@10.52.0.3:5432/app", "is not on this machine's loopback"),
        ("postgresql://app:s3cr3t@localhost.example:5432/app", "is not on this machine's loopback"),
        ("postgresql://app:s3cr3t@0.0.0.0:5432/app", "is not on this machine's loopback"),
        ("postgresql://app:s3cr3t@localhost:99999/app", "cannot be read"),
        ("mysql://app:s3cr3t@localhost/app", "begins with mysql://, expected postgresql://"),
        ("", "no `local` URL is configured"),
    ],
)
async def test_what_is_not_on_loopback_is_refused_by_name(
    checkout: Callable[..., Settings], url: str, why: str
) -> None:
    settings = checkout([Service(name="database", kind=KINDS[ServiceType.POSTGRESQL], local=Secret(url))])
    found = (await local.start(settings.services, settings))[0]
    could = local.availability(settings.services, settings)[0]
    for text in (found.error, could.reason):
        assert text.startswith("database: ")
        assert why in text
        assert "s3cr3t" not in text
    assert not found.ready
    assert not could.usable
    assert await local.connections(settings.services[0]) is None


async def test_an_unset_variable_and_a_denied_host_are_named(checkout: Callable[..., Settings]) -> None:
    unset = Service(name="database", kind=KINDS[ServiceType.POSTGRESQL], local_unset=("POSTGRES_PASSWORD",))
    denied = service("redis", "redis://localhost:1/0")
    settings = checkout([unset, denied], deny_hosts=("localhost",))
    first, second = local.availability(settings.services, settings)
    assert "POSTGRES_PASSWORD, which is not set" in first.reason
    assert "deny_hosts" in second.reason


def test_availability_imports_no_driver_and_starts_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from tests.test_local_stand_ins_light import services, settings\n"
        "from resilience import stand_ins as local\n"
        "print(all(one.usable for one in local.availability(services(), settings(pathlib.Path(sys.argv[1])))))\n"
        "print(sorted(set(sys.modules) & {'asyncpg', 'redis', 'aiohttp', 'psutil', 'jwt', 'httpx', 'websockets'}))\n"
        "print(list(pathlib.Path(sys.argv[1]).rglob('data')))\n"
    ).replace("tests.test_local_stand_ins_light", "tests.kits.stand_in_light")
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert told.stdout == "True\n[]\n[]\n", told.stderr


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


@pytest.mark.parametrize(
    "after_s",
    [0.4, *(pytest.param(after_s, marks=pytest.mark.slow) for after_s in (0.1, 0.15, 0.2, 0.3, 0.5, 0.6, 0.8))],
)
async def test_a_start_that_is_killed_leaves_nothing_that_stop_does_not_end(
    checkout: Callable[..., Settings], tmp_path: Path, after_s: float
) -> None:
    ports = free_ports(6)
    settings = checkout(team(ports))
    code = (
        "import asyncio, pathlib, sys\n"
        "from tests.stand_ins.test_lifecycle import team, local, settings_for\n"
        "settings = settings_for(pathlib.Path(sys.argv[1]), team([int(port) for port in sys.argv[2:]]))\n"
        "print('begun', flush=True)\n"
        "asyncio.run(local.start(settings.services, settings))\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(tmp_path), *map(str, ports)),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begun\n"
    await asyncio.sleep(after_s)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.communicate()
    await local.stop(settings, [one.name for one in settings.services])
    assert eventually(lambda: not processes_naming(tmp_path / "data"))
    assert not any(port_open("127.0.0.1", port) for port in ports)
    assert errors(await local.start(settings.services, settings)) == []


# In time, side by side, and as whoever we are


async def test_a_start_that_takes_too_long_is_ended_and_says_which_variable_bounds_it(
    checkout: Callable[..., Settings],
) -> None:
    port = free_ports(1)[0]
    settings = checkout([service("database", f"postgresql://app:pw@localhost:{port}/app")])
    await local.start(settings.services, settings)
    await local.stop(settings)
    short = replace(settings, deadlines=Deadlines(fallback_activation_s=0.001))
    found = (await local.start(settings.services, short))[0]
    assert not found.ready
    assert "FALLBACK_ACTIVATION_TIMEOUT" in found.error
    assert not port_open("127.0.0.1", port)


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


async def test_a_hold_is_seen_by_the_supervisor_and_a_warning_by_us(checkout: Callable[..., Settings]) -> None:
    settings = checkout(team(free_ports(6))[1:2])
    await local.start(settings.services, settings)
    local.hold(settings, "run 1")
    assert [hold["reason"] for hold in lease.read_lease(local.folder(settings))[1]] == ["run 1"]
    assert local.warning(settings) == ""
    local.release(settings, "run 1")
    assert lease.read_lease(local.folder(settings))[1] == ()
    hook = ground.SupervisedGround(settings).lease.hook
    assert hook[-1] == "restore"


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
        "from tests.stand_ins.test_lifecycle import team, local, settings_for, free_ports\n"
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

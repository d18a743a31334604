"""A team's own image or compose service is its stand-in where an engine answers, and is ended by its recorded name.

`docker` is a double that keeps to the documentation, and its containers are real Redis servers: no real engine was tried.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.records import StandIn
from resilience.core.secret import Secret
from resilience.core.settings import OwnStandIn, Service, Settings
from resilience.services.place import port_open
from resilience.stand_ins import containers
from resilience.stand_ins.endpoints import endpoint
from resilience.stand_ins.records import Container, Record, read_records, write_records
from tests.kits.docker_double import DockerDouble
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually, needs_servers, processes_naming, service, settings_for

pytestmark = needs_servers
FILE = "docker-compose.yml"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerDouble]:
    double = DockerDouble(tmp_path / "double")
    monkeypatch.setenv("PATH", f"{double.folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    yield double
    left = dict(double.containers)
    double.end()
    assert left == {}, "each container that was started is ended"


def image(port: int, password: str = "pw", **fields: object) -> Service:
    own = OwnStandIn(image="redis:7", env={"PASSWORD": Secret(password)}, timeout_s=5.0)
    return service("redis", f"redis://:{password}@127.0.0.1:{port}/0", own=own, **fields)


def composed(
    port: int, name: str = "redis", within: str = "cache", timeout_s: float = 5.0, **fields: object
) -> Service:
    own = OwnStandIn(compose_file=FILE, compose_service=within, env={"IT": Secret("pw")}, timeout_s=timeout_s)
    return service(name, f"redis://:pw@127.0.0.1:{port}/0", own=own, **fields)


def checkout(folder: Path, services: list[Service], text: str = "") -> Settings:
    settings = settings_for(folder, services)
    if text:
        (settings.root / FILE).write_text(text)
    return settings


def compose_text(**ports: int) -> str:
    """A compose file with these services; each publishes a port and takes the password of the variable IT."""
    return json.dumps(
        {
            "services": {
                name: {"image": "redis:7", "ports": [f"127.0.0.1:{port}:6379"], "environment": {"PASSWORD": "${IT}"}}
                for name, port in ports.items()
            }
        }
    )


async def test_an_image_is_run_on_the_local_port_kept_at_the_next_start_and_removed_by_name(
    docker: DockerDouble, tmp_path: Path
) -> None:
    one = image(free_ports(1)[0])
    settings = checkout(tmp_path, [one])
    found = (await local.start([one], settings))[0]
    assert (found.ready, found.provider) == (True, "image"), found.error
    run = next(words for words in docker.asked if words[0] == "run")
    assert run[run.index("--publish") + 1] == f"127.0.0.1:{endpoint(one).port}:6379"
    assert run[-3:] == ["--env", "PASSWORD", "redis:7"]
    assert "pw" not in json.dumps(docker.asked)
    assert local.status(settings) == (found,)

    asked = len(docker.asked)
    again = (await local.start([one], settings))[0]
    assert again.ready
    assert "run" not in [words[0] for words in docker.asked[asked:]]

    name = next(iter(docker.containers))
    assert await local.stop(settings) == ("redis",)
    assert docker.asked[-1] == ["rm", "--force", "--volumes", name]
    assert not port_open("127.0.0.1", endpoint(one).port)
    assert local.status(settings) == ()


async def test_an_image_with_another_configuration_replaces_the_container(docker: DockerDouble, tmp_path: Path) -> None:
    port = free_ports(1)[0]
    one, other = image(port), image(port, "other")
    settings = checkout(tmp_path, [one])
    assert (await local.start([one], settings))[0].ready
    pid = next(iter(docker.containers.values()))["pid"]
    found = (await local.start([other], settings))[0]
    assert found.ready, found.error
    assert next(iter(docker.containers.values()))["pid"] != pid
    await local.stop(settings)


async def test_a_compose_service_is_brought_up_in_a_project_of_this_checkout_and_goes_down_with_it(
    docker: DockerDouble, tmp_path: Path
) -> None:
    ports = free_ports(2)
    one, other = composed(ports[0]), composed(ports[1], "sessions", "sessions")
    settings = checkout(tmp_path, [one, other], compose_text(cache=ports[0], sessions=ports[1]))
    found = await local.start([one, other], settings)
    assert [(each.ready, each.provider) for each in found] == [(True, "compose")] * 2, found
    up = next(words for words in docker.asked if "up" in words)
    assert up[1:2] + up[3:5] == ["--project-name", "--file", str(settings.root / FILE)]
    assert up[2].startswith("resilience-")
    assert await local.stop(settings, ["redis"]) == ("redis",)
    assert docker.asked[-1][-4:] == ["rm", "--stop", "--force", "cache"]
    assert port_open("127.0.0.1", ports[1])
    (settings.root / FILE).write_text("broken since: [")
    assert await local.stop(settings) == ("sessions",)
    assert docker.asked[-1] == ["compose", "--project-name", up[2], "down"]


@pytest.mark.parametrize(
    ("text", "within", "why"),
    [
        ("services: [", "cache", f"{FILE} cannot be used: yaml: line 3"),
        (compose_text(cache=1), "cahce", f"{FILE} has no service cahce; it has cache."),
        (compose_text(cache=1), "cache", f"cache of {FILE} publishes 1, and `local` says"),
        ('{"services": {"cache": {}}}', "cache", f"cache of {FILE} publishes no port"),
        ("", "cache", f"there is no compose file {FILE}"),
    ],
)
async def test_a_compose_file_that_cannot_serve_is_named_before_anything_is_started(
    docker: DockerDouble, tmp_path: Path, text: str, within: str, why: str
) -> None:
    one = composed(free_ports(1)[0], within=within)
    settings = checkout(tmp_path, [one], text)
    found = (await local.start([one], settings))[0]
    assert not found.ready
    assert why in found.error
    assert not [words for words in docker.asked if {"up", "run", "down"} & {*words}]
    assert await local.stop(settings) == ()


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"engine": "none"}, "docker is there, but its engine does not answer (Cannot connect"),
        ({"hangs": "ps"}, "docker is there, but its engine did not answer within 0.5 s"),
        ({"hangs": "image"}, "docker image did not answer within 0.5 s"),
        ({"image": False, "registry": False}, "docker pull failed: Error response from daemon: pull access denied"),
        ({"dies": True}, "its container ended with exit code 3: FATAL: no room"),
    ],
)
async def test_an_image_that_does_not_come_up_is_passed_over_with_the_reason_and_ended(
    docker: DockerDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, object], why: str
) -> None:
    monkeypatch.setattr(containers, "ASK_S", 0.5)
    monkeypatch.setattr(containers, "LOOK_S", 0.5)
    docker.set(**state)
    one = image(free_ports(1)[0])
    settings = checkout(tmp_path, [one])
    try:
        found = (await local.start([one], settings))[0]
        assert found.ready, found.error
        assert found.provider in ("system", "wheel")
        assert [reason for reason in found.passed_over if reason.startswith("image: ") and why in reason], found
        assert any(gap.startswith("not as configured: image: ") and why in gap for gap in found.gaps)
    finally:
        docker.set(hangs="")
        await local.stop(settings)
    assert eventually(lambda: not processes_naming(settings.data))


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"compose": False}, "`docker compose` does not answer (docker: 'compose' is not a docker command.)"),
        ({"healthy": False}, "docker compose up failed: container resilience-"),
    ],
)
async def test_without_compose_and_in_bad_health_the_next_provider_serves_unless_it_is_forbidden(
    docker: DockerDouble, tmp_path: Path, state: dict[str, object], why: str
) -> None:
    docker.set(**state)
    port = free_ports(1)[0]
    one, only = composed(port), composed(port, providers=("compose",))
    settings = checkout(tmp_path, [one], compose_text(cache=port))
    try:
        refused = (await local.start([only], settings))[0]
        assert not refused.ready
        assert why in refused.error
        assert "provider = ['compose'] allows no other" in refused.error
        found = (await local.start([one], settings))[0]
        assert found.ready, found.error
        assert any(why in reason for reason in found.passed_over)
    finally:
        await local.stop(settings)


async def test_health_of_the_image_is_waited_for_and_bounded(docker: DockerDouble, tmp_path: Path) -> None:
    docker.set(health="unhealthy")
    own = OwnStandIn(image="redis:7", timeout_s=0.3)
    one = service("redis", f"redis://127.0.0.1:{free_ports(1)[0]}/0", own=own, providers=("image",))
    settings = checkout(tmp_path, [one])
    found = (await local.start([one], settings))[0]
    assert "did not come up within 0.3 s: its own health check is not content" in found.error
    assert docker.containers == {}
    assert await local.stop(settings) == ()


async def test_an_image_whose_port_is_not_clear_is_refused(docker: DockerDouble, tmp_path: Path) -> None:
    docker.set(exposes=["8001/tcp", "8002/tcp"])
    one = image(free_ports(1)[0])
    found = (await local.start([one], checkout(tmp_path, [one])))[0]
    assert "which port of redis:7 is meant is not clear: it exposes 8001, 8002" in found.error


async def test_podman_is_used_where_docker_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    double = DockerDouble(tmp_path / "double", command="podman")
    monkeypatch.setenv("PATH", f"{double.folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    one = image(free_ports(1)[0])
    settings = checkout(tmp_path, [one])
    found = (await local.start([one], settings))[0]
    assert (found.ready, found.provider) == (True, "image"), found
    assert await local.stop(settings) == ("redis",)
    assert double.containers == {}


async def test_an_engine_elsewhere_is_not_asked(docker: DockerDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://build-host:2375")
    assert "elsewhere" in (await containers.find_engine()).why
    assert docker.asked == []


async def test_a_container_that_the_engine_does_not_end_stays_written_down_for_the_next_stop(
    docker: DockerDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = image(free_ports(1)[0])
    settings = checkout(tmp_path, [one])
    assert (await local.start([one], settings))[0].ready
    monkeypatch.setattr(containers, "END_S", 0.3)
    docker.set(hangs="rm")
    assert await local.stop(settings) == ()
    assert [each.service for each in local.status(settings)] == ["redis"]
    docker.set(hangs="")
    monkeypatch.setattr(containers, "END_S", 10.0)
    assert await local.stop(settings) == ("redis",)


async def test_without_the_key_the_container_of_an_earlier_start_is_ended_for_its_port(
    docker: DockerDouble, tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    one, plain = image(port), service("redis", f"redis://:pw@127.0.0.1:{port}/0")
    settings = checkout(tmp_path, [one])
    assert (await local.start([one], settings))[0].ready
    try:
        found = (await local.start([plain], settings))[0]
        assert found.ready, found.error
        assert found.provider in ("system", "wheel")
        assert docker.containers == {}
        assert read_records(settings.data)["redis"].container is None
    finally:
        await local.stop(settings)


KILLED = """
import asyncio, pathlib, sys
from resilience import stand_ins as local
from tests.stand_ins.test_containers import checkout, image
one = image(int(sys.argv[2]))
asyncio.run(local.start([one], checkout(pathlib.Path(sys.argv[1]), [one])))
"""


async def test_a_start_that_is_killed_in_the_middle_leaves_a_record_by_which_its_container_is_ended(
    docker: DockerDouble, tmp_path: Path
) -> None:
    one = image(free_ports(1)[0])
    settings = checkout(tmp_path, [one])
    docker.set(health="starting")
    started = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), str(endpoint(one).port)])
    try:
        assert eventually(lambda: port_open("127.0.0.1", endpoint(one).port), within_s=20.0)
    finally:
        started.kill()
        started.wait(10)
    assert "interrupted" in local.status(settings)[0].error
    assert await local.stop(settings) == ("redis",)
    assert docker.containers == {}


async def test_the_engines_command_that_would_make_a_container_ends_with_the_start_that_is_killed(
    docker: DockerDouble, tmp_path: Path
) -> None:
    """It went on, fetched an image, and made a container that nobody knew of any more."""
    one = image(free_ports(1)[0])
    port, settings = endpoint(one).port, checkout(tmp_path, [one])
    docker.set(hangs="run")
    started = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), str(port)])
    try:
        assert eventually(lambda: bool(processes_naming(Path(f"127.0.0.1:{port}:"))), within_s=20.0)
    finally:
        started.kill()
        started.wait(10)
    assert eventually(lambda: not processes_naming(Path(f"127.0.0.1:{port}:")))
    docker.set(hangs="")
    assert await local.stop(settings) == ("redis",)
    assert docker.containers == {}


def test_what_could_be_started_is_said_without_asking_the_engine(docker: DockerDouble, tmp_path: Path) -> None:
    one = image(free_ports(1)[0])
    assert local.availability([one], checkout(tmp_path, [one]))[0].usable
    assert docker.asked == []


def test_a_container_is_read_back_from_the_records_as_it_was_written(tmp_path: Path) -> None:
    begun = Record(
        stand_in=StandIn(service="db", type="redis", provider="image", endpoint="x", ready=False, started_here=False),
        bind="127.0.0.1",
        port=1,
        container=Container(engine="podman", name="n"),
    )
    write_records(tmp_path, {"db": begun})
    assert read_records(tmp_path) == {"db": begun}

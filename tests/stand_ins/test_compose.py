"""Containers provide the stand-ins where an engine really answers, and only then.

No engine can be had in every test run, so `docker` is a double: a program on PATH that keeps to the documented behaviour of
`docker version`, `docker compose up --wait` and `rm --stop`, and whose container is a real Redis.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.settings import Service, Settings
from resilience.services.place import port_open
from resilience.services.redis import stand_in as redis
from resilience.stand_ins import compose
from resilience.stand_ins.endpoints import endpoint
from tests.kits.kinds import ServiceType
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually, processes_naming, service, settings_for

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker" / compose.NAME
DOUBLE = """#!{python}
import json, os, pathlib, signal, socket, subprocess, sys, time
folder = pathlib.Path({folder!r})
asked = sys.argv[1:]
state = json.loads((folder / "double.json").read_text())
with (folder / "asked.jsonl").open("a") as file:
    keys = ("REDIS_PASSWORD", "REDIS_PORT", "REDIS_BIND", "POSTGRES_PASSWORD", "CLICKHOUSE_PASSWORD", "SECRET_OF_THE_TEAM")
    file.write(json.dumps([asked, {{key: os.environ.get(key) for key in keys}}]) + "\\n")
pidfile = folder / "redis.pid"
if asked[:1] == ["--version"]:
    print("Docker version 27.0.3, build 7d4bcd8")
elif asked[0] == "version":
    if state["engine"] == "hangs":
        time.sleep(60)
    if state["engine"] != "answers":
        sys.exit("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
    print("27.0.3")
elif asked[:2] == ["compose", "version"]:
    if not state["compose"]:
        sys.exit("docker: 'compose' is not a docker command.")
    print("2.29.1")
elif asked[0] == "compose" and asked[5:8] == ["up", "-d", "--wait"]:
    if not state["healthy"]:
        sys.exit("container resilience-redis-1 is unhealthy")
    if not pidfile.exists():
        command = [state["redis"], "--port", os.environ["REDIS_PORT"], "--bind", os.environ["REDIS_BIND"]]
        command += ["--save", "", "--dir", str(folder), "--requirepass", os.environ["REDIS_PASSWORD"]]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        pidfile.write_text(str(process.pid))
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket() as client:
                if client.connect_ex((os.environ["REDIS_BIND"], int(os.environ["REDIS_PORT"]))) == 0:
                    break
            time.sleep(0.02)
elif asked[0] == "compose" and asked[5:7] == ["rm", "--stop"]:
    if pidfile.exists():
        os.kill(int(pidfile.read_text()), signal.SIGTERM)
        pidfile.unlink()
elif asked[:2] == ["volume", "rm"]:
    pass
else:
    sys.exit("unknown: " + " ".join(asked))
"""


class Double:
    """The docker on PATH, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        binary = next((one for one in redis.find_binaries() if one.provider == "system"), redis.find_binaries()[0])
        self.set(engine="answers", compose=True, healthy=True, redis=str(binary.path))
        (folder / "bin").mkdir()
        program = folder / "bin" / "docker"
        program.write_text(DOUBLE.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)

    def set(self, **state: object) -> None:
        path = self.folder / "double.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, **state}))

    @property
    def asked(self) -> list[tuple[list[str], dict[str, str | None]]]:
        path = self.folder / "asked.jsonl"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
async def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Double]:
    folder = tmp_path / "docker-double"
    folder.mkdir()
    double = Double(folder)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SECRET_OF_THE_TEAM", "never to be seen")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    yield double
    assert eventually(lambda: not (folder / "redis.pid").exists())


@pytest.fixture
def wanted(tmp_path: Path) -> tuple[Service, Settings]:
    one = service("redis", f"redis://:pw@localhost:{free_ports(1)[0]}/0")
    settings = settings_for(tmp_path, [one])
    (settings.root / "docker").mkdir()
    (settings.root / "docker" / compose.NAME).write_text(FILE.read_text())
    return one, settings


async def test_where_an_engine_answers_its_container_is_the_stand_in_and_is_stopped_with_its_data_kept(
    docker: Double, wanted: tuple[Service, Settings]
) -> None:
    one, settings = wanted
    found = (await local.start([one], settings))[0]
    assert found.ready, found.error
    assert found.provider == "compose"
    assert found.version
    port = endpoint(one).port
    asked, seen = docker.asked[-1]
    assert asked[-4:] == ["up", "-d", "--wait", "redis"]
    assert asked[3:5] == ["--file", str(settings.root / "docker" / compose.NAME)]
    assert seen["REDIS_PASSWORD"] == "pw"
    assert seen["REDIS_PORT"] == str(port)
    assert seen["REDIS_BIND"] == "127.0.0.1"
    assert seen["SECRET_OF_THE_TEAM"] is None
    assert "pw" not in asked

    again = (await local.start([one], settings))[0]
    assert again.provider == "compose"
    assert local.status(settings) == (again,)
    assert await local.stop(settings) == ("redis",)
    assert docker.asked[-1][0][-4:] == ["rm", "--stop", "--force", "redis"]
    assert not port_open("127.0.0.1", port)
    assert local.status(settings) == ()


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"engine": "none"}, "compose: no container engine answers"),
        ({"engine": "hangs"}, "compose: no container engine answers (TimeoutError)"),
        ({"compose": False}, "compose: docker has no compose plug-in"),
        ({"healthy": False}, "compose: docker compose up failed: container resilience-redis-1 is unhealthy"),
    ],
)
async def test_else_compose_is_passed_over_with_the_reason_and_the_next_provider_serves(
    docker: Double,
    wanted: tuple[Service, Settings],
    state: dict[str, object],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compose, "ASK_S", 0.5)
    docker.set(**state)
    one, settings = wanted
    try:
        found = (await local.start([one], settings))[0]
        assert found.ready, found.error
        assert found.provider in ("system", "wheel")
        assert any(reason.startswith(why) for reason in found.passed_over)
    finally:
        await local.stop(settings)
    assert eventually(lambda: not processes_naming(settings.data))


async def test_an_engine_on_another_machine_is_not_asked(docker: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://build-host:2375")
    assert "elsewhere" in await compose.why_not()
    assert docker.asked == []


def test_availability_does_not_ask_docker(docker: Double, wanted: tuple[Service, Settings]) -> None:
    one, settings = wanted
    assert local.availability([one], settings)[0].usable
    assert docker.asked == []


def test_the_compose_file_keeps_to_the_compose_specification() -> None:
    tool = Path(sys.executable).with_name("check-jsonschema")
    if not tool.exists():
        pytest.skip("check-jsonschema is not installed")
    told = subprocess.run(
        [tool, "--builtin-schema", "vendor.compose-spec", FILE], capture_output=True, text=True, timeout=60, check=False
    )
    assert told.returncode == 0, told.stdout


def test_each_service_of_the_compose_file_has_a_health_check_a_password_and_loopback_only() -> None:
    text = FILE.read_text()
    ports = re.findall(r'- "(.+):(\d+)"', text)
    assert [(spec, inside) for spec, inside in ports] == [
        ("${POSTGRES_BIND:-127.0.0.1}:${POSTGRES_PORT:-5435}", "5432"),
        ("${REDIS_BIND:-127.0.0.1}:${REDIS_PORT:-6382}", "6379"),
        ("${CLICKHOUSE_BIND:-127.0.0.1}:${CLICKHOUSE_PORT:-8126}", "8123"),
    ]
    names = re.findall(r"^  ([a-z]+):$", text.split("\nvolumes:")[0], re.MULTILINE)
    assert names == [one.service for one in compose.services()]
    assert text.count("healthcheck:") == len(names)
    # What the file reads is what the provider gives it.
    given = set(compose.variables(None))
    for kind, url in (
        (ServiceType.POSTGRESQL, "postgresql://u:p@localhost:1/d"),
        (ServiceType.REDIS, "redis://:p@localhost:1/0"),
        (ServiceType.CLICKHOUSE, "http://u:p@localhost:1/d"),
    ):
        given |= set(compose.variables(endpoint(service("x", url, kind=kind))))
    read = set(re.findall(r"\$\{([A-Z_]+)", text)) - {"POSTGRES_IMAGE_TAG", "REDIS_IMAGE_TAG", "CLICKHOUSE_IMAGE_TAG"}
    assert read == given

"""Two checkouts on one machine at the same time: each has its own stand-ins, and nobody's data are mixed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.services.place import port_open
from tests.kits.alone import ALONE
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually, needs_servers, processes_naming

pytestmark = needs_servers

CONFIG = """\
[runbook]
outputs = "outputs"
env_file = ".env.test.active"

[[service]]
name = "database"
type = "postgresql"
url = "postgresql://app@127.0.0.1:{dead}/app"
local = "postgresql://app:same-password@127.0.0.1:${{POSTGRES_PORT}}/app"
exports = {{ DATABASE_URL = "{{local}}" }}
critical = true
shared = true

[[service]]
name = "redis"
type = "redis"
url = "redis://127.0.0.1:{dead}"
local = "${{REDIS_URL}}"
exports = {{ REDIS_PORT = "{{port}}" }}
shared = true

[[service]]
name = "backend_api"
type = "http"
url = "http://127.0.0.1:{dead}/health"
local = "http://127.0.0.1:${{BACKEND_PORT}}/health"
exports = {{ BACKEND_URL = "http://{{host}}:{{port}}" }}

[modes.offline]
commands = ["{python} -m pytest -q -p no:cacheprovider {alone} tests"]
"""
PROFILE = """\
FALLBACK_ACTIVATION_TIMEOUT=60
POSTGRES_PORT={0}
REDIS_URL=redis://:same-password@127.0.0.1:{1}/0
BACKEND_PORT={2}
"""
TESTS = """\
import asyncio, os, socket, urllib.request, asyncpg

HERE = os.getcwd()

def test_the_database_is_this_checkouts():
    async def go():
        connection = await asyncpg.connect(os.environ["DATABASE_URL"], ssl=False)
        await connection.execute("create table if not exists whose (root text)")
        await connection.execute("insert into whose values ($1)", HERE)
        found = await connection.fetch("select distinct root from whose")
        await connection.close()
        return [row["root"] for row in found]
    assert asyncio.run(go()) == [HERE]

def test_redis_is_this_checkouts():
    with socket.create_connection(("127.0.0.1", int(os.environ["REDIS_PORT"]))) as server:
        server.sendall(f"AUTH same-password\\r\\nSADD whose {HERE}\\r\\nSMEMBERS whose\\r\\nQUIT\\r\\n".encode())
        said = server.makefile().read()
    assert f"*1\\n" in said.replace("\\r", "") and HERE in said

def test_the_backend_answers():
    assert urllib.request.urlopen(os.environ["BACKEND_URL"] + "/health").status == 200
"""


class Checkout:
    """A repository, and what is typed in it. `wished` are the ports that its env file names."""

    def __init__(self, root: Path, wished: list[int], dead: int, environ: dict[str, str]) -> None:
        self.root, self.wished, self.environ = root, list(wished), environ
        (root / "tests").mkdir(parents=True)
        (root / ".git").mkdir()
        (root / "resilience.toml").write_text(CONFIG.format(dead=dead, python=sys.executable, alone=ALONE))
        (root / ".env.test.local").write_text(PROFILE.format(*wished))
        (root / ".env.test.active").write_text("MINE=1\n")
        (root / "tests" / "test_whose.py").write_text(TESTS)

    def begin(self, *words: str, exe: str = "") -> subprocess.Popen[str]:
        command = [exe] if exe else [sys.executable, "-m", "resilience.cli"]
        return subprocess.Popen(
            [*command, *words],
            cwd=self.root,
            env=self.environ,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def type_in(self, *words: str, exe: str = "") -> tuple[int, str]:
        out, err = (process := self.begin(*words, exe=exe)).communicate(timeout=150)
        return process.returncode, out + err

    def ports(self) -> list[int]:
        """The ports that the env file tells the tests, in the order of the wishes."""
        lines = dict(
            line.split("=", 1) for line in (self.root / ".env.test.active").read_text().splitlines() if "=" in line
        )
        values = {name: value.strip("'\"") for name, value in lines.items()}
        return [int(values[name]) for name in ("POSTGRES_PORT", "REDIS_PORT", "BACKEND_PORT") if name in values]


@pytest.fixture
def checkouts(tmp_path: Path) -> Iterator[tuple[Checkout, Checkout]]:
    dead, *wished = free_ports(4)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("STAGING_", "RESILIENCE_"))}
    environ |= {"XDG_STATE_HOME": str(tmp_path / "xdg"), "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    pair = Checkout(tmp_path / "one", wished, dead, environ), Checkout(tmp_path / "two", wished, dead, environ)
    yield pair
    for one in pair:
        one.type_in("restore")
        one.type_in("services", "down")
    assert eventually(lambda: not processes_naming(tmp_path)), "something of ours is left"


@pytest.mark.slow  # 36 s on two busy cores: two first starts of PostgreSQL, and three runs of the tests
def test_two_checkouts_apply_at_the_same_moment_and_each_has_its_own_data(checkouts: tuple[Checkout, Checkout]) -> None:
    begun = [one.begin("apply") for one in checkouts]
    said = ["".join(process.communicate(timeout=150)) for process in begun]
    assert [process.returncode for process in begun] == [0, 0], said
    ports = [one.ports() for one in checkouts]
    assert not set(ports[0]) & set(ports[1])
    assert sorted(port for port in (*ports[0], *ports[1]) if port in checkouts[0].wished) == sorted(checkouts[0].wished)
    for one in checkouts:
        code, text = one.type_in("test", "--json")
        assert code == 10, text
        assert json.loads(text[text.index("{") :].rpartition("}")[0] + "}")["totals"]["passed"] == 3
    # One restores: the other's go on, and its tests still find their own data.
    assert checkouts[0].type_in("restore")[0] == 0
    assert (checkouts[0].root / ".env.test.active").read_text() == "MINE=1\n"
    assert all(port_open("127.0.0.1", port) for port in ports[1])
    assert not any(port_open("127.0.0.1", port) for port in ports[0])
    assert checkouts[1].type_in("test")[0] == 10


def without_database(pair: tuple[Checkout, Checkout]) -> tuple[Checkout, Checkout]:
    """The same without PostgreSQL, whose first start takes seconds."""
    for one in pair:
        config = one.root / "resilience.toml"
        head, _, rest = config.read_text().partition('[[service]]\nname = "database"')
        config.write_text(head + rest[rest.index("[[service]]") :])
        profile = one.root / ".env.test.local"
        profile.write_text(profile.read_text().replace(f"POSTGRES_PORT={one.wished[0]}\n", ""))
        del one.wished[0]
    return pair


def test_a_port_in_the_place_of_a_wished_one_is_said_everywhere_and_a_typed_one_is_refused(
    checkouts: tuple[Checkout, Checkout],
) -> None:
    first, second = without_database(checkouts)
    assert first.type_in("apply")[0] == 0
    _, planned = second.type_in("plan", "--json")
    plan = json.loads(planned[planned.index("{") : planned.rindex("}") + 1])
    assert all(f"is held by the stand-in of {first.root}" in note for note in plan["notes"][:2])
    code, said = second.type_in("apply")
    assert code == 0, said
    ports = second.ports()
    assert len(ports) == 2
    assert not set(ports) & set(second.wished)
    for port, stand_in in zip(ports, plan["stand_ins"], strict=True):
        assert f":{port}" in stand_in["local"]
        assert f":{port}" in said
    exported = second.type_in("env")[1]
    assert all(str(port) in exported for port in ports)
    status = second.type_in("services", "status")[1]
    assert all(f":{port}" in status for port in ports)
    # Once more changes nothing, and takes no other port.
    assert "Already applied" in second.type_in("apply")[1]
    assert second.ports() == ports
    assert second.type_in("report", "latest")[0] == 0
    [report] = (second.root / "outputs").glob("*/*/report.md")
    assert all(f":{port}" in report.read_text() for port in ports)
    # A port that a person typed is meant: it is refused, with the owner's path.
    assert second.type_in("restore")[0] == 0
    config = second.root / "resilience.toml"
    typed = config.read_text().replace("${REDIS_URL}", f"redis://:same-password@127.0.0.1:{second.wished[0]}/0")
    config.write_text(typed)
    code, said = second.type_in("apply")
    assert code == 20, said
    said = " ".join(said.split())
    assert f"redis: port {second.wished[0]} is held by the stand-in of {first.root}" in said
    assert f"cd {first.root} && resilience restore" in said

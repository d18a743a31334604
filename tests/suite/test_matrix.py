"""Every pytest from 6.2 to 9 tells the same of one team's suite: with its Redis up, and with its port refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resilience.services.redis.stand_in import find_binaries
from tests.kits.installed import installed, snapshot
from tests.kits.interpreters import environment_of

pytestmark = pytest.mark.slow

CELLS = [
    *(("3.8", version) for version in ("6.2.5", "7.4.4", "8.0.2", "8.1.2", "8.2.2", "8.3.5")),
    *(("3.10", version) for version in ("6.2.5", "8.4.2")),
    *(("3.13", version) for version in ("8.3.5", "9")),
]

CONFTEST = """
import os
import pytest, redis
from redis.backoff import NoBackoff
from redis.retry import Retry

URL = os.environ["TEAM_REDIS_URL"]

def connect():
    client = redis.Redis.from_url(URL, socket_timeout=2, retry=Retry(NoBackoff(), 0))
    client.ping()
    return client

@pytest.fixture(scope="session")
def session_client():
    client = connect()
    yield client
    client.close()

@pytest.fixture
def client():
    client = connect()
    yield client
    client.close()

@pytest.fixture
def told_by_fail():
    try:
        client = connect()
    except redis.ConnectionError as exc:
        pytest.fail("no redis: %s" % exc)
    yield client
    client.close()

@pytest.fixture
def own():
    return {}["product"]
"""
PLAIN = """
import unittest
import pytest
from conftest import URL, connect

def test_session_a(session_client): assert session_client.ping()
def test_session_b(session_client): assert session_client.ping()
def test_fixture_down(client): client.set("k", "1")
def test_fail_down(told_by_fail): pass
def test_call_down(): connect().close()
@pytest.mark.parametrize("key", ["a b", "[1]", "x::y"])
def test_key_down(client, key): client.set(key, "1")

def test_pure(): pass
@pytest.mark.parametrize("n", [1, 2])
def test_pure_of(n): pass
def test_skipped(): pytest.skip("not here")
@pytest.mark.xfail
def test_xfail(): assert 0
def test_bug_assert(): assert 1 == 2
def test_bug_zero(): 1 / 0
def test_bug_fixture(own): pass

class SetUp(unittest.TestCase):
    def setUp(self):
        self.client = connect()
        self.addCleanup(self.client.close)
    def test_a_down(self): self.client.set("k", "1")

class SetUpClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = connect()
    @classmethod
    def tearDownClass(cls):
        cls.client.close()
    def test_b_down(self): self.assertTrue(self.client.ping())
    def test_c_down(self): self.assertTrue(self.client.ping())

class Own(unittest.TestCase):
    def test_unittest_bug(self): self.assertEqual(1, 2)
    def test_unittest_pure(self): pass
"""
SUBTESTS = """
import unittest
from conftest import connect

def test_sub_down(subtests):
    for number in range(3):
        with subtests.test(number=number):
            if number == 1:
                connect().close()

def test_sub_pure(subtests):
    for number in range(3):
        with subtests.test(number=number):
            assert number < 3

def test_sub_bug(subtests):
    for number in range(3):
        with subtests.test(number=number):
            assert number != 1

class Sub(unittest.TestCase):
    def test_case_down(self):
        with self.subTest("one"):
            connect().close()
    def test_case_bug(self):
        for number in range(2):
            with self.subTest(number=number):
                self.assertEqual(number, 1)
"""
ASYNC = """
import pytest, pytest_asyncio
import redis.asyncio
from conftest import URL
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

def connect():
    return redis.asyncio.Redis.from_url(URL, socket_timeout=2, retry=Retry(NoBackoff(), 0))

@pytest_asyncio.fixture
async def later():
    client = connect()
    await client.ping()
    yield client
    await getattr(client, "aclose", client.close)()

@pytest.mark.asyncio
async def test_async_fixture_down(later): assert await later.ping()

@pytest.mark.asyncio
async def test_async_call_down():
    client = connect()
    try:
        await client.ping()
    finally:
        await getattr(client, "aclose", client.close)()

@pytest.mark.asyncio
async def test_async_pure(): pass

@pytest.mark.asyncio
async def test_async_bug(): assert 0
"""
EXITING = """
import pytest
from conftest import connect

@pytest.fixture
def told_by_exit():
    try:
        client = connect()
    except Exception as exc:
        pytest.exit("no redis: %s" % exc)
    yield client
    client.close()

def test_first_pure(): pass
def test_exit_down(told_by_exit): pass
def test_after(): pass
"""
# The recorder is broken as a fault of ours would break it: where it reads an error, and where pytest reports an outcome.
TROUBLE = {
    "reading": "recorder.cached = None",
    "reporting": "recorder.finish = None",
}
BREAKS = """
import pytest
@pytest.fixture(autouse=True)
def broken(request):
    recorder = request.config.pluginmanager.get_plugin("resilience-recorder")
    if recorder is not None:
        {what}
"""
OUTAGE = {"infrastructure_unavailable", "undecided"}
BUG = {"failed", "error"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    root: Path
    python: Path
    port: int

    @property
    def environ(self) -> dict[str, str]:
        ours = ("PYTEST_", "COV_", "RESILIENCE_", "STAGING_", "TEST_")
        given = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return given | {
            "TEAM_REDIS_URL": f"redis://127.0.0.1:{self.port}/0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_STATE_HOME": str(self.root.parent / "xdg"),
            "TEST_RETRY_ATTEMPTS": "1",
            "TEST_RETRY_DELAY": "0.1",
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.root, env=self.environ, capture_output=True, text=True, timeout=120, check=False
        )

    def pytest(self, *words: str) -> tuple[str, ...]:
        return (str(self.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *words)

    def collected(self, *words: str) -> int:
        out = self.run(*self.pytest("--collect-only", *words)).stdout
        return sum("::" in line for line in out.splitlines())

    def tell(self, *words: str) -> dict[str, Any]:
        """Return what `resilience test --json` says of this pytest."""
        done = self.run(sys.executable, "-m", "resilience.cli", "test", "--json", "--", *self.pytest(*words))
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        assert said["exit_code"] == done.returncode
        return said


@pytest.fixture(params=CELLS, ids=lambda cell: "-".join(cell))
def team(request: pytest.FixtureRequest, tmp_path: Path, free_port: int) -> Team:
    python, version = request.param
    packages = [
        f"pytest=={version}" if "." in version else f"pytest>={version}",
        "pytest-xdist",
        "pytest-asyncio",
        "redis",
    ]
    if version[0] != "9":
        packages.append("pytest-subtests")
    root = tmp_path / "team"
    for name, text in {
        "tests/conftest.py": CONFTEST,
        "tests/test_plain.py": PLAIN,
        "tests/test_sub.py": SUBTESTS,
        "tests/test_async.py": ASYNC,
        "exiting/conftest.py": CONFTEST,
        "exiting/test_exit.py": EXITING,
        "resilience.toml": '[[service]]\nname = "redis"\ntype = "redis"\nurl = "${TEAM_REDIS_URL}"\n'
        "[recovery]\ngood = 1\ninterval_s = 0.1\n",
        "pytest.ini": "[pytest]\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(text))
    return Team(root=root, python=environment_of(python, packages), port=free_port)


@pytest.fixture
def redis_up(team: Team, tmp_path: Path) -> Iterator[None]:
    binary = next(iter(find_binaries()), None)
    if binary is None:
        pytest.skip("no Redis binary")
    given = ["--port", str(team.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen([binary.path, *given], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        assert any("eady to accept connections" in line for line in server.stdout)
        yield
    finally:
        server.terminate()
        server.stdout.close()
        server.wait(10)


def outcomes(said: dict[str, Any]) -> dict[str, str]:
    return {test["id"].rpartition("::")[2]: test["outcome"] for test in said["tests"]}


def counted(said: dict[str, Any]) -> int:
    return sum(count for name, count in said["totals"].items() if name not in ("retried", "passed_on_retry"))


def judged(said: dict[str, Any], *, up: bool) -> None:
    """Claim that each test whose name says so was told as an outage, each bug as a bug, and all else passed."""
    wrong = {}
    for name, outcome in outcomes(said).items():
        if "bug" in name:
            right = BUG
        elif "skipped" in name or "xfail" in name:
            right = {"skipped", "xfailed"}
        elif up or "pure" in name:
            right = {"passed"}
        else:
            right = OUTAGE
        if outcome not in right:
            wrong[name] = outcome
    assert wrong == {}
    assert not [note for note in said["notes"] if "trouble" in note]
    assert said["verdict"] == "product_failures"
    assert said["exit_code"] == 1


WAYS = pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["alone", "xdist"])


@WAYS
def test_a_refused_port_is_told_as_an_outage_and_each_bug_as_a_bug(team: Team, more: tuple[str, ...]) -> None:
    said = team.tell("tests", *more)
    assert counted(said) == team.collected("tests") == 30
    judged(said, up=False)


@WAYS
@pytest.mark.usefixtures("redis_up")
def test_with_redis_up_only_the_bugs_fail(team: Team, more: tuple[str, ...]) -> None:
    said = team.tell("tests", *more)
    assert counted(said) == team.collected("tests") == 30
    judged(said, up=True)


@WAYS
def test_a_fixture_that_ends_the_session_for_an_outage_leaves_no_bug(team: Team, more: tuple[str, ...]) -> None:
    said = team.tell("exiting", *more)
    found = outcomes(said)
    assert counted(said) == team.collected("exiting") == 3
    assert found["test_exit_down"] in {*OUTAGE, "not_run"}
    assert found["test_first_pure"] in {"passed", "not_run"}
    assert not BUG & set(found.values())
    assert said["exit_code"] in (20, 21)


@pytest.mark.usefixtures("redis_up")
def test_a_fixture_that_may_end_the_session_ends_nothing_while_redis_is_up(team: Team) -> None:
    assert set(outcomes(team.tell("exiting")).values()) == {"passed"}


@pytest.mark.parametrize("where", TROUBLE)
def test_trouble_inside_our_plugin_makes_the_verdict_unknown(team: Team, where: str) -> None:
    folder = team.root / "troubled"
    folder.mkdir()
    (folder / "conftest.py").write_text(BREAKS.replace("{what}", TROUBLE[where]))
    (folder / "test_it.py").write_text("def test_one(): assert 0\ndef test_two(): pass\n")
    said = team.tell("troubled")
    assert said["verdict"] == "unknown", (said["notes"], said["totals"], said["tests"])
    assert said["exit_code"] == 21
    assert counted(said) == 2


def test_where_a_team_installed_it_staging_tests_skip_themselves(team: Team, tmp_path: Path) -> None:
    folder = team.root / "staged"
    folder.mkdir()
    (folder / "test_it.py").write_text(
        "import pytest\n@pytest.mark.staging\ndef test_staging(): pass\ndef test_pure(): pass\n"
    )
    found = snapshot(tmp_path / "s.json", redis="unavailable")
    env = team.environ | {"PYTHONPATH": str(installed(tmp_path / "site")), "RESILIENCE_SNAPSHOT": str(found)}
    words = team.pytest("staged", "--strict-markers", "-rs", "-W", "error", "-p", "no:asyncio")
    done = subprocess.run(words, cwd=team.root, env=env, capture_output=True, text=True, check=False)
    assert "1 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert "staging is unavailable since" in done.stdout

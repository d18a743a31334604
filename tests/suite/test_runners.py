"""Other runners, each for real: its own failure beside a dead service is the product's, a refused connection the outage's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from resilience.core.records import Outcome, TestSuiteResult
from tests.kits.interpreters import environment_of
from tests.kits.testrun_kit import INFRA, LineServer, run, write

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """How a runner is called, and its two tests: one that speaks to the database, and one that adds VAT or fails to."""

    command: str
    needs: str
    files: Callable[[bool], dict[str, str]]
    """The project's files; the argument says whether the second test has a bug."""
    tells: bool = True
    """Whether single tests are known of its output."""
    outage: str = ""
    bug: str = ""
    """Parts of the two tests' ids."""
    package: str = ""
    """What npm installs for it."""


CLIENT = """
import asyncio, os
async def greeted():
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["DB_PORT"]))
    assert await reader.read(3) == b"OK\\n"
    writer.close()
    await writer.wait_closed()
def hello(): asyncio.run(greeted())
"""
NODE = """
const net = require('node:net');
const hello = () => new Promise((resolve, reject) => {
  const client = net.connect(Number(process.env.DB_PORT), '127.0.0.1');
  client.on('error', reject);
  client.on('data', () => { client.destroy(); resolve(); });
});
"""
NODE_TEST = NODE + (
    "const {test} = require('node:test'); const assert = require('node:assert');\n"
    "test('reads orders', async () => { await hello(); });\n"
    "test('adds VAT', () => { assert.strictEqual(100 + 19, %d); });\n"
)
JEST_TEST = (
    "test('reads orders', async () => { await hello(); });\ntest('adds VAT', () => { expect(100 + 19).toBe(%d); });\n"
)
GO_TEST = """
package shop
import ("net"; "os"; "testing")
func TestOrders(t *testing.T) {
	c, err := net.Dial("tcp", "127.0.0.1:" + os.Getenv("DB_PORT"))
	if err != nil { t.Fatal(err) }
	c.Close()
}
func TestVat(t *testing.T) { if 100 + 19 != %d { t.Errorf("wrong VAT") } }
"""
UNITTEST = """
import unittest
from shop_client import hello
class Shop(unittest.TestCase):
    def test_orders(self): hello()
    def test_vat(self): self.assertEqual(100 + 19, %d)
"""
DJANGO = """
from django.test import SimpleTestCase
from shop_client import hello
class Shop(SimpleTestCase):
    def test_orders(self): hello()
    def test_vat(self): self.assertEqual(100 + 19, %d)
"""
MANAGE = """
import sys
from django.conf import settings
settings.configure(INSTALLED_APPS=[], DATABASES={}, SECRET_KEY="x")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def value(bug: bool) -> int:
    return 120 if bug else 119


RUNNERS = {
    "unittest": Runner(
        command="python -m unittest", needs="python", outage="test_orders", bug="test_vat",
        files=lambda bug: {"test_shop.py": UNITTEST % value(bug)},
    ),
    "django": Runner(
        command="DJANGO manage.py test", needs="python", outage="test_orders", bug="test_vat",
        files=lambda bug: {"tests.py": DJANGO % value(bug), "manage.py": MANAGE},
    ),
    "node": Runner(
        command="node --test", needs="node", outage="reads orders", bug="adds VAT",
        files=lambda bug: {"shop.test.js": NODE_TEST % value(bug)},
    ),
    "node on a terminal": Runner(
        command="node --test --test-reporter=spec", needs="node", outage="reads orders", bug="adds VAT",
        files=lambda bug: {"shop.test.js": NODE_TEST % value(bug)},
    ),
    "npm": Runner(
        command="npm test", needs="npm", outage="reads orders", bug="adds VAT",
        files=lambda bug: {
            "shop.test.js": NODE_TEST % value(bug),
            "package.json": '{"name": "shop", "scripts": {"test": "node --test --test-reporter=tap"}}',
        },
    ),
    "jest": Runner(
        command="npx jest", needs="npm", outage="reads orders", bug="adds VAT", package="jest",
        files=lambda bug: {"shop.test.js": NODE + JEST_TEST % value(bug), "package.json": '{"name": "shop"}'},
    ),
    "vitest": Runner(
        command="npx vitest run", needs="npm", outage="reads orders", bug="adds VAT", package="vitest",
        files=lambda bug: {
            "shop.test.mjs": "import {test, expect} from 'vitest'; import net from 'node:net';"
            + NODE.replace("const net = require('node:net');", "") + JEST_TEST % value(bug),
            "package.json": '{"name": "shop"}',
        },
    ),
    "go": Runner(
        command="go test ./...", needs="go", outage="TestOrders", bug="TestVat",
        files=lambda bug: {"shop_test.go": GO_TEST % value(bug), "go.mod": "module shop\ngo 1.20\n"},
    ),
    "make -k": Runner(
        command="make -k", needs="make", tells=False,
        files=lambda bug: {
            "Makefile": "all: orders vat\norders:\n\tpython -m unittest test_orders\nvat:\n\tpython -m unittest test_vat\n",
            "test_orders.py": "import unittest\nfrom shop_client import hello\nclass O(unittest.TestCase):\n"
            "    def test_orders(self): hello()\n",
            "test_vat.py": f"import unittest\nclass V(unittest.TestCase):\n"
            f"    def test_vat(self): self.assertEqual(119, {value(bug)})\n",
        },
        outage="test_orders", bug="test_vat",
    ),
    "a script of several": Runner(
        command="sh check.sh", needs="node",
        files=lambda bug: {
            "check.sh": "python -m unittest test_shop; a=$?\nnode --test shop.test.js; b=$?\nexit $((a | b))\n",
            "test_shop.py": UNITTEST % 119,
            "shop.test.js": NODE_TEST % value(bug),
        },
        outage="test_orders", bug="adds VAT",
    ),
    "python -I": Runner(
        command="python -I -m pytest -q -p no:cacheprovider", needs="python", outage="test_orders", bug="test_vat",
        files=lambda bug: {"conftest.py": "import sys; sys.path.insert(0, '.')\n", "test_shop.py": UNITTEST % value(bug)},
    ),
    "env -i": Runner(
        command='env -i PATH="$PATH" DB_PORT="$DB_PORT" python -m pytest -q -p no:cacheprovider', needs="env",
        outage="test_orders", bug="test_vat",
        files=lambda bug: {"test_shop.py": UNITTEST % value(bug)},
    ),
    "autoload off": Runner(
        command="PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 python -m pytest -q -p no:cacheprovider", needs="python",
        outage="test_orders", bug="test_vat",
        files=lambda bug: {"test_shop.py": UNITTEST % value(bug)},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return what installs a package of npm once and returns the folder of its modules; without a network it skips."""

    @cache
    def installed(package: str) -> Path:
        folder = tmp_path_factory.mktemp(package)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), package]
        if subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False).returncode:
            pytest.skip(f"npm could not install {package}")
        return folder / "node_modules"

    return installed


@pytest.fixture(params=RUNNERS)
def runner(request: pytest.FixtureRequest, root: Path, modules: Callable[[str], Path]) -> Runner:
    found = RUNNERS[request.param]
    if shutil.which(found.needs) is None:
        pytest.skip(f"{found.needs} is not on PATH")
    if found.package:
        root.mkdir(exist_ok=True)
        (root / "node_modules").symlink_to(modules(found.package))
    return found


async def ran(
    runner: Runner, root: Path, out: Path, database: LineServer, *, bug: bool, attempts: int = 0
) -> TestSuiteResult:
    write(root, shop_client=CLIENT)
    for name, text in runner.files(bug).items():
        (root / name).write_text(text)
    command = runner.command
    if command.startswith("DJANGO"):
        command = command.replace("DJANGO", str(environment_of("3.13", ["django"])))
    return await run(root, out, {"database": database}, command, attempts=attempts)


def named(result: TestSuiteResult, part: str) -> Outcome | None:
    return next((test.outcome for test in result.tests if part in test.id), None)


async def test_a_bug_beside_a_dead_service_is_the_products(
    runner: Runner, root: Path, out: Path, database: LineServer
) -> None:
    result = await ran(runner, root, out, database, bug=True)
    assert result.exit_code == 1, (result.verdict, result.commands, result.tests)
    assert named(result, runner.bug) in (Outcome.FAILED, Outcome.ERROR)
    assert named(result, runner.outage) is INFRA


async def test_a_refused_connection_alone_is_the_outages(
    runner: Runner, root: Path, out: Path, database: LineServer
) -> None:
    result = await ran(runner, root, out, database, bug=False)
    assert result.exit_code == 20, (result.verdict, result.commands, result.tests)
    assert named(result, runner.outage) is INFRA
    assert result.commands[0].service in ("database", None)


async def test_with_the_service_up_a_bug_alone_fails_and_without_one_all_passes(
    runner: Runner, root: Path, out: Path, database: LineServer
) -> None:
    database.up()
    assert (await ran(runner, root, out / "bug", database, bug=True)).exit_code == 1
    assert (await ran(runner, root, out / "fine", database, bug=False)).exit_code == 0

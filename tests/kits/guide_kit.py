"""Take the outage guide's snippets out of its text and run them as written, in a team's repository with its own interpreter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from resilience.lab.lab import Lab
from tests.kits.alone import ALONE
from tests.kits.light_kit import TOOL

GUIDE = Path(__file__).resolve().parents[1] / "data" / "outage-guide.md"
_BLOCK = re.compile(r"^(#+ [^\n]*)$|^( *)```(\w*)\n(.*?)^\2```", re.M | re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """One fenced block: its number in the guide, the heading above it, its language and its text as written."""

    number: int
    heading: str
    language: str
    text: str

    @property
    def ours(self) -> str:
        """The text with nothing but the package's name replaced."""
        return self.text.replace("test_framework.resilience", "resilience")


def snippets() -> dict[int, Snippet]:
    found: dict[int, Snippet] = {}
    heading = ""
    for match in _BLOCK.finditer(GUIDE.read_text(encoding="utf-8")):
        if match[1]:
            heading = match[1].lstrip("# ")
            continue
        number = len(found) + 1
        text = textwrap.dedent(match[4])
        found[number] = Snippet(number=number, heading=heading, language=match[3], text=text)
    return found


def compose_checker(folder: Path) -> str:
    """Return a program that takes a compose file where the published schema of the compose specification does."""
    tool = Path(sys.executable).with_name("check-jsonschema")
    path = folder / "check-compose"
    path.write_text(f'#!/bin/sh\nexec "{tool}" --builtin-schema vendor.compose-spec "$@" >&2\n')
    path.chmod(0o755)
    return str(path)


RUNNER = """
import asyncio, ast, inspect, os, sys
import pytest
import resilience
from resilience import *

given = {name: getattr(resilience, name) for name in resilience.__all__}
given.update(asyncio=asyncio, pytest=pytest, test_commands=os.environ.get("COMMANDS", "").split(";"))
looks = []

async def five_looks(seconds, sleep=asyncio.sleep):
    if seconds >= 60:
        looks.append(seconds)
        if len(looks) == 5:
            raise SystemExit("five looks, %s s apart" % sorted(set(looks)))
        return
    await sleep(seconds)

asyncio.sleep = five_looks
code = compile(open(sys.argv[1]).read(), "<the guide>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

async def main():
    result = eval(code, given)
    if inspect.iscoroutine(result):
        await result

asyncio.run(main())
"""
"""Runs a snippet as a notebook's cell would: await at the top level. A wait of a minute or more is not waited for."""

CONFTEST = """
import os, socket, urllib.parse, urllib.request

def address(name, staging):
    return os.environ.get(name) or os.environ["TEAM_" + staging]

def reach(url):
    parts = urllib.parse.urlsplit(url)
    socket.create_connection((parts.hostname, parts.port), timeout=3).close()
"""
SUITE = {
    "tests/helpers.py": CONFTEST,
    "tests/conftest.py": "import os, sys\nsys.path.insert(0, os.path.dirname(__file__))\n",
    "tests/unit/test_price.py": (
        "import os, pytest\n@pytest.mark.critical\ndef test_price(): pass\n@pytest.mark.slow\ndef test_slow(): pass\n"
        "def test_timeouts(): print('TIMEOUTS', {n: v for n, v in os.environ.items() if n.endswith('_TIMEOUT')})\n"
    ),
    "tests/integration/test_orders.py": (
        "import pytest\nfrom helpers import address, reach\n"
        "@pytest.mark.real_database\ndef test_orders(): reach(address('DATABASE_URL', 'database'))\n"
        "@pytest.mark.real_redis\ndef test_sessions(): reach(address('REDIS_URL', 'redis'))\n"
        "@pytest.mark.clickhouse\ndef test_analytics(): pass\n"
    ),
    "tests/integration/test_backend.py": (
        "from helpers import address, reach\ndef test_backend(): reach(address('BACKEND_URL', 'backend_api'))\n"
    ),
    "tests/e2e/staging/test_checkout.py": (
        "import pytest\nfrom helpers import address, reach\n@pytest.mark.staging\n@pytest.mark.real_services\n"
        "def test_checkout(): reach(address('BACKEND_URL', 'backend_api'))\n"
    ),
    "tests/e2e/test_websocket_events.py": (
        "import pytest\nfrom helpers import address, reach\n@pytest.mark.websocket\n"
        "def test_websocket_events(): reach(address('WEBSOCKET_URL', 'websocket'))\n"
        "@pytest.mark.golden_path\ndef test_golden(): pass\n"
    ),
    "pytest.ini": f"[pytest]\naddopts = -p no:cacheprovider {ALONE}\n",
}
TESTS = 10


class GuideTeam:
    """A team's repository with the guide's own files, an interpreter with pytest and pytest-resilience, and a staging."""

    def __init__(self, root: Path, python: Path, lab: Lab) -> None:
        self.root, self.python, self.lab = root, python, lab
        for name, text in SUITE.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (root / ".git").mkdir()
        (root / "runner.py").write_text(RUNNER)

    def environ(self, **more: str) -> dict[str, str]:
        ours = (
            "PYTEST_",
            "COV_",
            "RESILIENCE_",
            "STAGING_",
            "TEST_",
            "PYTHONPATH",
            "VIRTUAL_ENV",
            "POSTGRES_",
            "REDIS_",
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        url = self.lab.staging.url
        database = urlsplit(url("database"))
        named = {
            "STAGING_POSTGRES_HOST": database.hostname or "",
            "STAGING_POSTGRES_PORT": str(database.port),
            "STAGING_POSTGRES_USER": database.username or "",
            "STAGING_POSTGRES_PASSWORD": database.password or "",
            "STAGING_POSTGRES_DB": database.path.strip("/"),
            "STAGING_REDIS_URL": url("redis"),
            "STAGING_BACKEND_URL": url("backend_api"),
            "STAGING_AUTH_URL": url("auth_service"),
            "STAGING_WEBSOCKET_URL": url("websocket"),
            "STAGING_LLM_URL": url("llm_service"),
        }
        team = {f"TEAM_{name}": url(name) for name in ("database", "redis", "backend_api", "websocket")}
        path = f"{self.root / 'bin'}{os.pathsep}{self.python.parent}{os.pathsep}{os.defpath}"
        return kept | named | team | {
            "PATH": path, "RESILIENCE_EXE": str(TOOL), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "COLUMNS": "160",
            "XDG_STATE_HOME": str(self.root.parent / "state"), **more,
        }  # fmt: skip

    def forget(self) -> None:
        """Forget the last look, which serves for a minute."""
        (self.root / ".resilience/state/snapshot.json").unlink(missing_ok=True)

    def bash(self, text: str, **more: str) -> subprocess.CompletedProcess[str]:
        self.forget()
        return self._run(["bash", "-c", text], **more)

    def python_runs(self, snippet: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a snippet of Python with the team's own interpreter."""
        self.forget()
        file = self.root / "snippet.py"
        file.write_text(snippet)
        return self._run([str(self.python), "runner.py", str(file)], **more)

    def resilience(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self._run([str(TOOL), *words], **more)

    def _run(self, words: list[str], **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.root, env=self.environ(**more), capture_output=True, text=True, timeout=240, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

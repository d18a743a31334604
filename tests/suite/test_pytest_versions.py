"""Our plug-in tells the same in every pytest from 6.2 to 9, in every Python from 3.8, alone and under xdist."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from resilience.core.records import Outcome
from tests.kits.testrun_kit import LineServer, by_id, run, write

MATRIX = [
    ("3.8", "pytest==6.2.5 pytest-xdist==2.5.0 pytest-subtests==0.5.0"),
    ("3.8", "pytest==7.4.4 pytest-xdist==3.5.0 pytest-subtests==0.11.0 pytest-asyncio==0.21.2"),
    ("3.8", "pytest==8.0.2 pytest-xdist==3.6.1 pytest-asyncio==0.23.8"),
    ("3.8", "pytest==8.1.2 pytest-xdist==3.6.1"),
    ("3.8", "pytest==8.2.2 pytest-xdist==3.6.1 pytest-asyncio==0.24.0"),
    ("3.8", "pytest==8.3.5 pytest-xdist==3.6.1 anyio==4.5.2"),
    ("3.10", "pytest==6.2.5 pytest-xdist==2.5.0"),
    ("3.10", "pytest==8.4.2 pytest-xdist==3.8.0 pytest-asyncio==1.2.0"),
    ("3.13", "pytest==8.3.5 pytest-xdist==3.6.1 pytest-asyncio==0.25.3"),
    ("3.13", "pytest>=9 pytest-xdist>=3.8 pytest-asyncio>=1.3"),
]
SUITE = """
import pytest, unittest
from helpers import hello

@pytest.fixture(scope="session")
def db(): return hello()
@pytest.fixture
def fails(): pytest.fail("the fixture says so")
@pytest.fixture(scope="module")
def own(): raise ValueError("own")

@pytest.mark.parametrize("x", ["a b", "[1]", "ü::x"])
def test_db(db, x): pass
def test_pure(): pass
def test_bug(): assert 0
def test_fixture_fails(fails): pass
def test_own(own): pass
def test_own_again(own): pass
@pytest.mark.golden_path
@pytest.mark.staging
def test_staging(): 1 / 0
class Old(unittest.TestCase):
    def setUp(self): hello()
    def test_old(self): pass
class Shared(unittest.TestCase):
    @classmethod
    def setUpClass(cls): hello()
    def test_one(self): pass
    def test_two(self):
        with self.subTest("x"): pass
"""
ASYNC = """
import asyncio, pytest
from helpers import hello
@pytest.mark.asyncio
async def test_async():
    await asyncio.sleep(0)
    hello()
"""
EXPECTED = {
    "test_db[a b]": "passed", "test_db[[1]]": "passed", "test_db[\\xfc::x]": "passed", "test_pure": "passed",
    "test_bug": "failed", "test_fixture_fails": "error", "test_own": "error", "test_own_again": "error",
    "test_staging": "infrastructure_unavailable", "test_old": "passed", "test_one": "passed", "test_two": "passed",
}  # fmt: skip


def interpreter(version: str) -> str:
    """Return the Python of this version: on PATH, or in the folders of pyenv and uv. Skips, by name, where there is none."""
    home = Path.home()
    folders = [
        *Path(os.environ.get("PYENV_ROOT", home / ".pyenv")).glob(f"versions/{version}.*/bin"),
        *Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local/share/uv/python")).glob(f"*{version}.*/bin"),
    ]
    found = [shutil.which(f"python{version}"), *(str(folder / f"python{version}") for folder in sorted(folders))]
    for path in filter(None, found):
        if (
            os.access(path, os.X_OK)
            and not subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode
        ):
            return path
    pytest.skip(f"no Python {version} on PATH, nor in the folders of pyenv and uv")


@pytest.mark.slow
@pytest.mark.parametrize(("version", "packages"), MATRIX, ids=lambda text: text.partition(" ")[0])
async def test_another_python_with_another_pytest_tells_the_same(tmp_path: Path, version: str, packages: str) -> None:
    python = interpreter(version)
    venv = tmp_path / "venv"
    subprocess.run([python, "-m", "venv", venv], check=True)
    done = subprocess.run(
        [venv / "bin/pip", "install", "-q", *packages.split()], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"{packages} could not be installed: {done.stderr.strip()[-200:]}")
    files = {
        "test_a": SUITE,
        "pytest.ini": "[pytest]\nasyncio_mode = strict\n" if "asyncio" in packages else "[pytest]\n",
    }
    expected = dict(EXPECTED)
    if "asyncio" in packages:
        files["test_async"] = ASYNC
        expected["test_async"] = "passed"
    root = write(tmp_path / "project", **files)
    for name, options in (("alone", ""), ("workers", "-n 2")):
        database = LineServer()
        result = await run(
            root,
            tmp_path / name,
            {"database": database},
            f"{venv}/bin/python -m pytest -q -p no:cacheprovider --strict-markers {options}",
            held={"staging": "staging is down"},
            hook=lambda n, database=database: (n >= 3 and database.up(), None)[1],  # type: ignore[misc]
            wait_for_services_s=20,
        )
        database.down()
        assert not [note for note in result.notes if "trouble" in note or "events" in note], result.notes
        found = {name.replace("\u00fc", "\\xfc"): outcome.value for name, outcome in by_id(result).items()}
        found = {("test_db[\\xfc::x]" if name == "x]" else name): outcome for name, outcome in found.items()}
        assert found == expected, name
        assert all(test.outcome is not Outcome.UNDECIDED for test in result.tests)

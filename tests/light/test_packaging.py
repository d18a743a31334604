"""pytest-resilience beside the runbook in one environment, in both orders of installation, by real pip."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.kits.light_kit import ROOT, TOOL, Backend, Team, build, wheel


@pytest.fixture(scope="module")
def runbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build(ROOT, folder)
    return next(iter(folder.glob("*.whl")))


def asks(python: Path, code: str) -> str:
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, cwd=python.parent, check=False)
    return done.stdout.strip() + done.stderr


def pip(python: Path, *words: str) -> None:
    # What both need of others is not asked here, so that no index is.
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("runbook_first", [True, False], ids=["runbook first", "light first"])
@pytest.mark.slow
def test_where_both_are_installed_the_runbooks_own_module_wins_in_either_order(
    tmp_path: Path, runbook: Path, runbook_first: bool
) -> None:
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    python = tmp_path / "env/bin/python"
    wheels = [runbook, wheel()]
    for one in wheels if runbook_first else reversed(wheels):
        pip(python, "install", "--no-deps", "--no-index", "-q", str(one))
    where = "import resilience; print(resilience.__file__, 'Incident' in dir(resilience))"
    assert asks(python, where).endswith("/resilience/__init__.py True")
    pip(python, "uninstall", "-q", "-y", "resilience-runbook")
    assert "resilience.py" in asks(python, "import importlib.util as u; print(u.find_spec('resilience').origin)")
    pip(python, "install", "--no-deps", "--no-index", "-q", str(runbook))
    pip(python, "uninstall", "-q", "-y", "pytest-resilience")
    assert asks(python, where).endswith("/resilience/__init__.py True")


def test_a_runbook_that_lies_further_down_on_the_path_wins_as_well(tmp_path: Path) -> None:
    """As an editable installation does: its folder comes after the installed packages."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    python = tmp_path / "env/bin/python"
    pip(python, "install", "--no-deps", "--no-index", "-q", str(wheel()))
    site = next(iter((tmp_path / "env/lib").glob("*/site-packages")))
    (site / "runbook.pth").write_text(f"{ROOT}\n")
    said = asks(
        python, "import resilience, resilience.core.words as w; print(resilience.__file__); print(w.plural(2, 'x'))"
    )
    assert said.splitlines()[0] == str(ROOT / "resilience/__init__.py")


def test_under_resilience_test_the_plugin_registers_once_and_each_test_is_counted_once(
    team: Team, backend: Backend
) -> None:
    """The runbook brings its own copy along into an environment that has one installed."""
    backend.up()
    done = team.run(str(TOOL), "test", "--json", "--", str(team.python.parent / "pytest"), "-p", "no:cacheprovider")
    said = json.loads(done.stdout)
    assert (said["exit_code"], said["totals"]["passed"]) == (0, 2), done.stderr
    assert done.stderr.count("STAGING:") == 0, "the copy inside does not judge as well"
    assert "plugins: resilience" not in done.stderr


def test_where_the_installed_copy_is_met_first_it_tells_the_runbook_as_its_own_would(
    team: Team, backend: Backend
) -> None:
    backend.up()
    site = next(iter((team.python.parent.parent / "lib").glob("*/site-packages")))
    done = team.run(
        str(TOOL), "test", "--json", "--", str(team.python.parent / "pytest"), "-p", "no:cacheprovider",
        PYTHONPATH=str(site),
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert (said["exit_code"], said["totals"]["passed"]) == (0, 2), done.stderr

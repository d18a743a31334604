"""Each test's name is a claim about the variables that pytest-env gives the tests of a repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.settings.pytest_env import PytestEnv, pytest_env
from tests.kits.repository import put


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "pyproject.toml",
            '[tool.pytest_env]\nSECRET_KEY = "x"\nLEVEL = 1\nIN = { value = "{HOME}/a", transform = true }\n',
        ),
        ("pyproject.toml", '[tool.pytest.ini_options]\nenv = ["SECRET_KEY=x", "LEVEL = 1", "IN={HOME}/a"]\n'),
        ("pytest.ini", "[pytest]\nenv =\n    SECRET_KEY=x\n    LEVEL=1\n    IN={HOME}/a\n"),
        ("setup.cfg", "[tool:pytest]\nenv =\n    SECRET_KEY=x\n    LEVEL=1\n    IN={HOME}/a\n"),
        ("tox.ini", "[pytest]\nenv =\n    SECRET_KEY=x\n    LEVEL=1\n    IN={HOME}/a\n"),
    ],
)
def test_they_are_read_wherever_pytest_env_reads_them(tmp_path: Path, name: str, text: str) -> None:
    put(tmp_path / name, text)
    found = pytest_env(tmp_path, tmp_path, {"HOME": "/home/me"})
    assert found == PytestEnv(values={"SECRET_KEY": "x", "LEVEL": "1", "IN": "/home/me/a"}, where=tmp_path / name)


def test_the_nearest_file_that_names_any_counts_and_none_above_the_root(tmp_path: Path) -> None:
    put(tmp_path / "pytest.ini", "[pytest]\nenv = ABOVE=1\n")
    root = tmp_path / "repository"
    put(root / "pytest.ini", "[pytest]\nenv = ROOT=1\n")
    put(root / "backend/pytest.ini", "[pytest]\nenv = BACKEND=1\n")
    put(root / "src/app/pyproject.toml", "[tool.black]\n")
    assert pytest_env(root / "backend", root, {}).values == {"BACKEND": "1"}
    assert pytest_env(root / "src" / "app", root, {}).values == {"ROOT": "1"}
    (root / "pytest.ini").unlink()
    assert pytest_env(root, root, {}) == PytestEnv()


def test_a_default_leaves_alone_what_is_set_and_a_raw_value_keeps_its_braces(tmp_path: Path) -> None:
    put(
        tmp_path / "pytest.ini",
        "[pytest]\nenv =\n    D:A=1\n    D:B=2\n    R:C={A}\n    R:D:E={B}\n    F={NOBODY}\n    G={A.b}\n",
    )
    assert pytest_env(tmp_path, tmp_path, {"A": "set"}).values == {
        "B": "2",
        "C": "{A}",
        "E": "{B}",
        "F": "{NOBODY}",
        "G": "{A.b}",
    }
    put(tmp_path / "pytest.ini", "[pytest\n")
    put(
        tmp_path / "pyproject.toml",
        '[tool.pytest_env]\nA = { value = "1", skip_if_set = true }\nG = { unset = true }\n',
    )
    assert pytest_env(tmp_path, tmp_path, {"A": "set"}).values == {}
    assert pytest_env(tmp_path, tmp_path, {}).values == {"A": "1"}


def test_no_value_is_shown(tmp_path: Path) -> None:
    put(tmp_path / "pytest.ini", "[pytest]\nenv = SECRET_KEY=hunter2\n")
    assert "hunter2" not in repr(pytest_env(tmp_path, tmp_path, {}))

"""As many workers as pytest will be told to start are counted, from wherever it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resilience.suite.workers import AT_MOST, workers_asked


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("pytest -n 3 tests", 3), ("python -m pytest -n3", 3), ("pytest --numprocesses=4", 4),
        ("pytest -n auto", os.cpu_count() or 1),
        ("pytest -n 2 -n 5", 5), ("pytest -n 0", 0), ("pytest -n 400", AT_MOST), ("pytest tests", 0), ("head -n 5 x", 0),
        ("pytest tests/test-n 3", 0), ("pytest -n '6'", 6),
    ],
)  # fmt: skip
def test_what_a_command_says_counts(command: str, number: int, tmp_path: Path) -> None:
    assert workers_asked([command], tmp_path, {}) == number


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\naddopts =\n  -q\n  -n 3\n"), ("tox.ini", "[pytest]\naddopts = -n 3\n"),
        ("setup.cfg", "[tool:pytest]\naddopts = -n 3\n"), ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-n 3"\n'),
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = ["-q", "-n", "3"]\n'),
    ],
)  # fmt: skip
def test_what_pytests_own_file_says_counts_after_the_environment_and_a_command(
    name: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    assert workers_asked(["pytest"], tmp_path, {}) == 3
    assert workers_asked(["pytest"], tmp_path, {"PYTEST_ADDOPTS": "-n 2"}) == 2
    assert workers_asked(["pytest -n 1"], tmp_path, {"PYTEST_ADDOPTS": "-n 2"}) == 1
    assert workers_asked(["pytest -n auto"], tmp_path, {"PYTEST_XDIST_AUTO_NUM_WORKERS": "7"}) == 7


@pytest.mark.parametrize("text", ["[tool.pytest", "tool = 1", "[tool.pytest.ini_options]\naddopts = 3\n"])
def test_a_file_that_cannot_be_read_asks_for_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "pytest.ini").write_text("no section\n")
    assert workers_asked(["pytest"], tmp_path, {}) == 0

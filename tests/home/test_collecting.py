"""Each test's name is a claim about what a command would run, asked of the team's own interpreter."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resilience.home import collecting
from resilience.home.collecting import best, collect, shown
from resilience.home.commands import Candidate
from tests.kits.repository import put, with_interpreter, with_tests

PYTHON = ".venv/bin/python"


def candidate(*words: str, folder: str = "") -> Candidate:
    return Candidate(words=words, where="Makefile", folder=folder)


def test_tests_are_counted_and_neither_run_nor_cached(repository: Path) -> None:
    with_tests(repository, count=3)
    put(repository / "tests/test_more.py", "import pathlib\n\n\ndef test_x():\n    pathlib.Path('ran').touch()\n")
    found = collect(candidate("pytest"), repository, PYTHON, os.environ)
    assert (found.count, found.error) == (4, "")
    assert shown(found) == "command pytest (Makefile): 4 tests"
    assert not [path for path in repository.rglob("*") if path.name in ("ran", ".pytest_cache", "__pycache__")]


def test_the_command_that_runs_most_is_the_best_and_of_equals_the_first(repository: Path) -> None:
    with_tests(repository, "tests/unit/test_a.py", count=1)
    put(repository / "tests/test_b.py", "def test_b():\n    pass\n")
    words = [candidate("pytest", "tests/unit"), candidate("pytest", "tests"), candidate("pytest")]
    found = best(words, repository, PYTHON, os.environ)
    assert [(one.candidate.words, one.count) for one in found][:2] == [(("pytest", "tests"), 2), (("pytest",), 2)]


def test_an_error_of_collecting_is_told_by_its_own_words(repository: Path) -> None:
    with_tests(repository)
    put(repository / "tests/test_broken.py", "import no_such_package_here\n")
    found = collect(candidate("pytest"), repository, PYTHON, os.environ)
    assert found.count == 2
    assert found.error == "ModuleNotFoundError: No module named 'no_such_package_here'"


def test_a_pytest_of_another_environment_is_not_asked(repository: Path) -> None:
    with_interpreter(repository, pytest=False)
    found = collect(candidate("pytest"), repository, PYTHON, os.environ)
    assert found.no_pytest
    assert found.error == "no pytest beside .venv/bin/python"


def test_a_folder_that_a_plugin_makes_is_taken_away_again(repository: Path) -> None:
    with_tests(repository)
    put(repository / "conftest.py", "import pathlib\npathlib.Path('.benchmarks').mkdir()\n")
    assert collect(candidate("pytest"), repository, PYTHON, os.environ).count == 2
    assert not (repository / ".benchmarks").exists()


def test_another_runner_is_never_asked_as_it_may_run_the_tests(repository: Path) -> None:
    put(repository / "Makefile", "test:\n\ttouch ran\n")
    made = Candidate(words=("make", "test"), where="Makefile", is_pytest=False)
    assert best([made], repository, "", os.environ) == ()
    assert not (repository / "ran").exists()


def test_after_a_collection_that_took_too_long_no_other_command_is_asked(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tests(repository)
    put(repository / "conftest.py", "import time\ntime.sleep(60)\n")
    monkeypatch.setattr(collecting, "COLLECT_S", 0.5)
    [found] = best([candidate("pytest", "tests"), candidate("pytest")], repository, PYTHON, os.environ)
    assert (found.timed_out, found.error) == (True, "collecting was not done within 0.5 s")

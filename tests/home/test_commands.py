"""Each test's name is a claim about the command by which a team runs its tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.home.commands import candidates, projects, pytest_words
from resilience.home.walk import Files
from tests.kits.repository import put


def lines(root: Path) -> list[str]:
    return [one.command for one in candidates(Files(root))]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("pytest", "pytest"),
        ("@pytest -v", "pytest -v"),
        ("uv run --frozen pytest --cov=app --cov-report xml tests", "pytest tests"),
        ("poetry run pytest -n auto", "pytest -n auto"),
        ("python -m pytest tests/unit", "python -m pytest tests/unit"),
        ("coverage run --source=app -m pytest -q", "python -m pytest -q"),
        ("python -m coverage run -m pytest -q", "python -m pytest -q"),
        ("${PREFIX}coverage run -m pytest $@", "python -m pytest"),
        ("docker compose -f a.yml run --rm django pytest", "pytest"),
        ("A=1 py.test -xv --maxfail=1", "pytest -v"),
        ("cd x && pytest -m 'not slow' | tee log", "pytest -m 'not slow'"),
        ("pytest $(ARGS) {posargs} > out.txt 2>&1", "pytest"),
        ("pip install pytest", ""),
        ("echo pytest", ""),
        ("# pytest", ""),
        ("pytest-watch", ""),
        ("apt-get install pytest", ""),
    ],
)
def test_pytests_call_is_found_in_a_line_without_what_only_counts_or_stops(line: str, words: str) -> None:
    import shlex

    assert shlex.join(pytest_words(line)) == words


def test_plain_pytest_is_always_among_them_and_last_of_what_pytest_runs(repository: Path) -> None:
    put(repository / "tests/test_a.py", "")
    put(repository / "Makefile", ".PHONY: test\ntest: deps\n\t@echo hi\n\tpytest tests/unit\n")
    put(repository / "tox.ini", "[testenv]\ncommands =\n    pip check\n    pytest {posargs:tests}\n")
    put(
        repository / ".github/workflows/ci.yml",
        'jobs: {t: {steps: [{run: "pip install .\\npytest -n 2"}, {run: pytest, working-directory: ./sub}]}}\n',
    )
    assert lines(repository) == ["pytest tests/unit", "pytest tests", "pytest -n 2", "cd sub && pytest", "pytest"]


def test_a_target_that_is_no_pytest_call_comes_last_and_is_typed_as_it_is(repository: Path) -> None:
    put(repository / "Makefile", "test:\n\tgo test ./...\n")
    assert lines(repository) == ["pytest", "make test"]


def test_a_script_in_scripts_runs_where_the_folder_above_it_is(repository: Path) -> None:
    put(repository / "backend/scripts/test.sh", "set -e\ncoverage run -m pytest\n")
    put(repository / "backend/pyproject.toml", "")
    put(repository / "backend/app/tests/test_a.py", "")
    assert lines(repository) == ["cd backend && python -m pytest", "cd backend && pytest"]


def test_gitlabs_scripts_are_read_too(repository: Path) -> None:
    put(repository / ".gitlab-ci.yml", "test:\n  script:\n    - pytest -q tests\n")
    assert lines(repository)[0] == "pytest -q tests"


def test_a_root_with_settings_or_tests_of_its_own_is_one_project_and_a_monorepos_root_is_none(repository: Path) -> None:
    for part in ("a", "b"):
        put(repository / part / "pyproject.toml", "")
        put(repository / part / "tests/test_x.py", "")
    assert projects(Files(repository)) == ("a", "b")
    put(repository / "pyproject.toml", "[tool.pytest.ini_options]\n")
    assert projects(Files(repository)) == ("",)


def test_a_test_file_among_examples_or_of_a_ci_makes_no_project_of_a_monorepos_root(repository: Path) -> None:
    for part in ("libs/a", "libs/b"):
        put(repository / part / "pyproject.toml", "")
        put(repository / part / "tests/test_x.py", "")
    put(repository / ".github/scripts/test_cli.py", "")
    put(repository / "examples/first/test_it.py", "")
    assert projects(Files(repository)) == ("libs/a", "libs/b")

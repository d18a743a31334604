"""Each test's name is a claim about what `init` proposes and writes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from resilience.core.errors import UsageError
from resilience.core.records import TestExecutionMode
from resilience.home.init import inspect_repository, write
from resilience.runs.configuration import load_settings
from tests.kits.repository import SECRET, environ, full_of_things, put, with_interpreter, with_tests


def test_a_repository_is_recognised_by_what_lies_in_it(repository: Path) -> None:
    proposal = inspect_repository(full_of_things(repository) / "config")
    assert proposal.root == repository
    found = "\n".join(proposal.found)
    for words in (
        "pytest settings in pytest.ini",
        "command pytest (plain pytest): 2 tests",
        "markers staging, critical, db, slow",
        "4 variables in .env",
        "image clickhouse/clickhouse-server:24 in docker-compose.yml",
        "interpreter .venv/bin/python",
        "migration alembic upgrade head",
        "service database (.env)",
        "service redis (.env)",
        "service clickhouse",
        "service backend_api (.env)",
    ):
        assert words in found
    assert SECRET not in found + proposal.toml + "".join(proposal.questions)
    for words in (
        'commands = ["pytest"]',
        'exports = { DATABASE_URL = "{local}" }',
        'exports = { REDIS_HOST = "{host}", REDIS_PORT = "{port}" }',
        'markers = ["db"]',
        'select = "not staging"',
        'select = "critical"',
        'prepare = ["alembic upgrade head"]',
        'python = ".venv/bin/python"',
    ):
        assert words in proposal.toml
    assert any(question.startswith("backend_api: nothing stands in for it") for question in proposal.questions)


def test_a_redis_without_a_password_variable_is_stood_in_without_a_password(repository: Path) -> None:
    assert 'local = "redis://127.0.0.1:6382/0"' in inspect_repository(full_of_things(repository)).toml


def test_what_init_writes_is_a_configuration_that_can_be_used_at_once(repository: Path) -> None:
    full_of_things(repository)
    before = {path for path in repository.rglob("*") if ".git/" not in str(path)}
    written = write(inspect_repository(repository))
    assert written == (repository / "resilience.toml", repository / ".resilience/.gitignore")
    after = {path for path in repository.rglob("*") if ".git/" not in str(path)}
    assert after - before == {*written, repository / ".resilience"}
    found = load_settings(cwd=repository, environ=environ(repository))
    assert found.source == repository / "resilience.toml"
    assert set(found.modes) == set(TestExecutionMode)
    assert {service.name for service in found.services if service.critical} == {"database"}
    assert {service.name for service in found.services if not service.local} == {"backend_api"}
    assert not found.guide_variables
    for path in (found.env_file, found.outputs, found.state):
        assert path.is_relative_to(repository / ".resilience")
    status = subprocess.run(
        ["git", "-C", str(repository), "status", "--porcelain", ".resilience"],
        capture_output=True,
        timeout=20,
        check=True,
    )
    assert status.stdout == b""


def test_stagings_values_are_read_from_the_repositorys_own_file(repository: Path) -> None:
    with_tests(repository)
    put(repository / ".env.staging", f"DATABASE_URL=postgresql+asyncpg://app:{SECRET}@db.staging.example/app\n")
    write(inspect_repository(repository))
    found = load_settings(cwd=repository, environ=environ(repository))
    assert found.service("database").url.reveal() == f"postgresql+asyncpg://app:{SECRET}@db.staging.example/app"  # type: ignore[union-attr]
    assert SECRET not in (repository / "resilience.toml").read_text()


def test_settings_that_refuse_to_be_imported_without_a_variable_are_given_the_exports(repository: Path) -> None:
    with_tests(repository)
    put(
        repository / "tests/conftest.py",
        'import os\nHOST = os.environ["REDIS_HOST"]\nPORT = os.environ["REDIS_PORT"]\n',
    )
    assert "command pytest (plain pytest): 2 tests" in inspect_repository(repository, environ(repository)).found


def test_each_part_of_a_monorepo_has_its_command_and_its_interpreter(repository: Path) -> None:
    for part, count in (("services/a", 1), ("services/b", 2)):
        put(repository / part / "pyproject.toml", "")
        with_tests(repository / part, count=count)
    proposal = inspect_repository(repository)
    assert (
        'commands = ["cd services/a && .venv/bin/python -m pytest", "cd services/b && .venv/bin/python -m pytest"]'
        in proposal.toml
    )
    assert "command cd services/b && pytest (plain pytest): 2 tests" in proposal.found


def test_a_part_of_a_monorepo_without_an_environment_is_left_out_and_asked_about(repository: Path) -> None:
    put(repository / "services/a/pyproject.toml", "")
    with_tests(repository / "services/a", count=1)
    put(repository / "services/b/pyproject.toml", "")
    put(repository / "services/b/tests/test_b.py", "def test_b(): pass\n")
    proposal = inspect_repository(repository)
    assert 'commands = ["cd services/a && .venv/bin/python -m pytest"]' in proposal.toml
    assert [one for one in proposal.questions if one.startswith("services/b: its tests are left out")]


def test_a_runner_that_is_no_pytest_is_taken_as_it_is_and_said_to_be(repository: Path) -> None:
    put(repository / "Makefile", "test:\n\ttouch ran\n")
    proposal = inspect_repository(repository)
    assert 'commands = ["make test"]' in proposal.toml
    assert any("judged as one" in question for question in proposal.questions)
    assert not (repository / "ran").exists()


def test_a_repository_without_a_sign_of_a_service_gets_none(repository: Path) -> None:
    proposal = inspect_repository(with_tests(repository))
    assert "[[service]]" not in proposal.toml
    assert "no sign of a service: none is written" in proposal.found


def test_a_configuration_that_is_there_is_never_overwritten(repository: Path) -> None:
    path = put(with_tests(repository) / "resilience.toml", "# mine\n")
    proposal = inspect_repository(repository)
    assert any("is there already" in line for line in proposal.found)
    with pytest.raises(UsageError, match="nothing was written"):
        write(proposal)
    assert path.read_text() == "# mine\n"
    assert not (repository / ".resilience").exists()


def refused(root: Path) -> str:
    before = sorted(root.rglob("*"))
    with pytest.raises(UsageError) as caught:
        inspect_repository(root)
    assert sorted(root.rglob("*")) == before
    assert caught.value.hint
    return str(caught.value)


def test_a_folder_that_is_no_git_repository_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "test_a.py", "def test_a(): pass\n")
    assert "is no git repository" in refused(tmp_path)


def test_a_repository_without_tests_is_refused(repository: Path) -> None:
    put(repository / "app.py", "")
    assert "no tests were found" in refused(repository)


def test_two_configurations_are_refused_by_name(repository: Path) -> None:
    with_tests(repository)
    for name in ("resilience.toml", "config/runbook.toml"):
        put(repository / name, "")
    text = refused(repository)
    assert "resilience.toml and config/runbook.toml" in text
    assert "mv config/runbook.toml" in text


def test_an_interpreter_without_pytest_is_refused_with_what_to_type(repository: Path) -> None:
    put(repository / "tests/test_a.py", "def test_a(): pass\n")
    with_interpreter(repository, pytest=False)
    text = refused(repository)
    assert "has no pytest" in text
    assert ".venv/bin/python -m pip install pytest" in text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "[tool\n"),
        ("tox.ini", "x\n"),
        (".env", "B='x\n"),
        ("compose.yaml", "a: [b\n"),
    ],
)
def test_each_file_that_cannot_be_read_is_named_and_nothing_is_written(repository: Path, name: str, text: str) -> None:
    put(with_tests(repository) / name, text)
    said = refused(repository)
    assert f"{name}:" in said
    assert "sed -n" in said


def test_stagings_own_values_are_given_to_no_test_unless_somebody_says_yes_to_the_named_variables(
    repository: Path,
) -> None:
    proposal = inspect_repository(full_of_things(repository))
    assert {"DATABASE_URL", "REDIS_HOST"} <= set(proposal.exported)
    write(proposal)
    assert not load_settings(repository / "resilience.toml").staging_exports
    (repository / "resilience.toml").unlink()
    write(proposal.with_staging_exports())
    assert load_settings(repository / "resilience.toml").staging_exports

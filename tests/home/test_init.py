"""Each test's name is a claim about what `init` proposes and writes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from resilience.core.errors import UsageError
from resilience.core.records import TestExecutionMode
from resilience.home.init import inspect_repository, write
from resilience.runs.configuration import load_settings
from tests.kits.repository import SECRET, environ, full_of_things, put


def test_a_repository_is_recognised_by_what_lies_in_it(repository: Path) -> None:
    proposal = inspect_repository(full_of_things(repository) / "config")
    assert proposal.root == repository
    found = "\n".join(proposal.found)
    for words in (
        "pytest settings in pytest.ini",
        "tests in tests, checks",
        "markers staging, critical, db, slow",
        "4 variables in .env",
        "image clickhouse/clickhouse-server:24 in docker-compose.yml",
        "interpreter .venv/bin/python",
        "services: database, redis, clickhouse, backend_api",
    ):
        assert words in found
    assert SECRET not in found + proposal.toml
    for words in (
        'commands = ["pytest tests checks"]',
        'exports = { DATABASE_URL = "{local}" }',
        'exports = { REDIS_HOST = "{host}", REDIS_PORT = "{port}" }',
        'exports = { API_BASE_URL = "http://{host}:{port}" }',
        'markers = ["db"]',
        'select = "not staging"',
        'select = "critical"',
        '# prepare = ["alembic upgrade head"]',
        'python = ".venv/bin/python"',
    ):
        assert words in proposal.toml


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
    assert all(service.local for service in found.services)
    for path in (found.env_file, found.outputs, found.state):
        assert path.is_relative_to(repository / ".resilience")
    status = subprocess.run(
        ["git", "-C", str(repository), "status", "--porcelain", ".resilience"],
        capture_output=True,
        timeout=20,
        check=True,
    )
    assert status.stdout == b""


def test_a_configuration_that_is_there_is_never_overwritten(repository: Path) -> None:
    path = put(repository / "resilience.toml", "# mine\n")
    proposal = inspect_repository(repository)
    assert any("is there already" in line for line in proposal.found)
    with pytest.raises(UsageError, match="nothing was written"):
        write(proposal)
    assert path.read_text() == "# mine\n"
    assert not (repository / ".resilience").exists()


def test_an_empty_repository_gets_two_services_to_fill_in(tmp_path: Path) -> None:
    proposal = inspect_repository(tmp_path)
    assert 'name = "database"' in proposal.toml
    assert 'name = "backend_api"' in proposal.toml


def test_stagings_own_values_are_given_to_no_test_unless_somebody_says_yes_to_the_named_variables(
    repository: Path,
) -> None:
    proposal = inspect_repository(full_of_things(repository))
    assert {"DATABASE_URL", "REDIS_HOST", "API_BASE_URL"} <= set(proposal.exported)
    write(proposal)
    assert not load_settings(repository / "resilience.toml").staging_exports
    (repository / "resilience.toml").unlink()
    write(proposal.with_staging_exports())
    assert load_settings(repository / "resilience.toml").staging_exports

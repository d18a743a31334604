"""Each test's name is a claim about what `init` proposes and what `doctor` says."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resilience.core.errors import UsageError
from resilience.core.records import (
    ConnectivityResult,
    ConnectivityStatus,
    FaultCode,
    Phase,
    Phases,
    ServiceType,
    TestExecutionMode,
)
from resilience.home.setup import Finding, diagnose, inspect_repository, write
from resilience.runs.configuration import load_settings

SECRET = "Zk-never-shown-9"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=20)
    return tmp_path


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def by_what(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


def environ(path: Path) -> dict[str, str]:
    return {"HOME": str(path), "PATH": os.environ["PATH"]}


def full_of_things(root: Path) -> Path:
    put(
        root / "pytest.ini",
        "[pytest]\ntestpaths = tests checks\nmarkers =\n  staging: needs it\n  critical: x\n  db\n  slow\n",
    )
    put(root / ".env", f"DATABASE_URL=postgresql://u:{SECRET}@h/d\nREDIS_HOST=h\nREDIS_PORT=1\nAPI_BASE_URL=http://h\n")
    put(root / "config/.env.ci", f"OPENAI_API_KEY={SECRET}\nBROKEN LINE\n")
    put(root / "docker-compose.yml", "services:\n  ch:\n    image: 'clickhouse/clickhouse-server:24' # x\n")
    put(root / "alembic.ini", "")
    put(root / ".venv/bin/python", "#!/bin/sh\n").chmod(0o755)
    return root


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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\ntestpaths = here\nmarkers = critical: x\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\ntestpaths = ["here"]\nmarkers = ["critical: x"]\n'),
        ("pyproject.toml", '[tool.pytest]\ntestpaths = ["here"]\nmarkers = ["critical: x"]\n'),
        ("tox.ini", "[tox]\n[pytest]\ntestpaths = here\nmarkers =\n    critical: 100% x\n"),
        ("setup.cfg", "[tool:pytest]\ntestpaths = here\nmarkers =\n    critical\n"),
    ],
)
def test_pytests_settings_are_read_wherever_pytest_reads_them(repository: Path, name: str, text: str) -> None:
    put(repository / name, text)
    proposal = inspect_repository(repository)
    assert proposal.found[:3] == (f"pytest settings in {name}", "tests in here", "markers critical")


@pytest.mark.parametrize("text", ["", "[tool", "\x00", "[pytest\n"])
def test_files_that_cannot_be_read_are_passed_over(repository: Path, text: str) -> None:
    for name in ("pyproject.toml", "tox.ini", "setup.cfg", ".env", "compose.yaml"):
        put(repository / name, text)
    assert inspect_repository(repository).toml


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


def test_doctor_says_of_each_service_what_is_unset_and_what_to_type(repository: Path) -> None:
    write(inspect_repository(full_of_things(repository)))
    found = by_what(diagnose(load_settings(cwd=repository, environ=environ(repository)), environ=environ(repository)))
    service = found["service database"]
    assert not service.ok
    assert service.found == "not configured, unset: STAGING_DATABASE_URL"
    assert service.hint == "export STAGING_DATABASE_URL=…"
    assert found["drill"].hint == "resilience drill database-unavailable"
    assert found["configuration"].ok
    assert found["interpreter"].ok
    assert found["env file"].ok
    assert "stand-in of database" in found
    assert all(finding.hint for finding in found.values() if not finding.ok)


def test_doctor_points_to_a_variable_that_is_almost_the_one(repository: Path) -> None:
    write(inspect_repository(full_of_things(repository)))
    env = {**environ(repository), "STAGING_DATABASE_URI": SECRET}
    found = by_what(diagnose(load_settings(cwd=repository, environ=env), environ=env))["service database"].found
    assert found.endswith("STAGING_DATABASE_URL; STAGING_DATABASE_URI is set")
    assert SECRET not in found


def test_doctor_says_what_a_look_found(repository: Path) -> None:
    write(inspect_repository(full_of_things(repository)))
    env = {
        **environ(repository),
        "STAGING_DATABASE_URL": "postgresql://u:p@db.example/d",
        "STAGING_REDIS_URL": "redis://r.example",
    }
    result = ConnectivityResult(
        name="database",
        type=ServiceType.POSTGRESQL,
        status=ConnectivityStatus.UNAVAILABLE,
        fault=FaultCode.TCP_TIMEOUT,
        phase=Phase.TCP,
        retryable=True,
        infrastructure=True,
        response_time_s=5.0,
        phases=Phases(),
        endpoint="db.example:5432",
        critical=True,
        detail="connect time-out",
        hint="look at the VPC connector",
        started_at=datetime.now(UTC),
    )
    found = by_what(diagnose(load_settings(cwd=repository, environ=env), results=[result], environ=env))
    assert found["service database"].found == "unavailable after 5.00 s: connect time-out"
    assert found["service database"].hint == "look at the VPC connector"
    assert found["service redis"].found == "configured, not asked"


def test_doctor_sees_a_drill_a_stale_shell_and_a_missing_command(repository: Path) -> None:
    put(repository / "resilience.toml", "[modes.full]\ncommands = ['no-such-command-here tests', 'A=1 sh -c true']\n")
    put(repository / "outputs/2026-11-22/031407Z-drill/incident.json", json.dumps({"drill": "database-unavailable"}))
    put(repository / "outputs/2026-11-23/031407Z-cut/incident.json", "{")
    env = {**environ(repository), "RESILIENCE_APPLIED": "some-run"}
    found = by_what(diagnose(load_settings(cwd=repository, environ=env), environ=env))
    assert found["drill"].found == "database-unavailable on 2026-11-22"
    assert found["this shell"].hint == 'eval "$(resilience env --unset)"'
    assert "some-run" in found["this shell"].found
    assert "no-such-command-here, of mode full" in found["test commands"].found
    assert found["git"].hint.startswith("echo ")


def test_doctor_points_to_lines_that_a_shell_reads_differently(repository: Path) -> None:
    lines = ("A=plain", "B='a b $c'", 'C="a b"', "# D=$x", "E=$HOME", "F=a b", "G = x", 'H="$x"', "I=a # comment", "J=")
    put(repository / "resilience.toml", "")
    put(repository / ".env.test.local", "\n".join(lines) + "\n")
    found = diagnose(load_settings(cwd=repository, environ=environ(repository)), environ=environ(repository))
    told = [finding for finding in found if "read differently" in finding.found]
    assert [finding.what for finding in told] == [f".env.test.local:{number}" for number in (5, 6, 7, 8)]
    assert told[0].hint.startswith("E='…'")


def test_doctor_knows_that_the_configuration_is_not_ones_own(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    found = by_what(diagnose(load_settings(cwd=tmp_path, environ=environ(tmp_path)), environ=environ(tmp_path)))
    assert found["configuration"].hint == "resilience init"
    assert list(tmp_path.iterdir()) == [tmp_path / ".git"]

"""Each test's name is a claim about what is seen in a repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.home.init import inspect_repository
from resilience.home.repository import look_at
from tests.kits.repository import SECRET, full_of_things, put


def test_all_that_a_configuration_can_be_made_from_is_seen_and_no_value_of_a_variable(repository: Path) -> None:
    seen = look_at(full_of_things(repository))
    assert seen.settings_file == "pytest.ini"
    assert seen.tests == ("tests", "checks")
    assert seen.markers == ("staging", "critical", "db", "slow")
    assert seen.variables[".env"] == ("DATABASE_URL", "REDIS_HOST", "REDIS_PORT", "API_BASE_URL")
    assert seen.images == (("clickhouse/clickhouse-server:24", "docker-compose.yml"),)
    assert seen.python == ".venv/bin/python"
    assert seen.migration == "alembic upgrade head"
    assert "REDIS_HOST" in seen.names
    assert SECRET not in repr(seen)


def test_an_empty_repository_has_nothing_of_it(repository: Path) -> None:
    seen = look_at(repository)
    assert (seen.settings_file, seen.tests, seen.markers, seen.images) == ("", (), (), ())
    assert (seen.python, seen.migration, seen.names) == ("", "", frozenset())


def test_the_migration_tool_is_known_by_its_file(repository: Path) -> None:
    put(repository / "manage.py", "")
    assert look_at(repository).migration == "python manage.py migrate"


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
    seen = look_at(repository)
    assert (seen.settings_file, seen.tests, seen.markers) == (name, ("here",), ("critical",))
    proposal = inspect_repository(repository)
    assert proposal.found[:3] == (f"pytest settings in {name}", "tests in here", "markers critical")


@pytest.mark.parametrize("text", ["", "[tool", "\x00", "[pytest\n"])
def test_files_that_cannot_be_read_are_passed_over(repository: Path, text: str) -> None:
    for name in ("pyproject.toml", "tox.ini", "setup.cfg", ".env", "compose.yaml"):
        put(repository / name, text)
    assert look_at(repository).markers == ()
    assert inspect_repository(repository).toml

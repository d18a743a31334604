"""Each test's name is a claim about what is seen in a repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.home.repository import look_at
from tests.kits.repository import SECRET, full_of_things, put, with_interpreter


def test_all_that_a_configuration_can_be_made_from_is_seen_and_no_value_of_a_variable(repository: Path) -> None:
    seen = look_at(full_of_things(repository))
    assert seen.settings_file == "pytest.ini"
    assert seen.tests == ("tests/test_shop.py",)
    assert seen.markers == ("staging", "critical", "db", "slow")
    assert seen.signs.counts == {".env": 4, "config/.env.ci": 1}
    assert [one.image for one in seen.signs.images] == ["clickhouse/clickhouse-server:24"]
    assert seen.python == ".venv/bin/python"
    assert seen.migrations == ("alembic upgrade head",)
    assert seen.broken == ()
    assert SECRET not in repr(seen)


def test_an_empty_repository_has_nothing_of_it(repository: Path) -> None:
    seen = look_at(repository)
    assert (seen.settings_file, seen.tests, seen.markers, seen.signs.images) == ("", (), (), ())
    assert (seen.python, seen.migrations, seen.signs.variables) == ("", (), ())


def test_migrations_are_known_by_their_files_wherever_they_lie(repository: Path) -> None:
    put(repository / "backend/alembic.ini", "")
    put(repository / "site/manage.py", "import django\n")
    put(repository / "manage.py", "print('of another kind')\n")
    assert look_at(repository).migrations == (
        "cd backend && alembic upgrade head",
        "cd site && python manage.py migrate --noinput --skip-checks",
    )


def test_flask_migrates_alembic_is_not_run_without_its_application(repository: Path) -> None:
    put(repository / "migrations/alembic.ini", "")
    put(repository / "migrations/env.py", "from flask import current_app\n")
    put(repository / "other/alembic.ini", "")
    put(repository / "other/env.py", "from alembic import context\n")
    seen = look_at(repository)
    assert seen.of_flask == ("migrations",)
    assert seen.migrations == ("cd other && alembic upgrade head",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "--ds=shop.settings.test --reuse-db"\n'),
        ("pytest.ini", "[pytest]\nDJANGO_SETTINGS_MODULE = shop.settings.test\n"),
    ],
)
def test_django_migrates_with_the_settings_of_the_tests(repository: Path, name: str, text: str) -> None:
    put(repository / name, text)
    put(repository / "manage.py", "import django\n")
    assert look_at(repository).migrations == (
        "DJANGO_SETTINGS_MODULE=shop.settings.test python manage.py migrate --noinput --skip-checks",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\nmarkers = critical: x\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\nmarkers = ["critical: x"]\n'),
        ("pyproject.toml", '[tool.pytest]\nmarkers = ["critical: x"]\n'),
        ("tox.ini", "[tox]\n[pytest]\nmarkers =\n    critical: 100% x\n"),
        ("setup.cfg", "[tool:pytest]\nmarkers =\n    critical\n"),
    ],
)
def test_pytests_settings_are_read_wherever_pytest_reads_them(repository: Path, name: str, text: str) -> None:
    put(repository / name, text)
    seen = look_at(repository)
    assert (seen.settings_file, seen.markers) == (name, ("critical",))


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("pyproject.toml", "[tool\n", "pyproject.toml:1: "),
        ("tox.ini", "x = 1\n[tox]\n", "tox.ini:1: "),
        ("setup.cfg", "[a]\nb\n", "setup.cfg:2: "),
    ],
)
def test_settings_that_cannot_be_read_are_named_by_line(repository: Path, name: str, text: str, place: str) -> None:
    put(repository / name, text)
    [sentence] = look_at(repository).broken
    assert sentence.startswith(place)
    assert f"Hint: sed -n {place.split(':')[1]}p {name}" in sentence


def test_drivers_are_known_by_what_a_repository_depends_on(repository: Path) -> None:
    put(repository / "requirements/base.txt", "psycopg2-binary==2.9\n")
    put(repository / "pyproject.toml", '[project]\ndependencies = ["redis[hiredis]>=5"]\n')
    assert {"psycopg2", "redis"} <= look_at(repository).dependencies


def test_a_part_of_a_monorepo_has_its_own_interpreter(repository: Path) -> None:
    for part in ("services/a", "services/b"):
        put(repository / part / "pyproject.toml", "")
        put(repository / part / "tests/test_a.py", "")
    with_interpreter(repository / "services/a")
    seen = look_at(repository)
    assert seen.projects == ("services/a", "services/b")
    assert seen.pythons == {"services/a": "services/a/.venv/bin/python"}
    assert seen.python == ""

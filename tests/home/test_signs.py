"""Each test's name is a claim about what points to a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.home.signs import Image, Literal, Signs, read_signs
from resilience.home.walk import Files
from tests.kits.repository import SECRET, put


def signs(root: Path) -> Signs:
    return read_signs(Files(root))


def told(found: Signs) -> dict[str, str]:
    return {one.name: one.scheme for one in found.variables}


def test_of_env_files_wherever_they_lie_names_and_schemes_are_kept_and_no_value(repository: Path) -> None:
    put(repository / ".env", f"DATABASE_URL=postgresql+asyncpg://u:{SECRET}@db/app\nPLAIN={SECRET}\n")
    put(repository / ".envs/.local/.django", "REDIS_URL=redis://r:6379/3\n")
    put(repository / "backend/config/app.env", "A=1\n")
    found = signs(repository)
    assert told(found) == {"DATABASE_URL": "postgresql+asyncpg", "PLAIN": "", "REDIS_URL": "redis", "A": ""}
    assert found.counts == {".env": 2, ".envs/.local/.django": 1, "backend/config/app.env": 1}
    assert next(one.path for one in found.variables if one.name == "REDIS_URL") == "/3"
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "line",
    [
        'os.environ["DATABASE_URL"]',
        'os.environ.get("DATABASE_URL")',
        'os.getenv("DATABASE_URL", "postgres://h/d")',
        'env.db("DATABASE_URL", default="postgres://h/d")',
        'config("DATABASE_URL", cast=str)',
        'dj_database_url.config(env="DATABASE_URL")',
    ],
)
def test_what_code_reads_from_its_environment_is_seen_whatever_reads_it(repository: Path, line: str) -> None:
    put(repository / "app/settings.py", f"import os\nX = {line}\n")
    found = told(signs(repository))
    assert found == {"DATABASE_URL": "postgres" if "postgres://" in line else ""}


def test_what_a_test_sets_is_not_what_the_code_reads(repository: Path) -> None:
    put(repository / "tests/test_a.py", 'import os\nos.environ["REDIS_HOST"] = "x"\n')
    assert told(signs(repository)) == {}


@pytest.mark.parametrize(
    "config", ["model_config = SettingsConfigDict(env_prefix='shop_')", "class Config:\n        env_prefix = 'shop_'"]
)
def test_fields_of_a_pydantic_settings_class_are_variables_with_its_prefix(repository: Path, config: str) -> None:
    put(
        repository / "s.py",
        f"class S(BaseSettings):\n    {config}\n    db_host: str = 'localhost'\n    DB_PORT: int = 5432\n",
    )
    assert set(told(signs(repository))) == {"SHOP_DB_HOST", "SHOP_DB_PORT"}


def test_compose_is_read_in_flow_style_with_anchors_and_tags_of_its_own(repository: Path) -> None:
    put(
        repository / "deploy/compose.yaml",
        "x-env: &env {DATABASE_URL: 'postgres://db/app'}\n"
        "services: {db: {image: 'postgres:16', ports: ['127.0.0.1:5439:5432'], environment: {POSTGRES_PASSWORD: x}},\n"
        "  app: {build: ., environment: *env, ports: !reset []}}\n",
    )
    found = signs(repository)
    assert found.images == (Image(image="postgres:16", where="deploy/compose.yaml", ports=((5439, 5432),)),)
    assert {one.name: one.is_read for one in found.variables} == {"DATABASE_URL": True, "POSTGRES_PASSWORD": False}


def test_ci_names_services_with_their_ports_and_what_its_steps_set(repository: Path) -> None:
    put(
        repository / ".github/workflows/ci.yml",
        "jobs:\n  t:\n    services:\n      r:\n        image: redis\n        ports: ['6379:6379']\n"
        "    steps:\n    - run: pytest\n      env: {PGHOST: localhost}\n",
    )
    found = signs(repository)
    assert [(one.image, one.ports) for one in found.images] == [("redis", ((6379, 6379),))]
    assert [(one.name, one.is_read) for one in found.variables] == [("PGHOST", True)]


def test_a_server_written_into_code_is_seen_without_its_password(repository: Path) -> None:
    put(
        repository / "tests/test_shop.py",
        f'URL = "postgres://me:{SECRET}@localhost:5433/shop"\nO = "redis://cache.example/0"\n',
    )
    found = signs(repository)
    assert found.literals == (
        Literal(scheme="postgres", where="tests/test_shop.py", user="me", port=5433, database="shop"),
    )
    assert SECRET not in repr(found)


def test_a_server_that_a_conftest_names_as_a_constant_is_fixed_with_its_password(repository: Path) -> None:
    put(
        repository / "tests/conftest.py",
        f'URL: str = "redis://:{SECRET}@localhost:6380/1"\ndef other(): return "redis://:{SECRET}@localhost:6381"\n',
    )
    found = signs(repository)
    assert [(one.port, one.is_fixed, one.password) for one in found.literals] == [
        (6380, True, SECRET),
        (6381, False, ""),
    ]
    assert SECRET not in repr(found)


def test_an_entrypoint_says_which_variable_takes_the_value_of_which(repository: Path) -> None:
    put(repository / "docker/entrypoint", '#!/bin/sh\nexport CELERY_BROKER_URL="${REDIS_URL}"\n')
    [one] = signs(repository).variables
    assert (one.name, one.same_as) == ("CELERY_BROKER_URL", "REDIS_URL")


def test_tox_sets_variables_and_lets_them_through(repository: Path) -> None:
    put(repository / "tox.ini", "[testenv]\nsetenv =\n    PGHOST=localhost\npassenv = REDIS_URL, HOME\n")
    assert set(told(signs(repository))) == {"PGHOST", "REDIS_URL", "HOME"}


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [(".env", "A=1\nB='x\n", ".env:2"), ("compose.yaml", "services:\n  a: [b\n", "compose.yaml:3")],
)
def test_a_file_that_cannot_be_read_is_named_by_line_and_an_example_is_passed_over(
    repository: Path, name: str, text: str, place: str
) -> None:
    put(repository / name, text)
    put(repository / ".env.example", "B='x\n")
    [sentence] = signs(repository).broken
    assert place in sentence
    assert "Hint: sed -n " in sentence

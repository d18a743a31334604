"""Each test's name is a claim about which services are guessed, and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.kind import Kind
from resilience.core.urls import url_parts
from resilience.home.guessing import Guess, Guesses, guess
from resilience.home.repository import look_at
from resilience.services.registry import KINDS
from tests.kits.repository import put


def guessed(root: Path) -> Guesses:
    seen = look_at(root)
    return guess(seen.signs, seen.dependencies, KINDS)


def one(root: Path) -> Guess:
    [service] = guessed(root).services
    return service


def test_no_sign_of_a_service_is_no_service(repository: Path) -> None:
    put(
        repository / ".env",
        "SECRET_KEY=x\nDEBUG=1\nDATABASE_URL=sqlite:///db.sqlite3\nSENTRY_DSN=https://a@sentry.io/1\n",
    )
    put(repository / "pyproject.toml", '[project]\ndependencies = ["redis"]\n')
    assert guessed(repository) == Guesses(services=(), questions=())


@pytest.mark.parametrize(
    ("value", "exported"),
    [
        ("postgresql://u:p@h/d", "{local}"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}"),
        ("postgres://u:p@h/d", "postgres://{user}:{password}@{host}:{port}/{database}"),
    ],
)
def test_the_scheme_of_the_driver_is_kept(repository: Path, value: str, exported: str) -> None:
    put(repository / ".env", f"DATABASE_URL={value}\n")
    service = one(repository)
    assert service.kind.name == "postgresql"
    assert dict(service.exports) == {"DATABASE_URL": exported}


def test_the_number_of_a_database_is_kept_and_a_broker_is_the_redis_it_leads_to(repository: Path) -> None:
    put(repository / ".env", "REDIS_URL=redis://r/0\nCELERY_BROKER_URL=redis://r/1\nCACHE_URL=rediss://r/2\n")
    assert dict(one(repository).exports) == {
        "REDIS_URL": "{local}",
        "CELERY_BROKER_URL": "redis://:{password}@{host}:{port}/1",
        "CACHE_URL": "redis://:{password}@{host}:{port}/2",
    }


def test_a_variable_of_another_server_is_not_handed_the_databases_user(repository: Path) -> None:
    put(
        repository / "tests/conftest.py",
        "import os\n"
        + "".join(
            f'os.environ.get("SQLALCHEMY_TEST_{name}", "")\n'
            for name in (
                "DB",
                "POSTGRESQL_HOST",
                "POSTGRESQL_USER",
                "POSTGRESQL_PASSWORD",
                "MONGODB_USER",
                "MSSQL_PASSWORD",
            )
        )
        + 'url = "postgresql://{}:{}@{}/{}"\n',
    )
    exports = dict(one(repository).exports)
    assert exports["SQLALCHEMY_TEST_POSTGRESQL_USER"] == "{user}"
    assert not [name for name in exports if "MONGODB" in name or "MSSQL" in name]


def test_exports_hold_every_part_that_the_code_reads(repository: Path) -> None:
    put(
        repository / "settings.py",
        "import os\nDB = [os.environ[n] for n in ()]\n"
        + "".join(f'os.environ["DB_{part}"]\n' for part in ("HOST", "PORT", "USER", "PASS", "NAME")),
    )
    put(repository / "requirements.txt", "psycopg[binary]\n")
    service = one(repository)
    assert dict(service.exports) == {
        "DB_HOST": "{host}",
        "DB_PORT": "{port}",
        "DB_USER": "{user}",
        "DB_PASS": "{password}",
        "DB_NAME": "{database}",
    }
    assert guessed(repository).questions == ()


def test_what_no_variable_hands_on_is_as_the_code_has_it_or_asked_for(repository: Path) -> None:
    put(repository / "settings.py", 'import os\nos.environ["POSTGRES_HOST"]\nos.environ["POSTGRES_PASSWORD"]\n')
    found = guessed(repository)
    [service] = found.services
    assert ":5432/" in service.local, "the port that the code has, as nothing hands on another"
    assert dict(service.exports)["PGUSER"] == "{user}"
    assert any("database" in question for question in found.questions)


def test_what_the_client_library_reads_by_itself_is_exported_whole(repository: Path) -> None:
    put(repository / ".github/workflows/ci.yml", "jobs: {t: {steps: [{run: pytest, env: {PGHOST: localhost}}]}}\n")
    service = one(repository)
    assert set(dict(service.exports)) == {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"}
    assert ":5435/" in service.local


def test_a_name_that_others_use_too_counts_only_with_another_sign(repository: Path) -> None:
    put(repository / "settings.py", 'import os\nos.environ["DB_HOST"]\n')
    assert guessed(repository).services == ()
    put(repository / "compose.yml", "services: {db: {image: 'postgres:16'}}\n")
    assert one(repository).name == "database"


def test_a_server_written_into_the_tests_is_stood_in_for_where_they_look_for_it(repository: Path) -> None:
    put(repository / "tests/conftest.py", 'URL = "redis://localhost:6390"\n')
    service = one(repository)
    assert service.local == "redis://127.0.0.1:6390/0"
    assert service.exports == ()
    assert service.url == "${STAGING_REDIS_URL}"


def test_the_user_and_the_database_written_into_the_tests_are_the_stand_ins(repository: Path) -> None:
    put(repository / "tests/conftest.py", 'URL = "postgres://postgres@localhost/shop"\n')
    service = one(repository)
    assert service.local == "postgresql://postgres:local-stand-in-only@127.0.0.1:5432/shop"
    assert dict(service.exports) == {"PGPASSWORD": "{password}"}


def test_an_image_alone_is_a_service_on_its_usual_port_and_a_question(repository: Path) -> None:
    put(repository / "compose.yml", "services: {cache: {image: 'docker.io/valkey/valkey:8'}}\n")
    found = guessed(repository)
    assert [service.local for service in found.services] == ["redis://127.0.0.1:6379/0"]
    assert "no variable says where the tests look for it" in found.questions[0]


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.templates and not kind.is_mocked], ids=lambda kind: kind.name
)
def test_each_kind_is_known_by_the_name_of_its_host_alone(repository: Path, kind: Kind) -> None:
    """Kinds whose servers have no database ended `init` with an AssertionError, and some names were taken for nobody's."""
    word = (kind.templates[0].words or kind.templates[0].vague_words)[0]
    put(repository / "settings.py", f'import os\nos.environ["{word}_HOST"]\n')
    service = one(repository)
    assert (service.kind, dict(service.exports)[f"{word}_HOST"]) == (kind, "{host}")
    assert url_parts(service.local, kind).host == "127.0.0.1"


@pytest.mark.parametrize("value", ["mssql://u:p@h/d", "cassandra://u:p@h/d", "oracle://h/d"])
def test_what_nothing_here_stands_in_for_is_a_question(repository: Path, value: str) -> None:
    put(repository / ".env", f"DATABASE_URL={value}\n")
    found = guessed(repository)
    assert found.services == ()
    [question] = found.questions
    assert question.startswith(f"DATABASE_URL (.env) is {value.partition('://')[0]}://")
    assert "u:p" not in question


def test_services_over_http_are_told_apart_have_no_stand_in_and_a_vendors_is_none(repository: Path) -> None:
    put(
        repository / ".env",
        "API_BASE_URL=http://api.internal\nPAYMENTS_API_URL=http://pay:8000\nWS_URL=ws://ws/\nAUTH_URL=http://auth:8080\n"
        "MAPS_API_URL=https://maps.vendor.com\nVITE_API_URL=http://x\nOPENAI_API_KEY=k\nSERVER_PORT=80\n",
    )
    found = {service.name: service for service in guessed(repository).services}
    assert set(found) == {"backend_api", "payments_api", "auth_service", "websocket"}
    assert all(service.local == "" and service.exports == () for service in found.values())
    assert found["payments_api"].url == "${STAGING_PAYMENTS_API_URL}"
    assert found["backend_api"].url == "${STAGING_BACKEND_URL}"


@pytest.mark.parametrize("path", [".env.staging", ".envs/.staging/.django", "config/staging.env"])
def test_stagings_values_are_found_where_they_lie(repository: Path, path: str) -> None:
    put(repository / ".env", "POSTGRES_HOST=db\nREDIS_URL=redis://r\n")
    put(
        repository / path,
        "POSTGRES_HOST=s\nPOSTGRES_PORT=1\nPOSTGRES_USER=u\nPOSTGRES_PASSWORD=p\nPOSTGRES_DB=d\nREDIS_URL=redis://s\n",
    )
    found = guessed(repository)
    assert found.staging_env == path
    assert {service.name: service.url for service in found.services} == {
        "database": "postgresql://${POSTGRES_USER}:${POSTGRES_PASSWORD}@${POSTGRES_HOST}:${POSTGRES_PORT}/${POSTGRES_DB}",
        "redis": "${REDIS_URL}",
    }


def test_variables_named_after_staging_are_its_address_and_are_not_exported(repository: Path) -> None:
    put(repository / ".env", "STAGING_POSTGRES_HOST=s\nSTAGING_POSTGRES_USER=u\nPOSTGRES_URL=postgresql://h/d\n")
    service = one(repository)
    assert service.url == "postgresql://${STAGING_POSTGRES_USER}@${STAGING_POSTGRES_HOST}"
    assert dict(service.exports) == {"POSTGRES_URL": "{local}"}


def test_a_variable_named_by_its_kind_alone_holds_a_whole_address(repository: Path) -> None:
    put(repository / "settings.py", 'import os\nos.environ.get("SHOP_REDIS")\nos.environ.get("SHOP_SEARCH")\n')
    put(repository / "compose.yml", "services: {app: {build: ., environment: {SHOP_REDIS: 'redis://broker:6379'}}}\n")
    assert dict(one(repository).exports) == {"SHOP_REDIS": "{local}"}


def test_of_a_matrix_of_databases_the_one_with_a_stand_in_is_taken(repository: Path) -> None:
    for name, value in (("mysql", "mysql+pymysql://root@h/d"), ("postgres", "postgres://postgres@h/d")):
        put(
            repository / f".github/workflows/{name}.yml",
            f"jobs: {{t: {{steps: [{{run: pytest, env: {{SHOP_DATABASE_URL: '{value}'}}}}]}}}}\n",
        )
    put(repository / "compose.yml", "services: {db: {image: 'postgres:16'}}\n")
    found = guessed(repository)
    [service] = found.services
    assert dict(service.exports) == {
        "SHOP_DATABASE_URL": "postgres://{user}:{password}@{host}:{port}/{database}",
    }
    assert found.questions == ()


def test_a_team_whose_tests_use_a_file_is_not_given_a_server(repository: Path) -> None:
    put(repository / "settings.py", 'import os\nos.environ.get("SHOP_DATABASE_URL", "sqlite:///test.db")\n')
    put(repository / "z.env", "SHOP_DATABASE_URL=postgres://h/d\n")
    assert guessed(repository).services == ()


def test_each_port_that_a_conftest_names_gets_a_stand_in_beside_the_one_that_variables_lead_to(
    repository: Path,
) -> None:
    put(repository / "app/settings.py", 'import os\nos.environ["DATABASE_URL"]\n')
    put(repository / ".env", "DATABASE_URL=postgres://h/d\n")
    put(
        repository / "a/tests/conftest.py",
        'URI = "postgres://me:pw@localhost:5441/"\nSAME = "postgres://localhost:5441/x"\n',
    )
    put(repository / "b/tests/conftest.py", 'def uri(): return "postgres://me:pw@localhost:5443/"\n')
    found = guessed(repository)
    assert [(one.name, one.local) for one in found.services] == [
        ("database", "postgresql://resilience:local-stand-in-only@127.0.0.1:5435/resilience_test"),
        ("database_5441", "postgresql://me:pw@127.0.0.1:5441/me"),
    ]
    assert found.services[1].exports == ()
    assert found.services[1].url == found.services[0].url


def test_the_password_that_a_conftest_has_is_the_stand_ins(repository: Path) -> None:
    put(repository / "tests/conftest.py", 'URL = "postgres://me:pw@localhost/shop"\n')
    service = one(repository)
    assert (service.local, service.exports) == ("postgresql://me:pw@127.0.0.1:5432/shop", ())
    [question] = guessed(repository).questions
    assert question.startswith("database: `local` holds the password that tests/conftest.py has as a constant"), (
        question
    )
    assert "pw" not in question.replace("password", ""), "said, and not shown once more"


@pytest.mark.parametrize(
    ("image", "local"),
    [
        ("postgres:16", "postgresql://resilience:local-stand-in-only@127.0.0.1:5432/resilience_test"),
        ("valkey/valkey:8", "redis://127.0.0.1:6379/0"),
        ("mariadb:11", "mysql://127.0.0.1:3306/app_test"),
        ("rabbitmq:4-management", "amqp://127.0.0.1:5672/"),
        ("memcached:1.6", "memcached://127.0.0.1:11211"),
        ("axllent/mailpit", "smtp://127.0.0.1:25"),
    ],
)
def test_an_image_alone_of_any_kind_is_stood_in_for_where_its_clients_look_by_themselves(
    repository: Path, image: str, local: str
) -> None:
    put(repository / "compose.yml", f"services: {{it: {{image: '{image}'}}}}\n")
    assert [service.local for service in guessed(repository).services] == [local]


def test_a_matrix_of_databases_gives_each_server_its_own_variables(repository: Path) -> None:
    names = ("PG_HOST", "PG_USER", "PG_PASSWORD", "MYSQL_HOST", "MYSQL_USER", "MYSQL_PASSWORD", "AMQP_URL")
    put(repository / "tests/conftest.py", "import os\n" + "".join(f'os.environ["{name}"]\n' for name in names))
    by_kind = {service.kind.name: dict(service.exports) for service in guessed(repository).services}
    assert by_kind["mysql"] == {"MYSQL_HOST": "{host}", "MYSQL_USER": "{user}", "MYSQL_PASSWORD": "{password}"}
    assert by_kind["rabbitmq"] == {"AMQP_URL": "{local}"}
    assert not [name for name in by_kind["postgresql"] if "MYSQL" in name or "AMQP" in name]


def test_a_vague_name_is_the_mysql_that_the_driver_speaks_for(repository: Path) -> None:
    put(repository / "settings.py", 'import os\nos.environ["DB_HOST"]\nos.environ["DB_USER"]\n')
    put(repository / "requirements.txt", "pymysql\n")
    service = one(repository)
    assert service.kind.name == "mysql"
    assert dict(service.exports) == {"DB_HOST": "{host}", "DB_USER": "{user}"}
    assert service.local == "mysql://app@127.0.0.1:3306/app_test", "no password is handed on, so it has none"


def test_a_cluster_and_its_sentinels_are_asked_about_as_one_server_does_not_stand_in_for_them(repository: Path) -> None:
    put(
        repository / "tests/conftest.py",
        'import os\nos.environ.get("TEST_REDIS_URL", "redis://localhost:7000")\n'
        'os.environ.get("TEST_REDIS_CLUSTER_URL", "redis://localhost:7001")\n'
        'os.environ.get("TEST_REDIS_SENTINEL_MASTER_NAME", "mymaster")\n',
    )
    assert dict(one(repository).exports) == {"TEST_REDIS_URL": "{local}"}
    [question] = guessed(repository).questions
    assert "TEST_REDIS_CLUSTER_URL (tests/conftest.py) leads to several servers" in question


def test_the_longest_word_says_which_part_a_variable_is(repository: Path) -> None:
    names = ("POSTGRES_HOSTNAME", "POSTGRES_USERNAME", "POSTGRES_DBNAME", "POSTGRES_DATABASE_NAME", "POSTGRES_PASSWD")
    put(
        repository / "settings.py",
        "import os\n" + "".join(f'os.environ["{name}"]\n' for name in (*names, "SHOP_DBNAME")),
    )
    exports = dict(one(repository).exports)
    assert exports["SHOP_DBNAME"] == "{database}", "its DB says that it is a database's"
    assert [exports[name] for name in names] == ["{host}", "{user}", "{database}", "{database}", "{password}"]


def test_of_ports_in_the_tests_the_one_is_taken_that_a_ci_publishes(repository: Path) -> None:
    put(
        repository / "tests/test_failover.py",
        'DEAD = "amqp://127.0.0.1:55672"\nURLS = ["amqp://127.0.0.1:5672", "redis://localhost:6390"]\n',
    )
    put(
        repository / ".github/workflows/ci.yml",
        "jobs: {t: {services: {q: {image: rabbitmq, ports: ['5672:5672']}}, steps: [{run: pytest}]}}\n",
    )
    assert {service.name: service.local for service in guessed(repository).services} == {
        "rabbitmq": "amqp://127.0.0.1:5672/",
        "redis": "redis://127.0.0.1:6390/0",
    }


def test_a_port_that_only_the_clients_library_would_read_is_not_trusted_where_the_code_reads_its_own_host(
    repository: Path,
) -> None:
    put(
        repository / "tests/conftest.py",
        'import os\nos.environ["TEST_POSTGRES_HOST"]\nos.environ["TEST_POSTGRES_DB"]\n',
    )
    put(
        repository / ".github/workflows/ci.yml",
        "jobs: {t: {steps: [{run: psql -c 'select 1', env: {PGHOST: localhost}}]}}\n",
    )
    service = one(repository)
    assert ":5432/" in service.local, "pg8000 reads no PGPORT, and libpq finds this one as well"
    assert dict(service.exports)["PGPASSWORD"] == "{password}"


def test_a_list_of_urls_keeps_its_drivers_and_files_and_leads_to_the_stand_in(repository: Path) -> None:
    put(
        repository / ".github/workflows/ci.yml",
        "jobs:\n  t:\n    steps:\n    - run: pytest\n      env:\n        TEST_DATABASE_URLS: |\n"
        "          sqlite:///x,\n          mysql+aiomysql://u:pw1@localhost:3306/t,\n"
        "          postgresql://u:pw1@localhost:5432/t,\n          postgresql+asyncpg://u:pw1@localhost:5432/t\n",
    )
    put(repository / "tests/conftest.py", 'import os\nos.environ["TEST_DATABASE_URLS"].split(",")\n')
    found = guessed(repository)
    [service] = found.services
    assert service.kind.name == "postgresql"
    ours = "{user}:{password}@{host}:{port}/{database}"
    assert dict(service.exports) == {
        "TEST_DATABASE_URLS": f"sqlite:///x,postgresql://{ours},postgresql+asyncpg://{ours}"
    }
    [question] = found.questions
    assert (
        "TEST_DATABASE_URLS (tests/conftest.py, .github/workflows/ci.yml) names mysql+aiomysql:// as well" in question
    )


@pytest.mark.parametrize(("read", "beside"), [("postgres", "mariadb"), ("mariadb", "postgres")])
def test_of_databases_that_a_compose_file_each_offers_the_one_is_taken_that_variables_lead_to(
    repository: Path, read: str, beside: str
) -> None:
    put(repository / "docker/compose.one.yml", f"services: {{db: {{image: '{read}:18'}}}}\n")
    told = "{MARIADB_HOST: db, POSTGRES_PASSWORD: x}"
    put(repository / "docker/compose.other.yml", f"services: {{db: {{image: '{beside}:12', environment: {told}}}}}\n")
    put(repository / "settings.py", f'import os\nos.environ["{read.upper()}_HOST"]\n')
    found = guessed(repository)
    assert [service.kind.name for service in found.services] == [{"mariadb": "mysql"}.get(read, "postgresql")]
    assert any("docker/compose.other.yml has an image of it" in question for question in found.questions)

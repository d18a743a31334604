"""Servers that nobody declared are known from where a team names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.records import Outcome
from resilience.suite.known import known_addresses
from tests.kits.testrun_kit import (
    LineServer,
    by_id,
    run,
    write,
)


@pytest.mark.parametrize(
    ("environ", "pair"),
    [
        ({"BROKER_URL": "amqp://guest:guest@mq.local:5672//"}, ("mq.local", 5672)),
        ({"SMTP_HOST": "mail", "SMTP_PORT": "1025"}, ("mail", 1025)),
        ({"SMTP_PORT": "1025"}, ("127.0.0.1", 1025)),
        ({"KAFKA": "broker:9092"}, ("broker", 9092)),
        ({"CACHE": "redis://[::1]:6380/0"}, ("localhost", 6380)),
    ],
)
def test_the_environment_names_them(environ: dict[str, str], pair: tuple[str, int], tmp_path: Path) -> None:
    assert known_addresses(environ, tmp_path)[pair] in environ


@pytest.mark.parametrize(
    ("file", "text", "pair"),
    [
        (".env.test", "export MAIL_URL='smtp://127.0.0.1:1025'\n", ("127.0.0.1", 1025)),
        (".envs/.local/.mail", "MAIL_HOST=mail\nMAIL_PORT=1025\n", ("mail", 1025)),
        ("docker-compose.yml", "services:\n  mail:\n    ports:\n      - '1025:25'\n", ("localhost", 1025)),
        ("conftest.py", "url = f'mysql+pymysql://{user}@localhost/{db_name}'\n", ("127.0.0.1", 3306)),
        (
            ".github/workflows/ci.yml",
            "jobs:\n  a:\n    services:\n      s:\n        ports:\n          - 26379:26379\n",
            ("localhost", 26379),
        ),
        (".github/workflows/ci.yaml", "env:\n  BROKER_URL: amqp://guest@127.0.0.1:5672//\n", ("localhost", 5672)),
        (
            ".github/workflows/test.yml",
            "      - run: docker run -d --publish 1025:25 -p 127.0.0.1:8025:8025 mail\n",
            ("localhost", 8025),
        ),
        (".gitlab-ci.yml", 'variables:\n  MQ_HOST: mq\n  MQ_PORT: "5672"\n', ("mq", 5672)),
        (
            ".circleci/config.yml",
            "    environment:\n      CACHE: 'memcached.local:11211'\n",
            ("memcached.local", 11211),
        ),
        ("azure-pipelines.yml", "    ports: ['1433:1433', \"8081:80\"]\n", ("127.0.0.1", 8081)),
        ("tests/docker-compose.yml", "services:\n  mail:\n    ports:\n      - '1025:25'\n", ("localhost", 1025)),
        ("settings.py", 'BROKER = "amqp://mq:5672//"\n', ("mq", 5672)),
    ],
)
def test_a_teams_files_name_them(file: str, text: str, pair: tuple[str, int], tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    assert Path(file).name in known_addresses({}, tmp_path)[pair]


def test_what_names_no_port_and_our_own_variables_name_nobody(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NAME=shop\nURL=https://example.org/x\n")
    environ = {"RESILIENCE_SNAPSHOT": "http://127.0.0.1:1/x", "TIME": "12:30:00", "PATH": "/bin:/usr/bin"}
    assert known_addresses(environ, tmp_path) == {}


async def test_a_dead_server_that_only_the_environment_names_is_undecided_and_a_slip_is_the_products(
    root: Path, out: Path, database: LineServer
) -> None:
    mail = LineServer()
    write(
        root,
        test_mail="""
        import os, socket
        def test_mail(): socket.create_connection(("127.0.0.1", int(os.environ["MAIL_PORT"])), timeout=1).close()
        def test_slip(): socket.create_connection(("127.0.0.1", 1), timeout=1).close()
        """,
    )
    env = {"MAIL_PORT": str(mail.port)}
    result = await run(root, out, {"database": database.up()}, env=env, attempts=0)
    assert by_id(result) == {"test_mail": Outcome.UNDECIDED, "test_slip": Outcome.FAILED}
    told = next(test for test in result.tests if test.id.endswith("test_mail"))
    assert "MAIL_PORT" in (told.reason or "")
    assert "declare it" in (told.reason or "")

"""The stand-in that a team names itself is read whole, or refused by key before anything of it is started."""

from __future__ import annotations

import pytest

from resilience.core.settings import OwnStandIn
from tests.kits.config_texts import one, refused, settings

LOCAL = 'local = "http://127.0.0.1:8100/health"'


def config(*lines: str, local: str = LOCAL) -> str:
    return "\n".join((one("http", url='"http://backend.staging.example/health"'), local, *lines))


def test_a_command_is_read_with_what_stands_beside_it_and_its_placeholders_are_left() -> None:
    text = config(
        'start = "uvicorn app:app --port {port} --log ${LOG_LEVEL}"',
        'cwd = "src"',
        'env = { DATABASE_URL = "{local}", API_TOKEN = "${API_TOKEN}" }',
        "start_timeout_s = 5",
    )
    [service] = settings(text, {"API_TOKEN": "tok-1"}, {".env.test.resilient": "LOG_LEVEL=debug\n"}).services
    own = service.own
    assert own.command == "uvicorn app:app --port {port} --log ${LOG_LEVEL}"
    assert (own.cwd, own.timeout_s, own.unset) == ("src", 5.0, ())
    assert {name: value.reveal() for name, value in own.env.items()} == {
        "DATABASE_URL": "{local}",
        "API_TOKEN": "tok-1",
    }
    assert own.reads["LOG_LEVEL"].reveal() == "debug"


def test_an_image_and_a_compose_service_are_read_with_their_variables() -> None:
    [service] = settings(config('image = "ghcr.io/us/app:1.2@sha256:ab"', 'env = { A = "{port}" }'), {}).services
    assert (service.own.image, service.own.contained) == ("ghcr.io/us/app:1.2@sha256:ab", True)
    assert service.own.env["A"].reveal() == "{port}"
    [service] = settings(config('compose = "deploy/docker-compose.yml:db"'), {}).services
    assert (service.own.compose_file, service.own.compose_service) == ("deploy/docker-compose.yml", "db")


def test_a_service_without_one_has_none_and_defaults_may_stand_there() -> None:
    [service] = settings(config('start = ""', 'cwd = ""', "env = {}"), {}).services
    assert service.own == OwnStandIn()


def test_what_its_env_needs_and_has_not_is_known_by_name() -> None:
    [service] = settings(config('start = "x"', 'env = { A = "${NOT_THERE}" }'), {}).services
    assert service.own.unset == ("NOT_THERE",)
    [service] = settings(config('start = "x ${NOT_THERE}"'), {}).services
    assert not service.own.reads["NOT_THERE"]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("serve $DATABASE_URL --port {port}", {"DATABASE_URL"}),
        ('serve "$TOKEN$OTHER" ${THIRD} {port}', {"TOKEN", "OTHER", "THIRD"}),
        ("X=1; for NAME in a b; do echo $X $NAME; done; serve {port}", set()),
        ("ls | awk '{print $NF}'; serve {port}", set()),
        (r"serve \$PRICE $$ $1 $lower $RANDOM {port}", set()),
    ],
)
def test_a_variable_is_known_however_the_shell_is_told_of_it(command: str, names: set[str]) -> None:
    """A bare $NAME was not: the command ran with nothing in its place, and its failure named everything else."""
    [service] = settings(config(f'start = """{command.replace(chr(92), chr(92) * 2)}"""'), {}).services
    assert set(service.own.reads) == names


def test_a_secret_of_its_env_is_hidden_everywhere() -> None:
    secrets = settings(config('start = "x"', 'env = { API_TOKEN = "literal-tok" }'), {}).secrets
    assert "literal-tok" in {secret.reveal() for secret in secrets}


@pytest.mark.parametrize(
    "command",
    [
        "serve --token abc123",
        "serve --api-key=abc123",
        "serve --password ${DB_PASSWORD}",
        "DB_PASSWORD=abc123 serve",
        "serve --db postgresql://app:abc123@127.0.0.1/x",
    ],
)
def test_a_command_that_shows_a_secret_is_refused_without_it(command: str) -> None:
    exc = refused(config(f'start = "{command}"'), {"DB_PASSWORD": "abc123"})
    assert "start" in str(exc)
    assert "a secret" in str(exc)
    assert "abc123" not in str(exc)


def test_a_place_with_a_password_is_no_word_of_a_command() -> None:
    exc = refused(config('start = "serve {local}"', local='local = "http://:abc123@127.0.0.1:8100/"'), {})
    assert "{local}, which has a password" in str(exc)
    assert "abc123" not in str(exc)


@pytest.mark.parametrize("command", ["serve --ssl-key server.key", "serve --key tls/server", "TOKEN=$OTHER serve"])
def test_a_file_and_another_variable_are_no_secret(command: str) -> None:
    [service] = settings(config(f'start = "{command}"'), {}).services
    assert service.own.command == command


@pytest.mark.parametrize(
    ("lines", "key", "word"),
    [
        (('start = "x {prot}"',), "start", "port"),
        (('start = "x"', 'env = { A = "{lokal}" }'), "env.A", "local"),
        (('image = "-v /:/host redis:7"',), "image", "the name of an image"),
        (('image = "redis:7"', 'start = "x"'), "image", "beside start"),
        (('image = "redis:7"', 'cwd = "src"'), "cwd", "beside start"),
        (('image = "redis:7"', 'env = { A = "{lokal}" }'), "env.A", "local"),
        (('cwd = "src"',), "cwd", "beside start"),
        (('env = { A = "b" }',), "env", "beside start"),
        (('compose = "docker-compose.yml"',), "compose", "a compose file and a service in it"),
        (('compose = "docker-compose.yml:--help"',), "compose", "a compose file and a service in it"),
        (('start = "x"', 'env = { "a b" = "c" }'), "env", "name of a variable"),
        (('provider = ["sistem"]',), "provider", "system"),
        (('start = "x"', "start_timeout_s = 0"), "start_timeout_s", "more than 0"),
    ],
)
def test_a_slip_is_refused_by_key(lines: tuple[str, ...], key: str, word: str) -> None:
    exc = refused(config(*lines), {})
    assert key in str(exc)
    assert word in str(exc)


def test_a_command_without_a_place_is_refused() -> None:
    assert "local" in str(refused(config('start = "x"', local=""), {}))


def test_braces_of_the_shell_and_of_programs_are_left() -> None:
    [service] = settings(config("start = '''awk '{print}' ${HOME}/x {port}'''"), {}).services
    assert service.own.command == "awk '{print}' ${HOME}/x {port}"


def test_the_providers_keep_their_order() -> None:
    [service] = settings(config('provider = ["system", "running"]'), {}).services
    assert service.providers == ("system", "running")

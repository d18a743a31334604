"""Each test's name is a claim about what shows itself and what does not."""

from __future__ import annotations

import json

import pytest

from resilience.core.secret import Secret, looks_secret


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("hunter2")
    for shown in (str(secret), repr(secret), f"{secret}", "%s" % secret, json.dumps(secret), "".join([secret])):  # noqa: UP031
        assert "hunter2" not in shown
    assert secret.reveal() == "hunter2"


def test_secrets_are_equal_by_value_and_never_equal_to_a_text() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("a") != "***"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert not Secret("")


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD", "PGPASSWORD", "API_TOKEN", "X_SECRET", "AWS_SECRET_ACCESS_KEY", "SENTRY_DSN"]
)
def test_names_that_say_secret(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["PWD", "OLDPWD", "HOME", "KEYBOARD", "MONKEY", "TOKENIZERS_PARALLELISM", "PATH"])
def test_names_that_do_not(name: str) -> None:
    assert not looks_secret(name)

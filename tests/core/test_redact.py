"""What leaves the machine holds no secret, and nothing else is taken from it."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest
from hypothesis import assume, given, strategies as st

from resilience.core.redact import Redactor
from resilience.services.registry import KINDS
from resilience.settings.build import build
from tests.core.test_disguises import PASSWORDS, SECRET


@given(st.lists(PASSWORDS, min_size=1, max_size=4), st.text(), st.data())
def test_hiding_twice_changes_nothing_more(secrets: list[str], text: str, data: st.DataObject) -> None:
    redactor = Redactor(secrets)
    mixed = text + data.draw(st.sampled_from(secrets)) + text[::-1]
    once = redactor.text(mixed)
    assert redactor.text(once) == once
    assert redactor.leaks(once) is None


@given(st.text(st.sampled_from("abcdefgh ABC012 .,;:-_()[]{}\n\"'#!?*/\\%&<>=@")))
def test_text_without_secrets_stays_as_it_is(text: str) -> None:
    assume("://" not in text)
    assert Redactor(["Xq-9z!Kw7"]).text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "STAGING: DOWN (database, backend_api). TESTS: will run on local stand-ins (mode degraded).",
        "https://staging.example:8443/health?mail=a@b.example",
        "git@github.com:org/repo.git",
        'password authentication failed for user "app"',
        "password: required",
        "HTTP 401: Bearer authentication failed, a token is missing",
        "Basic authentication is off",
        "max_tokens=20, total_tokens: 15",
        'usage: {"prompt_tokens": 12, "token_type": "bearer"}',
        "the cookie jar holds 3; key=value pairs are sorted",
        "PWD=/srv/project",
        "tests/unit/test_tokens.py::test_secret[password-1] PASSED",
        "select 1; -- 127.0.0.1:5435",
        "assert 'unavailable' == 'available'",
        '<td class="status">connect time-out</td>',
        "C:\\new\\table 100%25 &amp; done",
    ],
)
def test_ordinary_lines_of_a_run_stay_as_they_are(text: str) -> None:
    assert Redactor([SECRET, "postgres", "test", "pw", "5432", "able"]).text(text) == text


def test_a_common_word_as_password_is_hidden_where_structure_shows_it() -> None:
    redactor = Redactor(["postgres", "pw"])
    assert redactor.text("postgresql://postgres:postgres@postgres/postgres") == "postgresql://***@postgres/postgres"
    assert redactor.text("password=pw") == "password=***"


def test_json_stays_json_after_hiding() -> None:
    record = {
        "detail": f"login with {SECRET}\\",
        "headers": {"Authorization": f"Bearer {SECRET}"},
        "dsn": f"redis://:{SECRET}@h",
    }
    for text in (json.dumps(record), json.dumps(record, ensure_ascii=False), json.dumps({"inner": json.dumps(record)})):
        hidden = Redactor([SECRET, "with\\"]).text(text)
        json.loads(hidden)
        assert Redactor([SECRET]).leaks(hidden) is None


def test_a_secret_that_looks_like_markup_is_hidden_too() -> None:
    assert Redactor(["<A00000>"]).text("x <A00000> y") == "x *** y"


def test_markup_stays_balanced_after_hiding() -> None:
    hidden = Redactor(["abcd%23efgh"]).text('<code>"abcd<span class="si">%23e</span>fgh"</code>')
    assert hidden == '<code>"***<span class="si"></span>"</code>'


def test_a_leak_is_told_by_its_offset_in_bytes() -> None:
    assert Redactor(["Xq9zKw7secret"]).leaks("é€ Xq9zKw7secret".encode()) == 6
    assert Redactor(["Xq9zKw7secret"]).leaks(b"\xff\xfe Xq9zKw7secret") == 3
    assert Redactor(["Xq9zKw7secret"]).leaks("Xq9zKw7secret".encode("utf-16-le")) == 0
    assert Redactor(["Xq9zKw7secret"]).leaks(b"nothing here") is None


def test_a_picture_is_not_taken_for_a_short_secret() -> None:
    picture = base64.b64encode(bytes(range(256)) * 8).decode()
    inside = picture[500:504]
    text = f'<img src="data:image/png;base64,{picture}">'
    assert Redactor([inside]).text(text) == text
    assert Redactor([inside]).leaks(text) is None
    assert Redactor([inside]).text(f"it is {inside}!") == "it is ***!"


def test_a_redactor_shows_no_secret_of_its_own() -> None:
    assert SECRET not in repr(Redactor([SECRET]))


def test_hiding_comes_before_cutting() -> None:
    assert (
        Redactor(["Xq9zKw7secret"]).short("x" * 10 + "Xq9zKw7secret" + "y" * 100, 20)
        == "x" * 10 + "***" + "y" * 6 + "…"
    )


def test_the_redactor_of_settings_knows_their_secrets_and_their_hosts() -> None:
    toml = """
    [[service]]
    name = "database"
    type = "postgresql"
    url = "postgresql://app:Xq9zKw7secret@db.corp.example/app"
    [[service]]
    name = "api"
    type = "http"
    url = "https://203.0.113.7/health"
    local = "http://127.0.0.1:8090"
    """
    found = build(toml, source=Path("/r/resilience.toml"), root=Path("/r"), environ={}, profile_texts={}, kinds=KINDS)
    redactor = Redactor.of(found.secrets, found.services, hosts=["laptop-7"])
    assert redactor.public(
        "Xq9zKw7secret on db.corp.example:5432, 203.0.113.7, 127.0.0.1:8090, laptop-7, 203.0.113.8"
    ) == ("*** on host-1:5432, address-1, 127.0.0.1:8090, host-2, 203.0.113.8")


def test_a_megabyte_is_hidden_in_seconds_not_minutes() -> None:
    redactor = Redactor([f"s3cret-{number}-{number * 7919:x}%&\\" for number in range(30)])
    text = "INFO tests/unit/test_a.py::test_x[1] PASSED 0.01s &amp; 100%25\n" * 16_000 + "a" * 100_000 + "@" * 1000
    started = time.monotonic()
    redactor.text(text)
    assert redactor.leaks(text) is None
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "a://",
            "://@",
            "postgres://a:",
            "%3A%2F%2Fa",
            'password="',
            "password='a\\",
            "authorization: a,",
            "cookie: a=",
        ),
        *(
            "\\",
            "&",
            "<a",
            "%25",
            "&amp;",
            "eyJaaaaaaa.",
            "-----BEGIN PRIVATE KEY-----",
            "1:",
            "a@",
            "\x1b]",
            "key=&quot;",
        ),
    ],
)
def test_hostile_text_costs_no_more_than_its_length(unit: str) -> None:
    redactor = Redactor(["Xq-9z!Kw7%&\\<x", "abcdefgh12"])
    started = time.monotonic()
    redactor.public(unit * (50_000 // len(unit)))
    assert time.monotonic() - started < 10

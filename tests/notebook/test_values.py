"""A parameter's value means what it says, or is refused by name."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, strategies as st

from resilience.core.errors import SettingsError
from resilience.core.verdict import FailOn
from resilience.notebook.parameters import BY_NAME, Kind
from resilience.notebook.passed import parse
from resilience.notebook.values import looks_secret


@pytest.mark.parametrize("value", [False, "false", "False", "no", "NO", "off", "0", 0, 0.0, "n", " false "])
def test_every_spelling_of_false_is_false(value: object) -> None:
    assert parse({"apply": value})["apply"] is False


@pytest.mark.parametrize("value", [True, "true", "True", "yes", "on", "1", 1, 1.0, "y"])
def test_every_spelling_of_true_is_true(value: object) -> None:
    assert parse({"apply": value})["apply"] is True


@pytest.mark.parametrize("value", ["maybe", 2, "", "tru", -1, 0.5, [1], "nan"])
def test_any_other_flag_is_refused_with_what_to_type(value: object) -> None:
    with pytest.raises(SettingsError, match=r"apply.*true or false.*-p apply True"):
        parse({"apply": value})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("max_age_minutes", "90 s", 1.5),
        ("max_age_minutes", "2h", 120.0),
        ("max_age_minutes", 45, 45.0),
        ("max_age_minutes", "1 day", 1440.0),
        ("interval_s", "500ms", 0.5),
        ("interval_s", "5s", 5.0),
        ("dwell_s", "30 min", 1800.0),
        ("dwell_s", "1e1", 10.0),
        ("samples", 7, 7),
        ("samples", 1000.0, 1000),
        ("samples", "3", 3),
    ],
)
def test_numbers_take_units_and_mean_the_unit_in_their_name_without(name: str, value: object, expected: float) -> None:
    assert parse({name: value})[name] == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("samples", "three"),
        ("samples", 1.5),
        ("samples", 0),
        ("samples", -1),
        ("samples", float("nan")),
        ("samples", True),
        ("samples", "3 s"),
        ("interval_s", "-5s"),
        ("interval_s", "5 parsecs"),
        ("interval_s", float("inf")),
        ("interval_s", "[1,2]"),
        ("dwell_s", "5 s 3"),
        ("good", "1e400"),
    ],
)
def test_other_numbers_are_refused_with_what_was_found(name: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        parse({name: value})
    assert str(value)[:20] in str(caught.value)
    assert f"-p {name}" in caught.value.hint


def test_enums_are_listed_and_guessed() -> None:
    with pytest.raises(SettingsError, match=r"one of full, degraded, offline, critical_only") as caught:
        parse({"mode": "degradet"})
    assert caught.value.hint == 'did you mean "degraded"?'
    assert parse({"mode": "OFFLINE"})["mode"] == "offline"
    assert parse({"fail_on": "Failures"})["fail_on"] == FailOn.FAILURES


def test_a_number_given_for_a_text_stays_what_was_typed() -> None:
    assert parse({"environment": 7})["environment"] == "7"


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://app:hunter2@db:5432/app",
        "https://:pw@h/",
        "password=hunter2",
        "Bearer abcdefgh12345678",
        "sk-abcdefgh12345678",
        "ghp_abcdefghijklmnop",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "-----BEGIN RSA PRIVATE KEY-----",
        "API_KEY: abc",
    ],
)
def test_what_looks_like_a_secret_is_refused_without_showing_it(value: str) -> None:
    assert looks_secret(value)
    with pytest.raises(SettingsError) as caught:
        parse({"config": value})
    assert value not in str(caught.value)
    assert "environment variable" in caught.value.hint


@pytest.mark.parametrize(
    "value", ["staging", "config/runbook.toml", "not slow and critical", "http://127.0.0.1:8080/x", "postgresql://h/db"]
)
def test_ordinary_values_are_no_secrets(value: str) -> None:
    assert not looks_secret(value)


@given(st.text(), st.sampled_from(sorted(BY_NAME)))
def test_any_text_is_parsed_or_refused_but_nothing_else_happens(text: str, name: str) -> None:
    parameter = BY_NAME[name]
    wanted = int if parameter.kind is Kind.WHOLE else type(parameter.default)
    with contextlib.suppress(SettingsError):
        assert type(parse({name: text})[name]) is wanted

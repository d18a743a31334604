"""What cannot be meant is refused in one line, before anything is done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type, runs

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "runbook.toml"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["asess"], ["asess", 'did you mean "assess"?']),
        (["services", "upp"], ["upp"]),
        (["assess", "--jsn"], ["--jsn", "--json"]),
        (["assess", "--samples", "three"], ["three"]),
        (["assess", "--samples", "0"], ["0"]),
        (["assess", "--watch", "0"], ["--watch 0", "--watch 300"]),
        (["assess", "--watch", "-5"], ["-5"]),
        (["assess", "--watch", "nan"], ["nan"]),
        (["mode", "--force", "degrded"], ["'degrded'", 'did you mean "degraded"?']),
        (["plan", "--force", "degrded"], ["'degrded'", 'did you mean "degraded"?']),
        (["apply", "--force", "degrded"], ["'degrded'", 'did you mean "degraded"?']),
        (["test", "--force", "degrded"], ["'degrded'", 'did you mean "degraded"?']),
        (["test", "--exit-code", "theirs"], ["theirs", "ours or original"]),
        (["test", "--timeout", "-1"], ["--timeout", "-1"]),
        (["test", "--total-timeout", "0"], ["--total-timeout", "0"]),
        (["recover", "--wait", "-1"], ["--wait", "-1"]),
        (["drill", "databse-unavailable"], ["databse-unavailable", 'did you mean "database-unavailable"?']),
        (["run", "-p", "aply=true"], ["aply", 'did you mean "apply"?']),
        (["run", "-p", "samples"], ["samples", "name=value"]),
        (["run", "-p", "samples=many"], ["samples", "many"]),
        (["run", "--fail-on", "never-ever"], ["never-ever"]),
        (["services", "up", "databse"], ["databse"]),
        (["services", "down", "backend"], ["backend", 'did you mean "backend_api"?']),
        (["report", "2020-01-01/000000Z-none"], ["2020-01-01/000000Z-none"]),
        (["resume", "2020-01-01/000000Z-none"], ["2020-01-01/000000Z-none"]),
        (["report"], ["no run", "resilience run"]),
        (["resume"], ["no run", "resilience run"]),
        (["env"], ["no fallback is applied", "resilience apply"]),
        (["assess", "--config", "nowhere.toml"], ["nowhere.toml", "a file that exists"]),
        (["assess", "--url", "oracle://127.0.0.1/x"], ["--url", "postgresql://"]),
        (["assess", "--url", "postgresql://u:p@ss@127.0.0.1/x"], ["--url"]),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_refused_in_one_line_before_anything_is_done(
    type_in: Type, team: Path, staging: SmallStaging, typed: list[str], words: list[str]
) -> None:
    said = type_in(*typed)
    said.complains(*words)
    assert "p@ss" not in said.err
    assert not runs(team), "nothing half-made"
    assert not staging.asked.is_set(), "nobody was asked for nothing"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('type = "http"', 'type = "htp"'), ["htp", 'did you mean "http"?', "resilience.toml"]),
        (("critical = true", "critcal = true"), ["critcal", 'did you mean "critical"?', "resilience.toml"]),
        (("[recovery]", "[recvery]"), ["recvery", "resilience.toml"]),
        (("good = 2", 'good = "two"'), ["good", "resilience.toml"]),
        (("timeout_s = 2.0", "timeout_s = -2.0"), ["timeout_s", "resilience.toml"]),
        (('name = "backend_api"', ""), ["name", "resilience.toml"]),
        (("[modes.degraded]", "[modes.degrded]"), ["degrded", "resilience.toml"]),
        (("[runbook]", "[runbook"), ["resilience.toml"]),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("verb", ["assess", "apply", "run"])
def test_a_configuration_that_cannot_be_used_is_refused_by_name_and_file(
    type_in: Type, team: Path, change: tuple[str, str], words: list[str], verb: str
) -> None:
    config = team / "resilience.toml"
    config.write_text(config.read_text().replace(*change))
    type_in(verb).complains(*words)
    assert not runs(team)


def test_a_half_configured_service_says_which_variables_are_missing(
    type_in: Type, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SHIPPED.parent, home / "config")
    monkeypatch.setenv("STAGING_POSTGRES_HOST", "127.0.0.1")
    type_in("assess").complains(
        "0 of 7; unset", "resilience doctor", "STAGING_POSTGRES_PORT", "STAGING_POSTGRES_PASSWORD"
    )


@pytest.mark.parametrize("verb", ["assess", "mode", "plan", "apply", "test", "recover", "run"])
def test_nothing_configured_says_in_one_short_line_what_to_type(type_in: Type, home: Path, verb: str) -> None:
    said = type_in(verb)
    said.complains("no service of staging is configured. Hint: resilience init", "resilience drill")
    assert len(said.err) <= 160
    assert not list(home.rglob("incident.json"))


@pytest.mark.parametrize("verb", ["run", "resume"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("note", "Zq9-kelvin-Harbour_42"),
        ("note", "ZQ9-KELVIN-HARBOUR_42"),
        ("note", "postgresql://me:hunter2-long@db/x"),
        ("note", "Bearer abcdefgh12345678"),
        ("api_token", "anything-at-all"),
        ("note", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
    ],
)
def test_a_parameter_that_looks_like_a_secret_is_refused_by_its_name_and_not_shown(
    type_in: Type, team: Path, monkeypatch: pytest.MonkeyPatch, verb: str, name: str, value: str
) -> None:
    monkeypatch.setenv("THEIR_API_TOKEN", "Zq9-kelvin-Harbour_42")
    said = type_in(verb, "-p", f"{name}={value}")
    said.complains(f"-p {name}", "looks like a secret", "export NAME")
    assert value not in said.err
    type_in(verb, "-p", "Zq9-kelvin-Harbour_42").complains("-p ***", "name=value")
    assert not runs(team)

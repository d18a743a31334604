"""Configuration texts and variables become settings, or are refused by name and line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from resilience.core.errors import NotConfiguredError, SettingsError
from resilience.core.records import TestExecutionMode
from resilience.core.settings import Deadlines, Wishes
from resilience.services.registry import KINDS
from resilience.settings.build import build, require_configured
from tests.kits.config_texts import DATABASE, PROFILE, ROOT, STAGING, one, refused, settings


def test_an_empty_text_gives_defaults_that_name_no_service() -> None:
    found = settings()
    assert found.services == ()
    assert found.environment == "staging"
    assert found.env_file == ROOT / "config/.env.test.active"
    assert found.state == ROOT / ".resilience/state"
    assert found.data.is_relative_to(Path("/home/me/.local/state/resilience"))
    assert found.deadlines == Deadlines()
    assert found.wishes == Wishes()


def test_data_of_stand_ins_differ_by_checkout_and_follow_xdg() -> None:
    here = settings("", {"XDG_STATE_HOME": "/xdg"}).data
    there = build(
        "", source=Path("/b/c.toml"), root=Path("/b"), environ={"XDG_STATE_HOME": "/xdg"}, profile_texts={}, kinds=KINDS
    ).data
    assert here.parent == there.parent == Path("/xdg/resilience")
    assert here != there


def test_one_variable_moves_state_and_data_for_tests() -> None:
    found = settings("", {"RESILIENCE_STATE": "/elsewhere"})
    assert (found.state, found.data) == (Path("/elsewhere"), Path("/elsewhere/data"))


def test_no_service_at_all_is_no_error_until_somebody_asks_for_one() -> None:
    found = settings(DATABASE)
    with pytest.raises(NotConfiguredError) as caught:
        require_configured(found)
    text = str(caught.value)
    assert "STAGING_USER" in text
    for command in ("resilience doctor", "resilience assess --url", "resilience drill"):
        assert command in text
    ready = settings(DATABASE, STAGING)
    assert require_configured(ready) is ready


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[runbok]\nissue = ""', ("runbok", ":1", 'did you mean "runbook"')),
        ("[[service]]\nname = 'a'\ntype = 'http'\nurl = 'http://h'\ntimout_s = 3", ("a.timout_s", ":5", "timeout_s")),
        ("[[service]]\nname = 'a'\ntype = 'htpp'\nurl = 'http://h'", ("a.type='htpp'", ":3", 'did you mean "http"')),
        ("[[service]]\nname = 'a'\nurl = 'http://h'", ("a.type=nothing", ":1")),
        ("[[service]]\ntype = 'http'\nurl = 'http://h'", ("service 1.name=nothing", ":1")),
        ("[[service]]\nname = 'a'\ntype = 'http'", ("a.url=nothing", "a local stand-in")),
        ("[[service]]\nname = 'a b'\ntype = 'http'\nurl = 'http://h'", ("'a b'", ":2")),
        ("[service]\nname = 'a'", ("[[service]]",)),
        ("[modes.degradet]\ncommands = []", ("degradet", ":1", 'did you mean "degraded"')),
        ("[modes.full]\ncommands = 'pytest'", ("full.commands", ":2", "list")),
        ("[modes.full]\ncommands = [3]", ("full.commands", ":2")),
        ("[runbook]\nissue = 1278", ("runbook.issue=1278", ":2", "quotes")),
        ("[recovery]\ngood = 0", ("recovery.good=0", ":2", "good = 5")),
        ("[recovery]\ngood = 2.5", ("recovery.good=2.5", "whole")),
        ("[recovery]\ninterval_s = nan", ("recovery.interval_s=nan", ":2")),
        ("[recovery]\ninterval_s = inf", ("recovery.interval_s=inf", ":2")),
        ("[recovery]\ninterval_s = 0", ("recovery.interval_s=0", ":2")),
        ("[recovery]\ndwell_s = true", ("recovery.dwell_s=true", ":2")),
        ("[escalation]\nsuite_failures = '3'", ("escalation.suite_failures", ":2")),
        ("[safety]\ndeny_hosts = ['https://prod']", ("safety.deny_hosts", ":2")),
        ("[control]\ntarget = []", ("control.target", 'did you mean "targets"')),
        ("[runbook\n", ("TOML", ":1")),
        ("[runbook]\nissue = 'a'\nissue = 'b'", ("TOML", ":3")),
        (one("http", url="'http://h'", expect_status="[99]"), ("it.expect_status", ":5")),
        (one("http", url="'http://h'", critical="'yes'"), ("it.critical", "without quotes")),
        (one("http", url="'http://h'", timeout_s="-1"), ("it.timeout_s=-1", ":5")),
        (one("redis", url="'redis://h'", headers="{ a = 'b' }"), ("it.headers", "type redis")),
        (one("http", url="'http://h'", echo="'x'"), ("it.echo", "type http")),
        (one("http", url="'http://h'", markers="['not a']"), ("it.markers='not a'", ":5")),
        (one("http", url="'http://${9X}'"), ("${9X", ":4")),
        (one("http", url="'http://${X'"), ("${X", ":4")),
        (one("http", url="'http://h'", exports="{ A = '{local}' }"), ("it.exports.A={local}", ":5", "local stand-in")),
        (one("http", local="'http://127.0.0.1:1'", exports="{ A = '{locl}' }"), ("{locl}", 'did you mean "local"')),
        (one("http", local="'http://db.example:1'"), ("it.local=db.example", "on this machine")),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_line(toml: str, words: tuple[str, ...]) -> None:
    text = refused(toml)
    for word in words:
        assert word in text, text


def test_the_line_is_that_of_the_second_service_not_the_first() -> None:
    toml = one("http", url="'http://h'") + "\n" + one("http", url="'http://h'", timeout_s="0").replace('"it"', '"b"')
    assert "b.timeout_s=0 in config/runbook.toml:10" in refused(toml)


def test_the_example_of_the_contract_is_read_as_it_stands() -> None:
    toml = """
    [runbook]
    environment = "staging"
    issue = ""                          # the tracking issue; empty: none
    env_file = "config/.env.test.active"
    outputs = "outputs"
    python = ""
    env_command = ""
    [[service]]
    name = "database"
    type = "postgresql"
    url = "postgresql://${STAGING_USER}:${STAGING_PASSWORD}@${STAGING_HOST}:5432/app"
    local = "postgresql://${POSTGRES_USER}:${POSTGRES_PASSWORD}@${POSTGRES_HOST}:${POSTGRES_PORT}/app_test"
    exports = { DATABASE_URL = "{local}" }
    prepare = ["alembic upgrade head"]
    ready_query = "select 1"
    critical = true
    timeout_s = 5.0
    degraded_above_s = 1.0
    network = "vpc"
    depends_on = []
    markers = ["real_database"]
    tls_ca = ""
    headers = {}
    expect_status = [200]
    write_check = false
    runbook_url = ""
    owner = ""
    dashboard_url = ""
    [modes.full]
    commands = ["pytest tests/e2e/staging/ -v"]
    select = ""
    [recovery]
    good = 5
    interval_s = 10
    dwell_s = 60
    [escalation]
    critical_down_minutes = 30
    suite_failures = 3
    persistent_minutes = 15
    label = "infrastructure"
    mention = "@devops"
    [safety]
    deny_hosts = []
    [control]
    targets = []
    """
    found = settings(toml, STAGING, {".env.test.resilient": PROFILE})
    [service] = found.services
    assert service.configured
    assert (service.prepare, service.markers, service.critical) == (("alembic upgrade head",), ("real_database",), True)
    assert (found.recovery.good, found.escalation.mention) == (5, "@devops")


def test_two_services_cannot_have_one_name() -> None:
    assert "no other service" in refused(one("http", url="'http://a'") + one("http", url="'http://b'"))


def test_dependencies_are_known_and_have_no_circle() -> None:
    def chain(*edges: tuple[str, str]) -> str:
        return "".join(
            f"[[service]]\nname='{a}'\ntype='http'\nurl='http://{a}'\ndepends_on=['{b}']\n" for a, b in edges
        )

    assert 'did you mean "a"' in refused(chain(("a", "a1")))
    assert "a → b → c → a" in refused(chain(("a", "b"), ("b", "c"), ("c", "a")))
    assert "a → a" in refused(chain(("a", "a")))


def test_a_staging_url_that_is_a_stand_in_is_refused_by_name_but_in_a_drill() -> None:
    environ = {**STAGING, "STAGING_HOST": "localhost"}
    toml = DATABASE.replace(":5432/app", ":5435/app")
    text = refused(toml, environ, {".env.test.resilient": PROFILE})
    assert text.startswith("database.url=(127.0.0.1:5435, the stand-in of database)")
    assert "unset STAGING_USER STAGING_PASSWORD STAGING_HOST" in text
    drill = settings(toml, {**environ, "RESILIENCE_DRILL": "x"}, {".env.test.resilient": PROFILE})
    assert drill.services[0].configured
    assert drill.drill == "x"


def test_modes_keep_commands_and_selection() -> None:
    found = settings("[modes.offline]\ncommands = ['pytest tests/unit']\nselect = ' not staging '\n").modes
    assert found[TestExecutionMode.OFFLINE].commands == ("pytest tests/unit",)
    assert found[TestExecutionMode.OFFLINE].select == "not staging"
    assert TestExecutionMode.FULL not in found


@given(st.text())
def test_no_text_makes_it_fail_otherwise_than_by_a_settings_error(text: str) -> None:
    for toml, environ in (
        (text, {}),
        (one("http", url='"${X}"'), {"X": text}),
        (one("postgresql", url='"${X}"'), {"X": f"postgresql://{text}"}),
        (one("redis", local='"redis://:${X}@127.0.0.1:1"'), {"X": text}),
    ):
        with contextlib.suppress(SettingsError):
            settings(toml, environ)

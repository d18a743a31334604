"""Each test's name is a claim about how configuration texts and variables become settings, or are refused."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from resilience.core.envtext import read_env_text
from resilience.core.errors import NotConfiguredError, SettingsError
from resilience.core.records import TestExecutionMode
from resilience.core.secret import Secret
from resilience.core.settings import Deadlines, Settings, Wishes
from resilience.core.urls import url_parts
from resilience.services.registry import KINDS
from resilience.settings.build import build, require_configured

ROOT = Path("/srv/app")
DATABASE = """
[[service]]
name = "database"
type = "postgresql"
url = "postgresql://${STAGING_USER}:${STAGING_PASSWORD}@${STAGING_HOST}:5432/app"
local = "postgresql://${POSTGRES_USER}:${POSTGRES_PASSWORD}@${POSTGRES_HOST}:${POSTGRES_PORT}/app_test"
exports = { DATABASE_URL = "{local}" }
"""
PROFILE = "POSTGRES_USER=dev\nPOSTGRES_PASSWORD=dev-only\nPOSTGRES_HOST=127.0.0.1\nPOSTGRES_PORT=5435\n"
STAGING = {"STAGING_USER": "app", "STAGING_PASSWORD": "s3cret-pw", "STAGING_HOST": "db.staging.example"}


def settings(
    toml: str = "", environ: Mapping[str, str] | None = None, profiles: Mapping[str, str] | None = None
) -> Settings:
    return build(
        toml,
        source=ROOT / "config/runbook.toml",
        root=ROOT,
        environ=environ or {},
        profile_texts=profiles or {},
        kinds=KINDS,
        home=Path("/home/me"),
    )


def refused(toml: str, environ: Mapping[str, str] | None = None, profiles: Mapping[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        settings(toml, environ, profiles)
    return str(caught.value)


def one(type_: str, **lines: str) -> str:
    rest = "\n".join(f"{key} = {value}" for key, value in lines.items())
    return f'[[service]]\nname = "it"\ntype = "{type_}"\n{rest}\n'


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


def test_a_service_gets_its_url_from_the_environment_and_its_stand_in_from_the_profile() -> None:
    [service] = settings(DATABASE, STAGING, {".env.test.resilient": PROFILE}).services
    assert service.url.reveal() == "postgresql://app:s3cret-pw@db.staging.example:5432/app"
    assert service.local.reveal() == "postgresql://dev:dev-only@127.0.0.1:5435/app_test"
    assert service.exports["DATABASE_URL"].reveal() == service.local.reveal()
    assert service.local_names == ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_HOST", "POSTGRES_PORT")
    assert service.local_values["POSTGRES_PORT"] == "5435"


@pytest.mark.parametrize("missing", list(STAGING))
@pytest.mark.parametrize("how", ["unset", "empty"])
def test_a_service_with_an_unset_or_empty_variable_is_listed_and_never_probed(missing: str, how: str) -> None:
    environ = {**STAGING, missing: ""}
    if how == "unset":
        del environ[missing]
    [service] = settings(DATABASE, environ, {".env.test.resilient": PROFILE}).services
    assert not service.configured
    assert service.unset == (missing,)
    assert service.local


def test_no_service_at_all_is_no_error_until_somebody_asks_for_one() -> None:
    found = settings(DATABASE)
    with pytest.raises(NotConfiguredError) as caught:
        require_configured(found)
    text = str(caught.value)
    assert "STAGING_USER" in text
    for command in ("resilience assess --url", "resilience drill database-unavailable"):
        assert command in text
    ready = settings(DATABASE, STAGING)
    assert require_configured(ready) is ready


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs", "Cc"]), min_size=1))
def test_a_raw_password_given_by_variable_comes_out_as_it_went_in(password: str) -> None:
    [service] = settings(DATABASE, {**STAGING, "STAGING_PASSWORD": password}).services
    parts = url_parts(service.url, service.kind)
    assert parts.password.reveal() == password
    assert (parts.user, parts.host, parts.port, parts.database) == ("app", "db.staging.example", 5432, "app")


@pytest.mark.parametrize("password", ["a#b", "a/b", "a@b", "a%b", "a:b", "a b", "#", "/x@y"])
def test_an_unescaped_character_in_a_url_is_named_with_its_variable_and_never_shown(password: str) -> None:
    secret = f"Zk{password}Qw"
    toml = one("postgresql", url='"${STAGING_URL}"')
    text = refused(toml, {"STAGING_URL": f"postgresql://app:{secret}@db.example:5432/app"})
    assert text.startswith("STAGING_URL=(")
    assert secret not in text
    assert "Zk" not in text
    if " " not in password:
        assert "urllib.parse.quote" in text


def test_a_literal_url_that_cannot_be_read_is_refused_by_file_and_line() -> None:
    text = refused(one("redis", url='"redis://:Zk#Qw@cache.example:6379/0"'))
    assert text.startswith("it.url=(an unescaped #")
    assert "config/runbook.toml:4" in text
    assert "Zk" not in text


@pytest.mark.parametrize(
    ("type_", "url", "word"),
    [
        ("postgresql", "postgresql://u:p@h:99999/d", "99999"),
        ("postgresql", "postgresql://u:p@h:0/d", "port"),
        ("postgresql", "postgresql://u:p@h:abc/d", "port"),
        ("postgresql", "mysql://u:p@h/d", "postgresql://"),
        ("redis", "http://h:6379", "redis://"),
        ("clickhouse", "clickhouse://h:9000/d", "8123"),
        ("http", "ws://h/", "http://"),
        ("websocket", "https://h/", "ws://"),
        ("openai", "h:80", "http://"),
        ("http", "http://", "no host"),
        ("http", "http://[::1/", "bracket"),
        ("http", "http://::1:80/", "brackets"),
        ("http", "http://h/ x", "space"),
        ("http", "http://h/\\u0007", "control"),
    ],
)
def test_a_url_that_cannot_be_is_refused_by_what_is_wrong_with_it(type_: str, url: str, word: str) -> None:
    assert word in refused(one(type_, url=f'"{url}"'))


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


def test_a_developers_own_variable_never_makes_another_host_the_stand_in() -> None:
    environ = {
        **STAGING,
        "POSTGRES_HOST": "db.staging.example",
        "POSTGRES_USER": "app",
        "POSTGRES_PASSWORD": "s3cret-pw",
    }
    [service] = settings(DATABASE, environ, {".env.test.resilient": PROFILE}).services
    assert service.local.reveal() == "postgresql://dev:dev-only@127.0.0.1:5435/app_test"


def test_a_staging_url_that_is_a_stand_in_is_refused_by_name_but_in_a_drill() -> None:
    environ = {**STAGING, "STAGING_HOST": "localhost"}
    toml = DATABASE.replace(":5432/app", ":5435/app")
    text = refused(toml, environ, {".env.test.resilient": PROFILE})
    assert text.startswith("database.url=(127.0.0.1:5435, the stand-in of database)")
    assert "unset STAGING_USER STAGING_PASSWORD STAGING_HOST" in text
    drill = settings(toml, {**environ, "RESILIENCE_DRILL": "x"}, {".env.test.resilient": PROFILE})
    assert drill.services[0].configured
    assert drill.drill == "x"


SHARED = one("redis", url='"${REDIS_URL}"', local='"${REDIS_URL}"', exports='{ REDIS_URL = "{local}" }')
REDIS_PROFILE = {".env.test.resilient": "REDIS_URL=redis://127.0.0.1:6382/0\n"}


def test_one_variable_may_serve_staging_and_its_stand_in_until_it_is_applied() -> None:
    [before] = settings(SHARED, {"REDIS_URL": "redis://cache.example:6379/0"}, REDIS_PROFILE).services
    assert before.url.reveal() == "redis://cache.example:6379/0"
    assert before.local.reveal() == "redis://127.0.0.1:6382/0"
    applied = {"REDIS_URL": "redis://127.0.0.1:6382/0", "RESILIENCE_APPLIED": "run"}
    [after] = settings(SHARED, applied, REDIS_PROFILE).services
    assert not after.configured
    assert after.unset == ("REDIS_URL",)
    assert after.local.reveal() == "redis://127.0.0.1:6382/0"


def test_a_profile_never_fills_the_staging_url_with_this_machine() -> None:
    profile = {".env.test.resilient": "DATABASE_URL=postgresql://u:p@127.0.0.1:5435/d\n"}
    for environ in ({}, {"RESILIENCE_APPLIED": "r", "DATABASE_URL": "postgresql://u:p@127.0.0.1:5435/d"}):
        [service] = settings(one("postgresql", url='"${DATABASE_URL}"'), environ, profile).services
        assert not service.configured
        assert service.unset == ("DATABASE_URL",)


def test_a_profile_may_name_staging_itself() -> None:
    profile = {".env.test.resilient": "STAGING_API=https://api.staging.example/health\n"}
    for environ in ({}, {"RESILIENCE_APPLIED": "r", "STAGING_API": "https://api.staging.example/health"}):
        [service] = settings(one("http", url='"${STAGING_API}"'), environ, profile).services
        assert service.configured


def test_in_an_applied_shell_stand_ins_come_from_the_profile_and_wishes_from_nobody() -> None:
    environ = {
        "RESILIENCE_APPLIED": "run",
        "POSTGRES_PORT": "1111",
        "TEST_OFFLINE": "true",
        "DATABASE_MODE": "local",
        "INFRASTRUCTURE_DEGRADED_MODE": "true",
    }
    found = settings(DATABASE, environ, {".env.test.resilient": PROFILE})
    assert found.services[0].local.reveal().endswith(":5435/app_test")
    assert found.wishes == Wishes()
    assert found.applied_run == "run"


def test_exports_give_the_parts_of_the_stand_in() -> None:
    exports = (
        '{ A = "{host}", B = "{port}", C = "{user}", D = "{password}", E = "{database}", '
        'F = "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}" }'
    )
    toml = DATABASE.replace('{ DATABASE_URL = "{local}" }', exports)
    profile = PROFILE.replace("dev-only", "'d@v/#1'")
    [service] = settings(toml, {}, {".env.test.resilient": profile}).services
    assert {name: value.reveal() for name, value in service.exports.items()} == {
        "A": "127.0.0.1",
        "B": "5435",
        "C": "dev",
        "D": "d@v/#1",
        "E": "app_test",
        "F": "postgresql+asyncpg://dev:d%40v%2F%231@127.0.0.1:5435/app_test",
    }


def test_nothing_is_exported_for_a_stand_in_that_is_not_known() -> None:
    [service] = settings(DATABASE, {**STAGING, "POSTGRES_USER": "dev"}).services
    assert service.exports == {}
    assert service.local_unset == ("POSTGRES_PASSWORD", "POSTGRES_HOST", "POSTGRES_PORT")


def test_a_header_with_an_unset_secret_leaves_its_service_unconfigured() -> None:
    toml = one("openai", url='"https://llm.example/v1"', headers='{ Authorization = "Bearer ${LLM_KEY}" }')
    assert settings(toml).services[0].unset == ("LLM_KEY",)
    [service] = settings(toml, {"LLM_KEY": "k-123456"}).services
    assert service.headers["Authorization"].reveal() == "Bearer k-123456"


@pytest.mark.parametrize(
    ("environ", "http", "websocket"),
    [
        ({}, 10.0, 30.0),
        ({"STAGING_CONNECTION_TIMEOUT": "7"}, 7.0, 30.0),
        ({"WEBSOCKET_CONNECTION_TIMEOUT": "9"}, 10.0, 9.0),
        ({"INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT": "5"}, 5.0, 5.0),
        ({"INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT": "60"}, 10.0, 30.0),
    ],
)
def test_probe_deadlines_come_from_the_guides_variables_and_are_cut(
    environ: dict[str, str], http: float, websocket: float
) -> None:
    toml = one("http", url="'http://h'") + one("websocket", url="'ws://h'").replace('"it"', '"ws"')
    assert tuple(service.timeout_s for service in settings(toml, environ).services) == (http, websocket)


def test_a_deadline_in_the_configuration_wins() -> None:
    toml = one("http", url="'http://h'", timeout_s="20")
    assert settings(toml, {"INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT": "5"}).services[0].timeout_s == 20.0


@pytest.mark.parametrize(
    ("variable", "field"),
    [
        ("INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT", "health_check_s"),
        ("STAGING_CONNECTION_TIMEOUT", "staging_connection_s"),
        ("WEBSOCKET_CONNECTION_TIMEOUT", "websocket_connection_s"),
        ("WEBSOCKET_RECV_TIMEOUT", "websocket_recv_s"),
        ("WEBSOCKET_SEND_TIMEOUT", "websocket_send_s"),
        ("FALLBACK_ACTIVATION_TIMEOUT", "fallback_activation_s"),
        ("FALLBACK_PREPARE_TIMEOUT", "fallback_prepare_s"),
        ("AGENT_EXECUTION_TIMEOUT", "agent_execution_s"),
        ("AGENT_THINKING_TIMEOUT", "agent_thinking_s"),
        ("AGENT_TOOL_TIMEOUT", "agent_tool_s"),
        ("TEST_RETRY_DELAY", "retry_delay_s"),
    ],
)
def test_each_number_of_the_guide_is_read_and_refused_by_name(variable: str, field: str) -> None:
    assert getattr(settings("", {variable: "4.5"}).deadlines, field) == 4.5
    assert getattr(settings("", {}, {".env.test.resilient": f"{variable}=4.5\n"}).deadlines, field) == 4.5
    for bad in ("three", "-1", "nan", "inf", "5s", "1e9", *(("0",) if field != "retry_delay_s" else ())):
        text = refused("", {variable: bad})
        assert text.startswith(f"{variable}='{bad}' in the environment")
        assert f"Hint: {variable}=" in text


def test_a_slip_in_any_env_file_is_named_by_file_and_line_as_in_the_style_guide() -> None:
    profiles = {
        ".env.test.resilient": "TEST_RETRY_ATTEMPTS=3\n",
        ".env.test.local": "# x\n\nTEST_RETRY_ATTEMPTS=three\n",
    }
    assert refused("", {}, profiles) == (
        "TEST_RETRY_ATTEMPTS='three' in config/.env.test.local:3: a whole number was expected. Hint: TEST_RETRY_ATTEMPTS=3"
    )


@pytest.mark.parametrize("value", ["0", "3", "12"])
def test_rounds_are_whole_numbers(value: str) -> None:
    assert settings("", {"TEST_RETRY_ATTEMPTS": value}).deadlines.retry_attempts == int(value)


@pytest.mark.parametrize("value", ["-1", "2.5", "1_0", "٣", "9999", "x"])
def test_rounds_that_are_not_are_refused(value: str) -> None:
    assert "a whole number" in refused("", {"TEST_RETRY_ATTEMPTS": value})


WISHES = [
    ("CONNECTIVITY_RESILIENCE_ENABLED", "false", {"resilience_enabled": False}),
    ("STAGING_CONNECTIVITY_FALLBACK", "false", {"fallback_enabled": False}),
    ("TEST_GRACEFUL_DEGRADATION", "false", {"fallback_enabled": False}),
    ("INFRASTRUCTURE_DEGRADED_MODE", "true", {"degraded_at_least": True}),
    ("TEST_OFFLINE", "true", {"offline": True}),
    ("NO_REAL_SERVERS", "true", {"offline": True}),
    ("TEST_CRITICAL_ONLY", "true", {"critical_only": True}),
    ("SKIP_NON_CRITICAL_TESTS", "true", {"critical_only": True}),
    ("DATABASE_MODE", "local", {"local_services": ("database",)}),
    ("REDIS_MODE", "local", {"local_services": ("redis",)}),
    ("CLICKHOUSE_MODE", "local", {"local_services": ("clickhouse",)}),
    ("WEBSOCKET_MOCK_MODE", "true", {"local_services": ("websocket",)}),
    ("AUTH_FALLBACK_MODE", "true", {"local_services": ("auth_service",)}),
    ("LLM_FALLBACK_MODE", "true", {"local_services": ("llm_service",)}),
    ("ISSUE_1278_WORKAROUND_ENABLED", "true", {"private_network_down": True}),
    ("VPC_CONNECTOR_BYPASS_MODE", "true", {"private_network_down": True}),
    ("CLOUD_SQL_FALLBACK_MODE", "true", {"private_network_down": True}),
    ("TEST_SKIP_ON_INFRASTRUCTURE_FAILURE", "false", {"skip_on_failure": False}),
]
ALL_SERVICES = "".join(
    f'[[service]]\nname = "{name}"\ntype = "{type_}"\nurl = "{scheme}://h"\n'
    for name, type_, scheme in (
        ("database", "postgresql", "postgresql"),
        ("redis", "redis", "redis"),
        ("clickhouse", "clickhouse", "http"),
        ("auth_service", "http", "http"),
        ("websocket", "websocket", "ws"),
        ("llm_service", "openai", "http"),
    )
)


@pytest.mark.parametrize(("variable", "value", "expected"), WISHES)
def test_each_row_of_the_guides_table_is_read_as_a_wish(variable: str, value: str, expected: dict[str, object]) -> None:
    found = settings(ALL_SERVICES, {variable: value}).wishes
    [(field, wanted)] = expected.items()
    assert getattr(found, field) == wanted
    assert found.asked_by[field] == f"{variable}={value}"
    opposite = {"true": "false", "false": "true", "local": "staging"}[value]
    assert settings(ALL_SERVICES, {variable: opposite}).wishes == Wishes()
    if value != "local":
        assert f"{variable}='maybe' in the environment" in refused(ALL_SERVICES, {variable: "maybe"})


@pytest.mark.parametrize("word", ["true", "yes", "on", "1", "TRUE", " On "])
def test_yes_has_many_words(word: str) -> None:
    assert settings("", {"TEST_OFFLINE": word}).wishes.offline


def test_a_profile_asks_for_no_mode_but_may_forbid() -> None:
    text = "TEST_OFFLINE=true\nINFRASTRUCTURE_DEGRADED_MODE=true\nTEST_SKIP_ON_INFRASTRUCTURE_FAILURE=false\n"
    found = settings("", {}, {".env.test.resilient": text}).wishes
    assert (found.offline, found.degraded_at_least, found.skip_on_failure) == (False, False, False)


@pytest.mark.parametrize("name", ["TEST_GRACEFUL_DEGRADATION", "TEST_OFFLINE", "LLM_FALLBACK_MODE"])
@pytest.mark.parametrize("file", [".env.test.resilient", ".env.test.minimal"])
def test_a_slip_in_a_profiles_flag_is_refused_by_file_and_line(name: str, file: str) -> None:
    text = refused("", {name: "true"}, {file: f"\n{name}=ture\n"})
    assert text.startswith(f"{name}='ture' in config/{file}:2")


def test_a_slip_in_a_service_mode_is_refused_and_a_teams_own_word_is_not() -> None:
    assert "REDIS_MODE='lokal'" in refused(ALL_SERVICES, {"REDIS_MODE": "lokal"})
    assert settings(ALL_SERVICES, {"REDIS_MODE": "cluster"}).wishes.local_services == ()


def test_a_wish_finds_services_of_other_names_by_their_type() -> None:
    toml = ALL_SERVICES.replace('"database"', '"orders"')
    assert settings(toml, {"DATABASE_MODE": "local"}).wishes.local_services == ("orders",)


def test_env_files_are_read_to_the_letter() -> None:
    text = "\ufeff# c\nexport A=1\nB='x # y'\nC=\"a b\"\nD=$A-${B}\nE=\n"
    assert {name: value for name, (value, _) in read_env_text(text.lstrip("\ufeff"), "f").items()} == {
        "A": "1",
        "B": "x # y",
        "C": "a b",
        "D": "$A-${B}",
        "E": "",
    }


@pytest.mark.parametrize("line", ["JUST_A_WORD", "=x", "A-B=1", "A='open", "1A=2", "two words=3"])
def test_a_broken_line_of_an_env_file_is_refused_by_line(line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_env_text(f"GOOD=1\n\n{line}\n", "config/.env.test.local")
    assert "config/.env.test.local:3" in str(caught.value)


def test_every_secret_is_collected() -> None:
    toml = DATABASE + one("http", url='"https://t0ken-user@h/x"', headers='{ X-Key = "head3r" }')
    environ = {
        **STAGING,
        "MY_API_TOKEN": "tok-1",
        "SENTRY_DSN": "https://k@s/1",
        "OTHER": "amqp://u:mq-pw@h",
        "HOME": "/x",
    }
    found = {secret.reveal() for secret in settings(toml, environ, {".env.test.resilient": PROFILE}).secrets}
    assert {"s3cret-pw", "dev-only", "t0ken-user", "head3r", "tok-1", "https://k@s/1", "mq-pw"} <= found
    assert not {"/x", "app", "db.staging.example"} & found


def test_settings_shown_in_a_notebook_show_no_secret() -> None:
    found = settings(DATABASE, STAGING, {".env.test.resilient": PROFILE})
    assert "s3cret-pw" not in repr(found)
    assert "dev-only" not in repr(found)
    assert "s3cret-pw" not in str(found.services[0].url)
    assert f"{Secret('x')}" == "***"


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


BACKEND = '[[service]]\nname = "backend_api"\ntype = "http"\nurl = "http://127.0.0.1:1/health"\nmock_routes = ["{}"]\n'


@pytest.mark.parametrize("route", ["/api/{{id}}", "POST /api/orders 201", "GET /api/orders"])
def test_the_routes_of_a_mock_are_taken(route: str) -> None:
    found = settings(BACKEND.format(route)).service("backend_api")
    assert found is not None
    assert found.mock_routes == (route,)


@pytest.mark.parametrize("route", ["api/orders", "FETCH me", "POST /api/orders later"])
def test_a_route_that_is_none_is_refused_by_name(route: str) -> None:
    with pytest.raises(SettingsError, match="mock_routes"):
        settings(BACKEND.format(route))

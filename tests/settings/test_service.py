"""One [[service]] table becomes a service, or is refused by key, file and line."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from resilience.core.errors import SettingsError
from resilience.core.urls import url_parts
from tests.kits.config_texts import DATABASE, PROFILE, STAGING, one, refused, settings


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
    assert service.url_names == tuple(STAGING), "staging's variables by name, also where one has no value"
    assert service.local


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


def test_a_developers_own_variable_never_makes_another_host_the_stand_in() -> None:
    environ = {
        **STAGING,
        "POSTGRES_HOST": "db.staging.example",
        "POSTGRES_USER": "app",
        "POSTGRES_PASSWORD": "s3cret-pw",
    }
    [service] = settings(DATABASE, environ, {".env.test.resilient": PROFILE}).services
    assert service.local.reveal() == "postgresql://dev:dev-only@127.0.0.1:5435/app_test"


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
    assert settings(toml).services[0].url_names == ("LLM_KEY",)
    [service] = settings(toml, {"LLM_KEY": "k-123456"}).services
    assert service.headers["Authorization"].reveal() == "Bearer k-123456"


def test_a_deadline_in_the_configuration_wins() -> None:
    toml = one("http", url="'http://h'", timeout_s="20")
    assert settings(toml, {"INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT": "5"}).services[0].timeout_s == 20.0


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


def test_stagings_own_values_for_the_exports_are_those_of_its_url_and_never_what_is_the_stand_ins_alone() -> None:
    exports = (
        '{ DATABASE_URL = "{local}", PGHOST = "{host}", PGPASSWORD = "{password}", KEY = "stand-in-only", '
        'MINE = "${ONLY_HERE}@{host}", ASYNC = "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}" }'
    )
    toml = DATABASE.replace('{ DATABASE_URL = "{local}" }', exports)
    [service] = settings(toml, STAGING, {".env.test.resilient": PROFILE + "\nONLY_HERE=x\n"}).services
    assert {name: value.reveal() for name, value in service.staging_exports.items()} == {
        "DATABASE_URL": "postgresql://app:s3cret-pw@db.staging.example:5432/app",
        "PGHOST": "db.staging.example",
        "PGPASSWORD": "s3cret-pw",
        "ASYNC": "postgresql+asyncpg://app:s3cret-pw@db.staging.example:5432/app",
    }
    [service] = settings(toml, {}, {".env.test.resilient": PROFILE + "\nONLY_HERE=x\n"}).services
    assert service.staging_exports == {}, "it is not configured"


def test_a_scheme_that_is_written_out_for_the_stand_in_follows_stagings_tls() -> None:
    toml = one(
        "http", url="'https://api.staging.example/health'", local="'http://127.0.0.1:8100'",
        exports="{ BACKEND_URL = 'http://{host}:{port}' }",
    )  # fmt: skip
    [service] = settings(toml, {}, {}).services
    assert service.exports["BACKEND_URL"].reveal() == "http://127.0.0.1:8100"
    assert service.staging_exports["BACKEND_URL"].reveal() == "https://api.staging.example:443"


def test_a_port_of_an_env_file_is_a_wish_and_all_that_names_it_follows_to_another() -> None:
    [service] = settings(DATABASE, STAGING, {".env.test.resilient": PROFILE}).services
    assert service.port_wish is not None
    assert service.port_wish.port == 5435
    moved = service.at_port(20123)
    assert moved.local.reveal() == "postgresql://dev:dev-only@127.0.0.1:20123/app_test"
    assert moved.local_values == {**service.local_values, "POSTGRES_PORT": "20123"}
    assert moved.exports["DATABASE_URL"].reveal() == moved.local.reveal()
    assert moved.at_port(5435) == service
    assert moved.url == service.url


def test_a_port_inside_a_variable_that_is_a_url_follows_and_the_variables_own_text_with_it() -> None:
    toml = one("redis", url='"redis://a.example"', local='"${REDIS_URL}"', exports='{ REDIS_PORT = "{port}" }')
    [service] = settings(toml, {}, {".env.test.local": "REDIS_URL=redis://:6382@127.0.0.1:6382/0\n"}).services
    moved = service.at_port(20123)
    assert moved.local_values == {"REDIS_URL": "redis://:6382@127.0.0.1:20123/0"}
    assert moved.exports["REDIS_PORT"].reveal() == "20123"


@pytest.mark.parametrize(
    ("local", "exports", "environ", "wish"),
    [
        ("redis://:x@127.0.0.1:6382/0", '{ REDIS_URL = "{local}" }', {}, True),  # as init writes it
        ("redis://:x@127.0.0.1:6382/0", "{}", {}, False),  # nothing would tell the tests
        ("redis://:x@127.0.0.1:7777/0", '{ REDIS_URL = "{local}" }', {}, False),
        ("redis://:x@127.0.0.1:${PORT}/0", "{}", {}, True),  # the env file's
        ("redis://:x@127.0.0.1:${PORT}/0", "{}", {"PORT": "6382"}, True),  # sourced from the env file
        ("redis://:x@127.0.0.1:${PORT}/0", "{}", {"PORT": "7777"}, False),
        ("redis://:x@127.0.0.1/0", '{ REDIS_URL = "{local}" }', {}, False),
    ],
)
def test_a_port_that_a_person_typed_is_meant_and_no_wish(
    local: str, exports: str, environ: dict[str, str], wish: bool
) -> None:
    toml = one("redis", url='"redis://a.example"', local=f'"{local}"', exports=exports)
    [service] = settings(toml, environ, {".env.test.local": "PORT=6382\n"}).services
    assert (service.port_wish is not None) is wish
    if not wish:
        assert service.at_port(20123) is service


def test_shared_is_true_or_false_and_nothing_else() -> None:
    [service] = settings(one("redis", url='"redis://a.example"', shared="true")).services
    assert service.shared
    for wrong in ('"true"', "1", "[true]"):
        assert "it.shared=" in refused(one("redis", url='"redis://a.example"', shared=wrong))


TEACHING = '[[service]]\nname = "api"\ntype = "http"\nurl = "http://127.0.0.1:1/health"\n'


def test_what_a_service_teaches_is_off_until_asked() -> None:
    [service] = settings(TEACHING).services
    assert (service.teach, service.teach_routes, service.require, service.build_from) == ((), (), "any", "")
    asked = 'teach = ["traffic"]\nteach_routes = ["/a?b=c"]\nrequire = "recorded"\nbuild_from = "json:info.build"\n'
    [service] = settings(TEACHING + asked).services
    assert (service.teach, service.teach_routes) == (("traffic",), ("/a?b=c",))
    assert service.teach_contract == "/openapi.json"
    [service] = settings(TEACHING + 'teach = ["contract"]\nteach_contract = "/docs/v1.yaml"\n').services
    assert (service.teach, service.teach_contract) == (("contract",), "/docs/v1.yaml")
    [service] = settings(TEACHING + asked).services
    assert (service.require, service.build_from) == ("recorded", "json:info.build")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('teach = ["trafic"]', "traffic"),
        ('teach = ["schema"]', '"traffic" or "contract" was expected'),
        ('teach_contract = "https://elsewhere/openapi.json"', "a path"),
        ('teach_contract = ""', "a teach_contract"),
        ('teach_routes = ["POST /orders"]', "asked by GET"),
        ('teach_routes = ["http://elsewhere/x"]', "paths"),
        ('require = "record"', "recorded"),
        ('build_from = "X-Version"', "header:X-Version"),
    ],
)
def test_what_cannot_be_taught_is_refused_by_its_key(line: str, said: str) -> None:
    with pytest.raises(SettingsError, match=line.partition(" ")[0]) as refused_by:
        settings(TEACHING + line + "\n")
    assert said in f"{refused_by.value} {refused_by.value.hint}"


DATA = DATABASE.replace("[[service]]", "[[service]]\n{}", 1)


def test_a_database_teaches_its_schema_from_a_replica_whose_password_is_a_secret() -> None:
    replica = 'teach = ["schema"]\nteach_from = "postgresql://r:${REPLICA_PW}@replica.example/app"'
    found = settings(DATA.replace("{}", replica, 1), {**STAGING, "REPLICA_PW": "of-the-replica-1"})
    [service] = found.services
    assert service.teach == ("schema",)
    assert service.teach_from.reveal() == "postgresql://r:of-the-replica-1@replica.example/app"
    assert "of-the-replica-1" in {secret.reveal() for secret in found.secrets}
    assert "of-the-replica-1" not in repr(service)
    [without] = settings(DATA.replace("{}", replica, 1), STAGING).services
    assert without.unset == ("REPLICA_PW",)


def test_a_database_teaches_no_traffic() -> None:
    with pytest.raises(SettingsError, match="teach"):
        settings(DATABASE.replace("[[service]]", '[[service]]\nteach = ["traffic"]'), STAGING)


def test_how_old_what_was_taught_may_become_has_its_table() -> None:
    assert settings(TEACHING).teach.stale_days == 7
    found = settings(TEACHING + "[teach]\nevery_hours = 1\nstale_days = 2\ndelete_after_days = 3\n").teach
    assert (found.every_hours, found.stale_days, found.delete_after_days) == (1, 2, 3)
    with pytest.raises(SettingsError, match="stale_day"):
        settings(TEACHING + "[teach]\nstale_day = 2\n")


def test_tests_trust_stand_ins_with_tls_and_a_variable_of_the_teams_own_stays() -> None:
    assert settings(TEACHING).trusted == {}
    assert not settings(TEACHING).services[0].recorder_tls
    asked = TEACHING + "recorder_tls = true\n"
    ours = settings(asked).trusted
    assert set(ours) == {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}
    assert ours["SSL_CERT_FILE"] == str(settings(asked).data / "tls" / "trusted.pem")
    theirs = settings(asked, {"SSL_CERT_FILE": "/theirs.pem", "REQUESTS_CA_BUNDLE": ours["REQUESTS_CA_BUNDLE"]}).trusted
    assert set(theirs) == {"REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}, "a shell may hold ours already"

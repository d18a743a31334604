"""The guide's variables become what a person wishes and how long things may take, or are refused by name and place."""

from __future__ import annotations

import pytest

from tests.kits.config_texts import refused, settings


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
    for name in ("REDIS_MODE", "DATABASE_MODE", "CLICKHOUSE_MODE"):
        for nonsense in ("true", "off", "1", "loccal"):
            assert f"{name}='{nonsense}'" in refused(ALL_SERVICES, {name: nonsense})
    assert settings(ALL_SERVICES, {"REDIS_MODE": "cluster"}).wishes.local_services == ()


def test_a_wish_finds_services_of_other_names_by_their_type() -> None:
    toml = ALL_SERVICES.replace('"database"', '"orders"')
    assert settings(toml, {"DATABASE_MODE": "local"}).wishes.local_services == ("orders",)

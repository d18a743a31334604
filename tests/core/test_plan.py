"""A plan says all that apply will do, in its words: which variables change to what, which tests wait, how to undo."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from resilience.core.mode import decide
from resilience.core.plan import (
    SELECT,
    changes_anything,
    child_environment,
    held_for,
    held_markers,
    make_plan,
    selection,
    staging_exports,
    taken_from_tests,
    unwell,
    values_to_apply,
)
from resilience.core.records import (
    Cause,
    CauseName,
    ConnectivityStatus,
    Decision,
    FaultCode,
    InfrastructureHealth,
    Plan,
    StandIn,
    StandInAvailability,
    TestExecutionMode as M,
)
from resilience.core.secret import Secret
from resilience.core.settings import PROFILE_FILES, Deadlines, ModeSettings, OwnStandIn, Service, Settings, Wishes
from resilience.core.variables import APPLIED, GUIDE
from resilience.fallback import apply as applying
from resilience.fallback.journal import Origin
from resilience.host.files import read_env_file
from resilience.services.registry import KINDS
from tests.kits.records import AT, LOCALS, TYPES, S, config, health

EVERY = tuple(TYPES)
FALLBACKS = (M.DEGRADED, M.OFFLINE, M.CRITICAL_ONLY)
VPC = Cause(cause=CauseName.VPC_CONNECTOR, services=("database",), evidence=("time-outs",), next="", issue="#1278")
SWITCHES = {
    "database": ("DATABASE_MODE", "local"),
    "redis": ("REDIS_MODE", "local"),
    "clickhouse": ("CLICKHOUSE_MODE", "local"),
    "websocket": ("WEBSOCKET_MOCK_MODE", "true"),
    "auth_service": ("AUTH_FALLBACK_MODE", "true"),
    "llm_service": ("LLM_FALLBACK_MODE", "true"),
}


def chosen(mode: M, stand_ins: Sequence[str] = (), *, held: dict[str, str] | None = None) -> Decision:
    return Decision(mode=mode, reasons=("a test",), decided_at=AT, stand_ins=tuple(stand_ins), held=held or {})


def values(tmp_path: Path, decision: Decision, **more: object) -> dict[str, str]:
    settings = more.pop("settings", None) or config(tmp_path)
    found = more.pop("found", None) or health({})
    return values_to_apply(decision, found, settings.planning, run="run-1", **more)  # type: ignore[arg-type]


def decided(
    tmp_path: Path, statuses: dict[str, ConnectivityStatus], usable: Sequence[str] = (), causes: Sequence[Cause] = ()
) -> tuple[Plan, Decision, InfrastructureHealth, Settings]:
    settings = config(tmp_path)
    found = health(statuses, usable=usable, causes=causes)
    decision = decide(found, settings.services, settings.wishes, now=AT)
    return make_plan(decision, found, settings.planning, before={}, run="run-1"), decision, found, settings


def test_a_team_that_does_not_use_the_guides_switches_is_given_none_and_keeps_its_own(tmp_path: Path) -> None:
    settings = replace(config(tmp_path), guide_variables=False)
    found = values(tmp_path, chosen(M.OFFLINE, ["redis"]), settings=settings, before={"TEST_OFFLINE": "theirs"})
    guides = {row.name for row in GUIDE}
    assert {name: value for name, value in found.items() if name in guides} == {"TEST_OFFLINE": "theirs"}
    assert LOCALS["redis"][1].items() <= found.items()


# --------------------------------------------------------------------------- the table of the guide's variables


@pytest.mark.parametrize("mode", FALLBACKS)
@pytest.mark.parametrize(
    "name", ["CONNECTIVITY_RESILIENCE_ENABLED", "STAGING_CONNECTIVITY_FALLBACK", "TEST_GRACEFUL_DEGRADATION"]
)
def test_resilience_and_fallback_are_written_true_in_every_mode(tmp_path: Path, name: str, mode: M) -> None:
    assert values(tmp_path, chosen(mode))[name] == "true"


@pytest.mark.parametrize("mode", FALLBACKS)
def test_degraded_mode_is_written_in_degraded_offline_and_critical_only(tmp_path: Path, mode: M) -> None:
    assert values(tmp_path, chosen(mode))["INFRASTRUCTURE_DEGRADED_MODE"] == "true"


@pytest.mark.parametrize("mode", FALLBACKS)
@pytest.mark.parametrize(
    ("name", "only"),
    [
        ("TEST_OFFLINE", M.OFFLINE),
        ("NO_REAL_SERVERS", M.OFFLINE),
        ("TEST_CRITICAL_ONLY", M.CRITICAL_ONLY),
        ("SKIP_NON_CRITICAL_TESTS", M.CRITICAL_ONLY),
    ],
)
def test_a_modes_own_switches_are_written_in_it_and_in_no_other(tmp_path: Path, name: str, only: M, mode: M) -> None:
    written = values(tmp_path, chosen(mode), before={name: "true"})
    assert written.get(name) == ("true" if mode is only else None)


@pytest.mark.parametrize("mode", FALLBACKS)
@pytest.mark.parametrize("service", SWITCHES)
def test_a_switch_is_written_for_each_stand_in_used_and_for_no_other(tmp_path: Path, service: str, mode: M) -> None:
    name, word = SWITCHES[service]
    others = [other for other in SWITCHES if other != service]
    assert values(tmp_path, chosen(mode, [service]))[name] == word
    assert name not in values(tmp_path, chosen(mode, others))


def test_a_switch_that_is_read_for_a_teams_own_name_is_written_for_it(tmp_path: Path) -> None:
    settings = config(tmp_path)
    renamed = tuple(replace(one, name="orders") if one.name == "database" else one for one in settings.services)
    settings = replace(settings, services=renamed)
    assert values(tmp_path, chosen(M.DEGRADED, ["orders"]), settings=settings)["DATABASE_MODE"] == "local"
    assert "DATABASE_MODE" not in values(tmp_path, chosen(M.DEGRADED, ["redis"]), settings=settings)


@pytest.mark.parametrize("mode", FALLBACKS)
@pytest.mark.parametrize(
    "name", ["ISSUE_1278_WORKAROUND_ENABLED", "VPC_CONNECTOR_BYPASS_MODE", "CLOUD_SQL_FALLBACK_MODE"]
)
def test_issue_1278_is_written_when_that_cause_is_found_and_only_then(tmp_path: Path, name: str, mode: M) -> None:
    assert values(tmp_path, chosen(mode), found=health({}, causes=[VPC]))[name] == "true"
    assert name not in values(tmp_path, chosen(mode), before={name: "true"})


@pytest.mark.parametrize("mode", FALLBACKS)
def test_skipping_is_a_persons_wish_and_never_written(tmp_path: Path, mode: M) -> None:
    assert "TEST_SKIP_ON_INFRASTRUCTURE_FAILURE" not in values(tmp_path, chosen(mode))


@pytest.mark.parametrize("mode", FALLBACKS)
@pytest.mark.parametrize(
    ("name", "deadline", "value"),
    [
        ("TEST_RETRY_ATTEMPTS", {"retry_attempts": 5}, "5"),
        ("TEST_RETRY_DELAY", {"retry_delay_s": 0.5}, "0.5"),
        ("INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT", {"health_check_s": 3.0}, "3"),
        ("STAGING_CONNECTION_TIMEOUT", {"staging_connection_s": 4.0}, "4"),
        ("WEBSOCKET_CONNECTION_TIMEOUT", {"websocket_connection_s": 31.0}, "31"),
        ("WEBSOCKET_RECV_TIMEOUT", {"websocket_recv_s": 21.5}, "21.5"),
        ("WEBSOCKET_SEND_TIMEOUT", {"websocket_send_s": 16.0}, "16"),
        ("FALLBACK_ACTIVATION_TIMEOUT", {"fallback_activation_s": 2.0}, "2"),
        ("AGENT_EXECUTION_TIMEOUT", {"agent_execution_s": 22.0}, "22"),
        ("AGENT_THINKING_TIMEOUT", {"agent_thinking_s": 12.0}, "12"),
        ("AGENT_TOOL_TIMEOUT", {"agent_tool_s": 7.0}, "7"),
    ],
)
def test_deadlines_and_rounds_are_passed_on(
    tmp_path: Path, mode: M, name: str, deadline: dict[str, float], value: str
) -> None:
    settings = replace(config(tmp_path), deadlines=Deadlines(**deadline))  # type: ignore[arg-type]
    assert values(tmp_path, chosen(mode), settings=settings)[name] == value


def test_a_deadline_that_nobody_set_is_not_invented(tmp_path: Path) -> None:
    assert "INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT" not in values(tmp_path, chosen(M.DEGRADED))


@pytest.mark.parametrize("mode", FALLBACKS)
def test_what_apply_writes_carries_its_mark(tmp_path: Path, mode: M) -> None:
    assert values(tmp_path, chosen(mode))[APPLIED] == "run-1"


# --------------------------------------------------------------------------- which variables


@pytest.mark.parametrize("mode", FALLBACKS)
@pytest.mark.parametrize("service", EVERY)
def test_only_the_variables_of_stood_in_services_are_written(tmp_path: Path, service: str, mode: M) -> None:
    written = values(tmp_path, chosen(mode, [service]))
    for name in EVERY:
        for variable, value in LOCALS[name][1].items():
            assert written.get(variable) == (value if name == service else None), variable
    assert ("DATABASE_URL" in written) == (service == "database")
    assert written["APP_ENV"] == "test", "the profile's other variables are the mode's"


def test_what_was_in_the_env_file_stays_where_nothing_overrides_it(tmp_path: Path) -> None:
    before = {"REDIS_URL": "redis://staging:1/0", "MINE": "1", "POSTGRES_HOST": "staging-db"}
    written = values(tmp_path, chosen(M.DEGRADED, ["database"]), before=before)
    assert written["REDIS_URL"] == "redis://staging:1/0", "a healthy service is still configured by it"
    assert written["MINE"] == "1"
    assert written["POSTGRES_HOST"] == "127.0.0.1"


def test_every_mode_and_every_set_of_stand_ins_writes_a_switch_exactly_for_what_is_stood_in(tmp_path: Path) -> None:
    sets = [tuple(n for n, use in zip(EVERY, bits, strict=True) if use) for bits in product((0, 1), repeat=len(EVERY))]
    settings = config(tmp_path)
    for mode in FALLBACKS:
        for stand_ins in sets:
            written = values(tmp_path, chosen(mode, stand_ins), settings=settings)
            assert {s for s, (name, _) in SWITCHES.items() if name in written} == set(stand_ins) & set(SWITCHES)


def test_mode_full_and_a_blocked_run_change_nothing(tmp_path: Path) -> None:
    assert not changes_anything(chosen(M.FULL))
    assert not changes_anything(replace(chosen(M.DEGRADED), blocked=True))
    plan = make_plan(chosen(M.FULL), health({}), config(tmp_path).planning, before={"MINE": "1"})
    assert (plan.changes, plan.undo, plan.by_hand, plan.steps) == ((), (), (), ("nothing to change",))


def test_each_mode_names_its_profile() -> None:
    assert dict(PROFILE_FILES) == {
        M.DEGRADED: ".env.test.resilient",
        M.OFFLINE: ".env.test.local",
        M.CRITICAL_ONLY: ".env.test.minimal",
    }


def test_the_tests_environment_is_the_callers_with_the_applied_values_on_top() -> None:
    assert child_environment({"PATH": "/bin", "A": "0"}, {"A": "1"}) == {"PATH": "/bin", "A": "1"}


# --------------------------------------------------------------------------- secrets


def services_and_wishes(settings: Settings) -> tuple[tuple[Service, ...], Wishes]:
    return settings.services, settings.wishes


def with_staging(tmp_path: Path, **wishes: bool) -> Settings:
    settings = config(tmp_path, wishes=Wishes(**wishes))  # type: ignore[arg-type]
    services = tuple(
        replace(service, url_names=(f"STAGING_{service.name.upper()}", "USER", "REDIS_URL"))
        for service in settings.services
    )
    return replace(settings, services=services)


def test_offline_takes_stagings_variables_out_of_the_file_and_of_the_tests_environment(tmp_path: Path) -> None:
    settings, decision = with_staging(tmp_path, offline=True), chosen(M.OFFLINE, ["database", "redis"])
    staging = {"STAGING_DATABASE": "there", "STAGING_REDIS": "there", "AUTH_SERVICE_URL": "there", "LEVEL": "7"}
    written = values(tmp_path, decision, settings=settings, before=staging)
    taken = taken_from_tests(decision, *services_and_wishes(settings))
    caller = {**staging, "USER": "oncall", "REDIS_URL": "there", "POSTGRES_HOST": "there"}
    found = child_environment(caller, written, taken)
    assert written["LEVEL"] == found["LEVEL"] == "7"
    assert found["USER"] == "oncall", "every program needs it"
    assert found["REDIS_URL"] != "there", "its stand-in is exported under a name of staging's"
    assert "there" not in {*written.values(), *found.values()}
    assert "AUTH_SERVICE_URL" in taken, "nothing stands in for it, so it would lead to staging"


@pytest.mark.parametrize("mode", [M.FULL, M.DEGRADED, M.CRITICAL_ONLY])
def test_what_is_not_offline_keeps_stagings_variables(tmp_path: Path, mode: M) -> None:
    assert taken_from_tests(chosen(mode, ["database"]), *services_and_wishes(with_staging(tmp_path))) == frozenset()


def test_offline_that_nobody_asked_for_takes_nothing_as_staging_may_be_back_in_the_middle(tmp_path: Path) -> None:
    assert (
        taken_from_tests(chosen(M.OFFLINE, ["database"]), *services_and_wishes(with_staging(tmp_path))) == frozenset()
    )


def test_offline_with_critical_only_runs_the_critical_tests_that_run_offline(tmp_path: Path) -> None:
    settings, decision = with_staging(tmp_path, offline=True, critical_only=True), chosen(M.OFFLINE, ["database"])
    plan = make_plan(decision, health({}), settings.planning, before={}, run="run-1")
    assert plan.select == f"({SELECT[M.OFFLINE]}) and ({SELECT[M.CRITICAL_ONLY]})"
    written = values(tmp_path, decision, settings=settings)
    for name in ("TEST_OFFLINE", "NO_REAL_SERVERS", "TEST_CRITICAL_ONLY", "SKIP_NON_CRITICAL_TESTS"):
        assert written[name] == "true"
    settings = with_staging(tmp_path, offline=True)
    assert selection(M.OFFLINE, settings.modes, settings.wishes) == SELECT[M.OFFLINE]


def test_secrets_are_masked_in_the_plan_and_true_in_the_values(tmp_path: Path) -> None:
    plan, decision, found, settings = decided(tmp_path, {"database": S.UNAVAILABLE}, EVERY)
    written = values_to_apply(decision, found, settings.planning, run="run-1")
    assert written["DATABASE_URL"] == "postgresql://app:local-pw@127.0.0.1:5435/app"
    assert "local-pw" not in repr(plan)
    change = next(change for change in plan.changes if change.name == "DATABASE_URL")
    assert change.secret
    assert "127.0.0.1:5435" in (change.after or ""), "what is no secret stays readable"


def test_a_secret_that_was_in_the_env_file_is_masked_by_its_name_and_by_its_place(tmp_path: Path) -> None:
    settings = config(tmp_path)
    before = {"API_TOKEN": "tok-0123456789", "OTHER_URL": "postgresql://me:hunter2-long@10.0.0.1/db"}
    plan = make_plan(chosen(M.DEGRADED), health({}), settings.planning, before=before)
    assert "tok-0123456789" not in repr(plan)
    assert "hunter2-long" not in repr(plan)


@pytest.mark.parametrize(
    ("own", "provider", "step", "by_hand"),
    [
        (OwnStandIn(image="redis:7"), "image", "from its own image: redis:7", ""),
        (
            OwnStandIn(compose_file="dc.yml", compose_service="cache"),
            "compose",
            "by its own command: docker compose -f dc.yml up cache",
            "docker compose -f dc.yml up -d --wait cache",
        ),
        (OwnStandIn(image="redis:7"), "system", "start or prove the local redis", ""),
    ],
)
def test_a_teams_own_container_is_in_the_plan_where_it_is_what_will_be_started(
    tmp_path: Path, own: OwnStandIn, provider: str, step: str, by_hand: str
) -> None:
    known = config(tmp_path)
    settings = replace(
        known, services=tuple(replace(one, own=own) if one.name == "redis" else one for one in known.services)
    )
    offer = StandInAvailability(service="redis", usable=True, provider=provider, reason="")
    found = replace(health({"redis": S.UNAVAILABLE}), stand_ins=(offer,))
    plan = make_plan(chosen(M.DEGRADED, ["redis"]), found, settings.planning, before={})
    assert [words for words in plan.steps if "redis" in words and step in words], plan.steps
    assert [line for line in plan.by_hand if line.startswith("docker")] == [by_hand][: bool(by_hand)]


def test_a_secret_that_stands_in_a_command_is_masked_in_the_plan(tmp_path: Path) -> None:
    settings = config(tmp_path)
    command = "PGPASSWORD=p1ain-in-command pytest --token local-pw --dsn postgresql://me:hunter2-long@10.0.0.1/db"
    services = tuple(replace(service, prepare=(command,), ready_query=command) for service in settings.services)
    settings = replace(settings, services=services, modes={M.DEGRADED: ModeSettings(commands=(command,))})
    found = health({"database": S.UNAVAILABLE}, usable=("database",))
    plan = make_plan(decide(found, settings.services, settings.wishes, now=AT), found, settings.planning, before={})
    masked = "PGPASSWORD=*** pytest --token *** --dsn postgresql://***@10.0.0.1/db"
    assert [planned.command for planned in plan.commands] == [masked]
    assert [(stand_in.prepare, stand_in.ready_query) for stand_in in plan.stand_ins] == [((masked,), masked)]
    assert not {"p1ain-in-command", "local-pw", "hunter2-long"} & set(repr(plan).replace("'", " ").split())
    assert "p1ain-in-command" not in repr(plan)


# --------------------------------------------------------------------------- the guide's scenarios


def test_database_unavailable_uses_the_stand_in_and_holds_what_asks_for_staging(tmp_path: Path) -> None:
    plan, decision, found, settings = decided(tmp_path, {"database": S.UNAVAILABLE}, EVERY)
    assert plan.mode is M.DEGRADED
    assert [stand_in.service for stand_in in plan.stand_ins] == ["database"]
    written = values_to_apply(decision, found, settings.planning)
    assert {name: written[name] for name in ("DATABASE_MODE", "POSTGRES_HOST", "POSTGRES_PORT")} == {
        "DATABASE_MODE": "local",
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": "5435",
    }
    assert set(plan.held_markers) == {"staging"}
    assert plan.select == ""


def test_each_marker_that_is_held_names_the_service_it_is_held_for(tmp_path: Path) -> None:
    settings = config(tmp_path, wishes=Wishes(fallback_enabled=False))
    found = health({"database": S.UNAVAILABLE}, usable=EVERY)
    decision = decide(found, settings.services, settings.wishes, now=AT)
    held = held_markers(decision, settings.services, settings.wishes)
    named = held_for(decision, settings.services)
    assert held
    assert {named[marker] for marker in held} == {"database"}


def test_database_unavailable_without_a_stand_in_holds_the_tests_that_need_it(tmp_path: Path) -> None:
    settings = config(tmp_path, wishes=Wishes(fallback_enabled=False))
    found = health({"database": S.UNAVAILABLE}, usable=EVERY)
    plan = make_plan(decide(found, settings.services, settings.wishes, now=AT), found, settings.planning, before={})
    assert {"real_database", "staging", "real_services"} <= set(plan.held_markers)
    assert "real_redis" not in plan.held_markers
    assert "STAGING_CONNECTIVITY_FALLBACK" in plan.held_markers["real_database"]


def test_complete_unavailability_runs_offline_on_stand_ins_and_no_test_of_staging(tmp_path: Path) -> None:
    plan, decision, found, settings = decided(tmp_path, dict.fromkeys(TYPES, S.UNAVAILABLE), EVERY)
    assert plan.mode is M.OFFLINE
    assert {stand_in.service for stand_in in plan.stand_ins} == set(EVERY)
    written = values_to_apply(decision, found, settings.planning)
    assert [written[name] for name in ("NO_REAL_SERVERS", "TEST_OFFLINE", "WEBSOCKET_MOCK_MODE")] == ["true"] * 3
    assert {"staging", "real_services"} <= set(plan.held_markers)
    assert plan.select == "(not real_services and not staging) or offline_capable"


def test_a_websocket_that_is_down_is_mocked_and_real_services_wait(tmp_path: Path) -> None:
    plan, decision, found, settings = decided(tmp_path, {"websocket": S.UNAVAILABLE}, EVERY)
    written = values_to_apply(decision, found, settings.planning)
    assert (written["WEBSOCKET_MOCK_MODE"], written["AGENT_EXECUTION_TIMEOUT"]) == ("true", "20")
    assert "mocks are used for websocket" in plan.held_markers["real_services"]


def test_a_websocket_that_is_down_and_cannot_be_mocked_holds_real_services(tmp_path: Path) -> None:
    plan, *_ = decided(tmp_path, {"websocket": S.UNAVAILABLE})
    assert {"websocket", "real_services", "staging"} <= set(plan.held_markers)
    assert plan.stand_ins == ()


def test_issue_1278_stands_in_for_what_is_behind_the_connector(tmp_path: Path) -> None:
    plan, decision, found, settings = decided(
        tmp_path, {"database": S.UNAVAILABLE, "redis": S.UNAVAILABLE}, EVERY, [VPC]
    )
    written = values_to_apply(decision, found, settings.planning)
    assert written["VPC_CONNECTOR_BYPASS_MODE"] == written["CLOUD_SQL_FALLBACK_MODE"] == "true"
    assert written["DATABASE_MODE"] == "local"
    assert [stand_in.service for stand_in in plan.stand_ins] == ["database", "redis"]


def test_a_network_that_is_down_leaves_the_offline_capable_tests(tmp_path: Path) -> None:
    cause = Cause(cause=CauseName.THIS_MACHINE, services=EVERY, evidence=("no route",), next="ip route")
    plan, *_ = decided(tmp_path, dict.fromkeys(TYPES, S.UNKNOWN), (), [cause])
    assert plan.mode is M.OFFLINE
    assert plan.select == SELECT[M.OFFLINE]
    assert {"real_database", "clickhouse", "real_services", "staging"} <= set(plan.held_markers)


def test_redis_and_clickhouse_that_are_down_are_used_locally_or_their_tests_wait(tmp_path: Path) -> None:
    down = {"redis": S.UNAVAILABLE, "clickhouse": S.UNAVAILABLE}
    plan, decision, found, settings = decided(tmp_path, down, EVERY)
    written = values_to_apply(decision, found, settings.planning)
    assert (written["REDIS_MODE"], written["CLICKHOUSE_MODE"]) == ("local", "local")
    assert not {"clickhouse", "real_redis"} & set(plan.held_markers)
    without, *_ = decided(tmp_path, down, ("redis",))
    assert "clickhouse" in without.held_markers
    assert "real_redis" not in without.held_markers


def test_tests_of_staging_never_run_against_mocks_even_where_nothing_else_is_held_back(tmp_path: Path) -> None:
    settings = config(tmp_path, wishes=Wishes(skip_on_failure=False))
    found = health({"backend_api": S.UNAVAILABLE}, usable=EVERY)
    held = held_markers(decide(found, settings.services, settings.wishes, now=AT), settings.services, settings.wishes)
    assert set(held) == {"staging", "real_services"}


def test_with_resilience_switched_off_nothing_is_held_and_nothing_changed(tmp_path: Path) -> None:
    settings = config(tmp_path, wishes=Wishes(resilience_enabled=False))
    found = health({"database": S.UNAVAILABLE}, usable=EVERY)
    plan = make_plan(decide(found, settings.services, settings.wishes, now=AT), found, settings.planning, before={})
    assert (plan.mode, plan.held_markers, plan.changes) == (M.FULL, {}, ())


def test_every_held_marker_says_why(tmp_path: Path) -> None:
    for mode, bits in product(FALLBACKS, product((S.AVAILABLE, S.UNAVAILABLE), repeat=len(EVERY))):
        found = health(dict(zip(EVERY, bits, strict=True)), usable=("redis", "websocket"))
        settings = config(tmp_path)
        decision = decide(found, settings.services, settings.wishes, now=AT, force=mode)
        for marker, why in held_markers(decision, settings.services, settings.wishes).items():
            assert marker
            assert len(why) > 15


# --------------------------------------------------------------------------- the words


async def _ready(services: Sequence[Service]) -> tuple[StandIn, ...]:
    return tuple(
        StandIn(service=s.name, type=s.type, provider="running", endpoint="127.0.0.1:1", ready=True, started_here=False)
        for s in services
    )


@pytest.mark.parametrize("second_file", [False, True])
def test_apply_says_the_plans_own_words_as_it_does_them(tmp_path: Path, second_file: bool) -> None:
    settings = config(tmp_path, env_target=tmp_path / ".env" if second_file else None)
    database = replace(settings.services[0], prepare=("alembic upgrade head",))
    settings = replace(settings, services=(database, *settings.services[1:]))
    found = health({"database": S.UNAVAILABLE, "websocket": S.UNAVAILABLE}, usable=EVERY)
    decision = decide(found, settings.services, settings.wishes, now=AT)
    plan = make_plan(decision, found, settings.planning, before={}, run="run-1")
    said: list[str] = []
    done = asyncio.run(
        applying.apply(
            plan,
            values_to_apply(decision, found, settings.planning, run="run-1"),
            settings.places,
            settings.services,
            Origin(run="run-1"),
            start=_ready,
            on_step=said.append,
            on_progress=lambda _: None,
        )
    )
    assert tuple(said) == done.steps == plan.steps
    assert any("alembic upgrade head" in step for step in plan.steps)
    assert len(read_env_file(settings.env_file)) == len(plan.changes)


def test_a_second_file_that_apply_writes_is_in_the_plan_and_its_undo(tmp_path: Path) -> None:
    settings = config(tmp_path, env_target=tmp_path / ".env")
    plan = make_plan(chosen(M.DEGRADED), health({}), settings.planning, before={})
    assert [step for step in plan.steps if step.endswith(" to .env")]
    assert "config/.env.test.active and .env" in plan.undo[0]


def test_a_mock_is_never_called_a_local_service(tmp_path: Path) -> None:
    plan, *_ = decided(tmp_path, dict.fromkeys(TYPES, S.UNAVAILABLE), EVERY)
    for stand_in in plan.stand_ins:
        line = next(step for step in plan.steps if f"for {stand_in.service} " in step)
        assert ("the mock for" in line) == KINDS[stand_in.type].is_mocked


def test_without_a_test_command_the_plan_says_what_to_write_into_the_configuration(tmp_path: Path) -> None:
    plan = make_plan(chosen(M.OFFLINE), health({}), replace(config(tmp_path), modes={}).planning, before={})
    assert any("[modes.offline] commands" in note for note in plan.notes)


def test_unwell_names_what_is_down_unknown_or_slow() -> None:
    found = health({"redis": S.DEGRADED, "database": S.UNAVAILABLE, "websocket": S.UNKNOWN})
    assert unwell(found) == ("database", "redis", "websocket")


# --------------------------------------------------------------------------- staging's own values


def exporting(tmp_path: Path, *, on: bool = True) -> Settings:
    settings = replace(config(tmp_path), staging_exports=on)
    services = tuple(
        replace(service, staging_exports={"DATABASE_URL": Secret("postgresql://app:pl4nted@db.example/app")})
        if service.name == "database"
        else replace(service, staging_exports={f"{service.name.upper()}_URL": Secret("there")})
        for service in settings.services
    )
    return replace(settings, services=services, secrets=(Secret("pl4nted"),))


@pytest.mark.parametrize("mode", list(M))
def test_the_tests_get_stagings_own_values_wherever_staging_is_used_and_where_somebody_asked_for_it(
    tmp_path: Path, mode: M
) -> None:
    """A suite that finds REDIS_URL by `staging_exports` alone found nothing there while only the database was stood in for."""
    given = staging_exports(chosen(mode), health({}), exporting(tmp_path).planning, {})
    assert ("DATABASE_URL" in given) is (mode is not M.OFFLINE)
    assert staging_exports(chosen(mode), health({}), exporting(tmp_path, on=False).planning, {}) == {}


@pytest.mark.parametrize("mode", [M.DEGRADED, M.CRITICAL_ONLY])
def test_what_is_stood_in_for_or_held_back_is_not_given_stagings_values(tmp_path: Path, mode: M) -> None:
    decision = chosen(mode, ["database"], held={"redis": "redis is unavailable"})
    given = staging_exports(decision, health({}), exporting(tmp_path).planning, {})
    assert not {"DATABASE_URL", "REDIS_URL"} & set(given)
    assert "CLICKHOUSE_URL" in given


def test_a_variable_that_the_shell_has_is_never_replaced_by_stagings_and_the_plan_says_both(tmp_path: Path) -> None:
    settings, shell = exporting(tmp_path), {"REDIS_URL": "mine", "CLICKHOUSE_URL": ""}
    assert not {"REDIS_URL", "CLICKHOUSE_URL"} & set(
        staging_exports(chosen(M.FULL), health({}), settings.planning, shell)
    )
    plan = make_plan(chosen(M.FULL), health({}), settings.planning, before={}, environ=shell)
    [given, kept] = [note for note in plan.notes if "staging_exports" in note]
    assert "DATABASE_URL=postgresql://***@db.example/app" in given
    assert kept.endswith("CLICKHOUSE_URL, REDIS_URL")
    assert plan.changes == ()


def test_the_address_of_a_host_that_must_not_be_tested_against_is_given_to_no_test(tmp_path: Path) -> None:
    found = health({})
    services = tuple(
        replace(one, fault=FaultCode.DENIED_HOST) if one.name == "database" else one for one in found.services
    )
    given = staging_exports(chosen(M.FULL), replace(found, services=services), exporting(tmp_path).planning, {})
    assert "REDIS_URL" in given
    assert "DATABASE_URL" not in given


def test_tests_are_told_whom_to_trust_where_a_stand_in_speaks_tls_and_never_over_their_own(tmp_path: Path) -> None:
    found = config(tmp_path)
    services = tuple(replace(one, recorder_tls=one.name == "backend_api") for one in found.services)
    trusted = {"SSL_CERT_FILE": "/data/tls/trusted.pem", "REQUESTS_CA_BUNDLE": "/data/tls/trusted.pem"}
    settings = replace(found, services=services, trusted=trusted)
    before = {"SSL_CERT_FILE": "/theirs.pem"}
    written = values(tmp_path, chosen(M.DEGRADED, ["backend_api"]), settings=settings, before=before)
    assert written["SSL_CERT_FILE"] == "/theirs.pem"
    assert written["REQUESTS_CA_BUNDLE"] == "/data/tls/trusted.pem"
    other = values(tmp_path, chosen(M.DEGRADED, ["redis"]), settings=settings)
    assert not trusted.keys() & other.keys(), "no stand-in of this plan speaks TLS"

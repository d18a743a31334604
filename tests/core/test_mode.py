"""The mode follows from the health by the table of the design, and says why."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from resilience.core.mode import RULES, WISHES, decide, look_at, mode_by_health, stricter
from resilience.core.records import Cause, CauseName, ConnectivityStatus, TestExecutionMode as M
from resilience.core.settings import Wishes
from tests.kits.records import AT, CRITICAL, TYPES, S, config, health

EVERY = tuple(TYPES)


def choose(
    tmp_path: Path,
    statuses: dict[str, ConnectivityStatus],
    *,
    usable: tuple[str, ...] = EVERY,
    wishes: Wishes | None = None,
    **more: object,
):  # type: ignore[no-untyped-def]
    settings = config(tmp_path, wishes=wishes)
    return decide(health(statuses, usable=usable), settings.services, settings.wishes, now=AT, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statuses", "usable", "mode", "blocked"),
    [
        ({}, EVERY, M.FULL, False),
        ({"clickhouse": S.NOT_CONFIGURED}, EVERY, M.FULL, False),
        ({"database": S.UNAVAILABLE}, EVERY, M.DEGRADED, False),
        ({"database": S.UNAVAILABLE, "backend_api": S.UNAVAILABLE}, EVERY, M.DEGRADED, False),
        ({"redis": S.UNAVAILABLE}, (), M.DEGRADED, False),
        ({"websocket": S.DEGRADED}, EVERY, M.DEGRADED, False),
        ({"database": S.DEGRADED}, EVERY, M.CRITICAL_ONLY, False),
        ({"database": S.DEGRADED, "redis": S.UNAVAILABLE}, EVERY, M.CRITICAL_ONLY, False),
        (dict.fromkeys(TYPES, S.UNAVAILABLE), EVERY, M.OFFLINE, False),
        ({"database": S.UNAVAILABLE}, (), M.DEGRADED, True),
        ({"database": S.NOT_CONFIGURED}, EVERY, M.DEGRADED, False),
    ],
)
def test_the_table_of_the_design(
    tmp_path: Path, statuses: dict[str, ConnectivityStatus], usable: tuple[str, ...], mode: M, blocked: bool
) -> None:
    decision = choose(tmp_path, statuses, usable=usable)
    assert (decision.mode, decision.blocked) == (mode, blocked)
    assert decision.reasons


def test_a_network_of_our_own_that_is_down_means_offline(tmp_path: Path) -> None:
    cause = Cause(cause=CauseName.THIS_MACHINE, services=EVERY, evidence=("no route",), next="ip route")
    found = health({"database": S.UNKNOWN, "redis": S.UNKNOWN}, usable=EVERY, causes=[cause])
    settings = config(tmp_path)
    assert decide(found, settings.services, settings.wishes, now=AT).mode is M.OFFLINE


def test_every_state_of_the_critical_services_gives_a_mode_that_never_trusts_the_dead(tmp_path: Path) -> None:
    settings = config(tmp_path)
    for one, two, other, usable in product(S, S, S, ((), ("database",), EVERY)):
        found = health({"database": one, "backend_api": two, "redis": other}, usable=usable)
        decision = decide(found, settings.services, settings.wishes, now=AT)
        dead = {r.name for r in found.services if r.status in (S.UNAVAILABLE, S.UNKNOWN)}
        if dead or S.DEGRADED in (one, two, other):
            assert decision.mode is not M.FULL
        for name in dead:
            assert (name in decision.stand_ins) != (name in decision.held), (one, two, other, usable, name)
        assert set(decision.stand_ins) <= set(usable)
        if decision.blocked:
            assert dead & set(CRITICAL)


@pytest.mark.parametrize("mode", [M.DEGRADED, M.OFFLINE])
def test_a_stand_in_that_did_not_come_up_holds_back_its_own_tests_and_the_mode_stays(tmp_path: Path, mode: M) -> None:
    down = dict.fromkeys(TYPES, S.UNAVAILABLE) if mode is M.OFFLINE else {"database": S.UNAVAILABLE}
    decision = choose(tmp_path, down, failed_stand_ins=("database",))
    assert decision.mode is mode
    assert not decision.blocked
    assert set(decision.held) == {"database"}
    assert set(decision.stand_ins) == set(down) - {"database"}
    assert decision.reasons[-1] == "the stand-in for database did not come up: its tests are held back, the mode stays"


def test_a_parameter_overrules_and_the_decision_says_so(tmp_path: Path) -> None:
    decision = choose(tmp_path, {"database": S.UNAVAILABLE}, usable=(), force=M.OFFLINE, asked_by="--force")
    assert (decision.mode, decision.forced, decision.blocked) == (M.OFFLINE, True, False)
    assert decision.would_be is M.DEGRADED
    assert "--force" in decision.reasons[0]


@pytest.mark.parametrize(
    ("wishes", "statuses", "mode"),
    [
        (Wishes(critical_only=True), {}, M.CRITICAL_ONLY),
        (Wishes(offline=True), {}, M.OFFLINE),
        (Wishes(degraded_at_least=True), {}, M.DEGRADED),
        (Wishes(degraded_at_least=True), dict.fromkeys(TYPES, S.UNAVAILABLE), M.OFFLINE),
        (Wishes(resilience_enabled=False), {"database": S.UNAVAILABLE}, M.FULL),
        (Wishes(local_services=("redis",)), {}, M.DEGRADED),
        (Wishes(private_network_down=True), {}, M.DEGRADED),
    ],
)
def test_the_guides_variables_overrule_the_health(
    tmp_path: Path, wishes: Wishes, statuses: dict[str, ConnectivityStatus], mode: M
) -> None:
    assert choose(tmp_path, statuses, wishes=wishes).mode is mode


def test_a_service_that_a_variable_wants_local_is_stood_in_for_whatever_the_probe_says(tmp_path: Path) -> None:
    assert choose(tmp_path, {}, wishes=Wishes(local_services=("redis",))).stand_ins == ("redis",)
    assert choose(tmp_path, {}, wishes=Wishes(private_network_down=True)).stand_ins == ("database", "redis")


def test_without_stand_ins_by_wish_the_tests_of_the_dead_are_held_back_not_blocked(tmp_path: Path) -> None:
    decision = choose(tmp_path, {"database": S.UNAVAILABLE}, wishes=Wishes(fallback_enabled=False))
    assert (decision.mode, decision.stand_ins, decision.blocked) == (M.DEGRADED, (), False)
    assert "STAGING_CONNECTIVITY_FALLBACK" in decision.held["database"]


def test_with_skipping_off_nothing_is_held_back(tmp_path: Path) -> None:
    decision = choose(tmp_path, {"database": S.UNAVAILABLE}, usable=(), wishes=Wishes(skip_on_failure=False))
    assert (decision.held, decision.blocked) == ({}, False)


def test_stricter_is_the_mode_that_trusts_staging_less() -> None:
    assert stricter(M.FULL, M.DEGRADED) is M.DEGRADED
    assert stricter(M.OFFLINE, M.CRITICAL_ONLY) is M.OFFLINE


def test_a_single_configured_service_that_is_down_is_not_the_whole_world(tmp_path: Path) -> None:
    settings = config(tmp_path)
    found = health({"database": S.UNAVAILABLE}, usable=EVERY)
    one = replace(found, services=found.services[:1])
    assert decide(one, settings.services, settings.wishes, now=AT).mode is M.DEGRADED


# --------------------------------------------------------------------------- the rules, row by row

OWN_NETWORK = Cause(cause=CauseName.THIS_MACHINE, services=EVERY, evidence=("no route",), next="ip route")
DOWN = dict.fromkeys(TYPES, S.UNAVAILABLE)
ROWS = (
    ({"redis": S.UNAVAILABLE}, (OWN_NETWORK,), M.OFFLINE, "this machine's own network is down"),
    (DOWN, (), M.OFFLINE, "nothing of staging answers"),
    ({"database": S.DEGRADED}, (), M.CRITICAL_ONLY, "not well enough for a full suite"),
    (dict.fromkeys(TYPES, S.NOT_CONFIGURED), (), M.DEGRADED, "no staging service is configured"),
    ({"redis": S.UNAVAILABLE}, (), M.DEGRADED, "redis is unavailable"),
    ({"database": S.NOT_CONFIGURED}, (), M.DEGRADED, "database (critical) is not configured"),
    ({}, (), M.FULL, "all configured services of staging are available"),
)
"""For each row of RULES, in its order, a staging in which it is the first that holds."""


@pytest.mark.parametrize("number", range(len(RULES)))
def test_each_rule_is_the_first_that_holds_for_its_staging_and_is_said(number: int) -> None:
    statuses, causes, mode, words = ROWS[number]
    found = health(statuses, usable=EVERY, causes=causes)
    seen = look_at(found)
    assert [rule.holds(seen) for rule in RULES].index(True) == number
    chosen, reasons = mode_by_health(found)
    assert chosen is mode is RULES[number].mode
    assert words in reasons[-1]


def test_every_rule_has_a_reason_and_the_last_one_always_holds() -> None:
    assert len(ROWS) == len(RULES)
    assert all(len(row.because) > 20 for row in (*RULES, *WISHES))
    for statuses, causes, *_ in ROWS:
        assert RULES[-1].holds(look_at(health(statuses, causes=causes)))


def test_where_two_rules_hold_the_stronger_one_counts() -> None:
    found = health({"database": S.DEGRADED}, causes=(OWN_NETWORK,))
    assert mode_by_health(found)[0] is M.OFFLINE


@pytest.mark.parametrize("row", WISHES, ids=lambda row: row.wish)
@pytest.mark.parametrize(
    ("statuses", "by_health"), [({}, M.FULL), (DOWN, M.OFFLINE), ({"redis": S.UNAVAILABLE}, M.DEGRADED)]
)
def test_each_wish_counts_over_the_modes_that_its_row_names(
    tmp_path: Path, row: Any, statuses: dict[str, ConnectivityStatus], by_health: M
) -> None:
    decision = choose(tmp_path, statuses, wishes=Wishes(**{row.wish: True}, asked_by={row.wish: "IT=1"}))
    assert decision.mode is (row.mode if by_health in row.over else by_health)
    assert decision.asked_by == ("IT=1" if by_health in row.over else "")


def test_who_overrules_whom_strongest_first(tmp_path: Path) -> None:
    off = Wishes(resilience_enabled=False, critical_only=True, offline=True)
    assert choose(tmp_path, {}, wishes=off, applied=M.DEGRADED, force=M.OFFLINE).mode is M.OFFLINE
    assert choose(tmp_path, {}, wishes=off, applied=M.DEGRADED).mode is M.DEGRADED
    assert choose(tmp_path, DOWN, wishes=off).mode is M.FULL
    both = choose(tmp_path, {}, wishes=Wishes(critical_only=True, offline=True))
    assert both.mode is M.OFFLINE, "the critical tests may touch nothing of staging either"


@pytest.mark.parametrize(
    "wishes", [{"offline": True}, {"critical_only": True}, {"offline": True, "critical_only": True}]
)
def test_a_stand_in_that_is_late_holds_back_its_own_tests_and_changes_no_wish(
    tmp_path: Path, wishes: dict[str, bool]
) -> None:
    down: dict[str, ConnectivityStatus] = {"database": S.UNAVAILABLE, "auth_service": S.UNAVAILABLE}
    first = choose(tmp_path, down, wishes=Wishes(**wishes))  # type: ignore[arg-type]
    second = choose(tmp_path, down, wishes=Wishes(**wishes), failed_stand_ins=("database",))  # type: ignore[arg-type]
    assert second.mode is first.mode
    assert second.asked_by == first.asked_by != ""
    assert set(first.stand_ins) - set(second.stand_ins) == {"database"}
    assert set(second.held) == {"database"}
    assert "its stand-in did not come up" in second.held["database"]


def test_who_wants_a_service_local_gets_no_tests_of_staging_where_it_has_no_stand_in(tmp_path: Path) -> None:
    wishes = Wishes(local_services=("clickhouse",), asked_by={"local_services.clickhouse": "CLICKHOUSE_MODE=local"})
    decision = choose(tmp_path, {}, usable=(), wishes=wishes)
    assert set(decision.held) == {"clickhouse"}
    assert decision.held["clickhouse"] == (
        "clickhouse was asked to be local (CLICKHOUSE_MODE=local) and has no stand-in here (no binaries found)"
    )
    assert any(reason.startswith("CLICKHOUSE_MODE=local has no effect") for reason in decision.reasons)


@pytest.mark.parametrize(
    ("wishes", "more", "said"),
    [
        (Wishes(offline=True), {"force": M.FULL}, "TEST_OFFLINE has no effect: mode full"),
        (Wishes(critical_only=True), {"applied": M.DEGRADED}, "TEST_CRITICAL_ONLY has no effect: mode degraded"),
        (Wishes(critical_only=True), {"force": M.OFFLINE}, ""),
        (Wishes(offline=True, critical_only=True), {}, ""),
        (Wishes(degraded_at_least=True), {"force": M.FULL}, "INFRASTRUCTURE_DEGRADED_MODE has no effect: mode full"),
        (Wishes(degraded_at_least=True), {"force": M.OFFLINE}, ""),
        (Wishes(offline=True, resilience_enabled=False), {}, "TEST_OFFLINE has no effect: mode full"),
        (Wishes(local_services=("redis",)), {"force": M.FULL}, "DATABASE_MODE has no effect: redis"),
        (Wishes(local_services=("redis",), fallback_enabled=False), {}, "stand-ins are switched off"),
        (Wishes(local_services=("redis",)), {}, ""),
        (Wishes(asked_by={"nothing_to_switch": "LLM_FALLBACK_MODE=true"}), {}, "LLM_FALLBACK_MODE=true has no effect"),
    ],
)
def test_a_switch_without_effect_is_said_and_one_with_is_not(
    tmp_path: Path, wishes: Wishes, more: dict[str, Any], said: str
) -> None:
    reasons = [reason for reason in choose(tmp_path, {}, wishes=wishes, **more).reasons if "has no effect" in reason]
    assert len(reasons) == bool(said)
    assert all(said in reason for reason in reasons)


def test_a_mode_that_a_parameter_asked_for_is_kept_by_the_second_decision(tmp_path: Path) -> None:
    down: dict[str, ConnectivityStatus] = {"database": S.UNAVAILABLE}
    second = choose(tmp_path, down, force=M.OFFLINE, asked_by="--force", failed_stand_ins=("database",))
    assert (second.mode, second.asked_by) == (M.OFFLINE, "--force")


def test_who_asked_for_a_mode_is_never_blocked(tmp_path: Path) -> None:
    down: dict[str, ConnectivityStatus] = {"database": S.UNAVAILABLE}
    assert choose(tmp_path, down, usable=()).blocked
    assert not choose(tmp_path, down, usable=(), force=M.DEGRADED).blocked
    assert not choose(tmp_path, down, usable=(), wishes=Wishes(critical_only=True)).blocked
    assert not choose(tmp_path, down, usable=(), wishes=Wishes(skip_on_failure=False)).blocked

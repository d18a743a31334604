"""The table of the guide's variables is the one of the contract, read as it says and written as it says."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from resilience.core.errors import SettingsError
from resilience.core.plan import values_to_apply
from resilience.core.records import Cause, CauseName, Decision, InfrastructureHealth, TestExecutionMode as M
from resilience.core.settings import Deadlines, Settings, Wishes
from resilience.core.variables import GUIDE, Asks, GuideVariable, Writes, variable_of
from resilience.services.registry import KINDS
from resilience.settings.build import build
from tests.kits.records import AT, TYPES, config, health

CONTRACT = """
| CONNECTIVITY_RESILIENCE_ENABLED=false | resilience_enabled | true |
| STAGING_CONNECTIVITY_FALLBACK=false, TEST_GRACEFUL_DEGRADATION=false | fallback_enabled | true |
| INFRASTRUCTURE_DEGRADED_MODE=true | degraded_at_least | in degraded, offline, critical_only |
| TEST_OFFLINE, NO_REAL_SERVERS | offline | in offline |
| TEST_CRITICAL_ONLY, SKIP_NON_CRITICAL_TESTS | critical_only | in critical_only |
| DATABASE_MODE, REDIS_MODE, CLICKHOUSE_MODE = local | local_services | for each stand-in used |
| WEBSOCKET_MOCK_MODE, AUTH_FALLBACK_MODE, LLM_FALLBACK_MODE | local_services | for each mock used |
| ISSUE_1278_WORKAROUND_ENABLED, VPC_CONNECTOR_BYPASS_MODE | private_network_down | when that cause is found |
| CLOUD_SQL_FALLBACK_MODE | private_network_down | when that cause is found |
| TEST_SKIP_ON_INFRASTRUCTURE_FAILURE=false | skip_on_failure | – |
| TEST_RETRY_ATTEMPTS, TEST_RETRY_DELAY | deadline | passed on |
| INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT, STAGING_CONNECTION_TIMEOUT, WEBSOCKET_CONNECTION_TIMEOUT | deadline | passed on |
| WEBSOCKET_RECV_TIMEOUT, WEBSOCKET_SEND_TIMEOUT, FALLBACK_ACTIVATION_TIMEOUT, FALLBACK_PREPARE_TIMEOUT | deadline | passed on |
| AGENT_EXECUTION_TIMEOUT, AGENT_THINKING_TIMEOUT, AGENT_TOOL_TIMEOUT | deadline | passed on |
"""
"""The contract's own rows; the middle column is the field of Wishes that stands for the sentence there."""
ROWS = [
    (name, cells[0], cells[1], cells[2])
    for line in CONTRACT.strip().splitlines()
    for cells in [[cell.strip() for cell in line.strip("| ").split("|")]]
    for name in re.findall(r"[A-Z][A-Z0-9_]+", cells[0])
]
FALLBACKS = (M.DEGRADED, M.OFFLINE, M.CRITICAL_ONLY)
VPC = Cause(cause=CauseName.VPC_CONNECTOR, services=("database",), evidence=("time-outs",), next="", issue="#1278")
BY_NAME = {row.name: row for row in GUIDE}
TOML = "".join(
    f'[[service]]\nname = "{name}"\ntype = "{type_.value}"\nlocal = "{scheme}://127.0.0.1:1"\n'
    for (name, type_), scheme in zip(
        TYPES.items(), ("postgresql", "redis", "http", "http", "http", "ws", "http"), strict=True
    )
)


def read(**environ: str) -> Settings:
    return build(TOML, source=None, root=Path("/srv/app"), environ=environ, profile_texts={}, kinds=KINDS)


def written(
    tmp_path: Path, name: str, mode: M, *, stand_ins: tuple[str, ...] = (), found: InfrastructureHealth | None = None
) -> str | None:
    """What applying leaves of a variable that an earlier run left in the env file as "before"."""
    decision = Decision(mode=mode, reasons=("a test",), decided_at=AT, stand_ins=stand_ins)
    return values_to_apply(decision, found or health({}), config(tmp_path).planning, before={name: "before"}).get(name)


def test_the_table_has_the_contracts_variables_in_its_order_each_once() -> None:
    assert [row.name for row in GUIDE] == [name for name, *_ in ROWS]
    assert len(BY_NAME) == len(GUIDE)


@pytest.mark.parametrize(("name", "first", "wish", "_last"), ROWS)
def test_each_row_is_read_as_the_contract_says(name: str, first: str, wish: str, _last: str) -> None:
    word = "false" if "=false" in first else "local" if "local" in first else "true"
    if wish == "deadline":
        assert getattr(read(**{name: "7"}).deadlines, BY_NAME[name].wish) == 7
        with pytest.raises(SettingsError, match=name):
            read(**{name: "soon"})
        return
    found = read(**{name: word}).wishes
    assert found != Wishes()
    assert getattr(found, wish) == ((BY_NAME[name].service,) if wish == "local_services" else word == "true")
    assert found.asked_by[wish] == f"{name}={word}"
    assert read(**{name: {"true": "false", "false": "true", "local": "staging"}[word]}).wishes == Wishes()
    if word != "local":
        with pytest.raises(SettingsError, match=f"{name}='maybe' in the environment"):
            read(**{name: "maybe"})


@pytest.mark.parametrize("mode", FALLBACKS)
@pytest.mark.parametrize(("name", "_first", "_wish", "last"), ROWS)
def test_each_row_is_written_as_the_contract_says(
    tmp_path: Path, name: str, _first: str, _wish: str, last: str, mode: M
) -> None:
    row = BY_NAME[name]
    if last == "true":
        assert written(tmp_path, name, mode) == "true"
    elif last.startswith("in "):
        named = last.removeprefix("in ").split(", ")
        assert written(tmp_path, name, mode) == ("true" if mode.value in named else None)
    elif last.startswith("for each"):
        others = tuple(service for service in TYPES if service != row.service)
        assert written(tmp_path, name, mode, stand_ins=(row.service,)) == ("true" if "mock" in last else "local")
        assert written(tmp_path, name, mode, stand_ins=others) is None
    elif last == "when that cause is found":
        assert written(tmp_path, name, mode, found=health({}, causes=[VPC])) == "true"
        assert written(tmp_path, name, mode) is None
    elif last == "passed on":
        value = getattr(Deadlines(), row.wish)
        assert written(tmp_path, name, mode) == ("before" if value is None else f"{value:g}")
    else:
        assert last == "–"
        assert written(tmp_path, name, mode) == "before"


@pytest.mark.parametrize("row", GUIDE, ids=lambda row: row.name)
def test_a_row_names_what_it_needs_and_no_more(row: GuideVariable) -> None:
    record = Deadlines if row.asks is Asks.NUMBER else Wishes
    assert row.wish in {field.name for field in fields(record)}
    assert bool(row.modes) == (row.writes is Writes.IN_MODES)
    assert bool(row.service) == (row.writes is Writes.FOR_STAND_IN)
    assert (row.asks is Asks.NUMBER) == (row.writes is Writes.PASSED_ON)


def test_every_wish_and_every_deadline_can_be_asked_for() -> None:
    asked = {row.wish for row in GUIDE}
    assert {field.name for field in fields(Wishes)} - {"asked_by"} <= asked
    assert {field.name for field in fields(Deadlines)} <= asked


def test_the_first_variable_of_a_wish_is_the_one_that_is_named() -> None:
    assert variable_of("fallback_enabled") == "STAGING_CONNECTIVITY_FALLBACK"
    assert variable_of("offline") == "TEST_OFFLINE"

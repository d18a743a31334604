"""Scenarios: what is shipped can be used, and what cannot be meant is refused by name."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resilience.core.errors import SettingsError, UsageError
from resilience.core.records import (
    CauseName,
    TestExecutionMode,
)
from resilience.lab.lab import PROJECT
from resilience.lab.proxy import Mode
from resilience.lab.scenario import CONTROL, SERVICES, At, Scenario
from resilience.lab.scenario_file import load_scenario, parse_scenario
from resilience.lab.shipped import scenario_names

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HEAD = 'title = "t"\nguide = "g"\ndescription = "d"\n'
STEP = '[[step]]\nat = "outage"\nservices = ["redis"]\nfault = "refuse"\n'


def parse(text: str) -> Scenario:
    return parse_scenario(HEAD + text, name="own", source="own.toml")


def test_every_outage_of_the_guide_has_its_scenario() -> None:
    guide = {load_scenario(name).guide.partition(":")[0] for name in scenario_names()}
    assert {"Scenario 1", "Scenario 2", "Scenario 3", "Issue #1278"} <= guide
    assert {"Network Connectivity Issues", "Redis/ClickHouse Unavailability"} <= guide
    modes = {load_scenario(name).expect.mode for name in scenario_names()}
    assert modes == set(TestExecutionMode)
    assert scenario_names()[0] == "database-unavailable"


@pytest.mark.parametrize("name", scenario_names())
def test_each_shipped_scenario_names_true_tests_and_every_service_once(name: str) -> None:
    scenario = load_scenario(name)
    tests = {
        f"{path.name}::{test}"
        for path in PROJECT.rglob("test_*.py")
        for test in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert set(scenario.expect.product_failures or ()) <= tests
    for moment in At:
        touched = [service for step in scenario.at(moment) for service in step.services]
        assert len(touched) == len(set(touched))


def test_an_unknown_scenario_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r'"database-unavailible".*did you mean "database-unavailable".*staging-down'):
        load_scenario("database-unavailible")
    with pytest.raises(UsageError, match=r"healthy, network-down"):
        load_scenario("zzz")
    with pytest.raises(UsageError, match=r"missing.toml cannot be read"):
        load_scenario("nowhere/missing.toml")


def test_a_scenario_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + STEP, encoding="utf-8")
    assert load_scenario(path).name == "mine"
    assert load_scenario(str(path)).steps[0].services == ("redis",)


def test_all_of_staging_is_a_star() -> None:
    (step,) = parse(STEP.replace('["redis"]', '["*"]')).steps
    assert step.services == (*SERVICES, CONTROL)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("titel = 'x'\n", r"titel=x in own.toml: no such key.*did you mean \"title\""),
        (STEP.replace("refuse", "refused"), r"step\[1\]\.fault=refused.*did you mean \"refuse\""),
        (STEP.replace('"redis"', '"redish"'), r"step\[1\]\.services=redish.*did you mean \"redis\""),
        (STEP.replace('["redis"]', "[]"), r"step\[1\]\.services"),
        (STEP.replace('["redis"]', '"redis"'), r"step\[1\]\.services=redis.*a list"),
        (STEP.replace('["redis"]', '["clickhouse"]'), r"step\[1\]\.services=clickhouse"),
        (STEP.replace('"outage"', '"outtage"'), r"step\[1\]\.at=outtage.*did you mean \"outage\""),
        (STEP.replace('at = "outage"\n', ""), r"step\[1\]\.at.*one of outage, during_tests, recovery"),
        (STEP.replace('fault = "refuse"\n', ""), r"step\[1\]\.fault.*one of healthy"),
        (STEP + "latency_s = 2\n", r"step\[1\]\.latency_s.*latency"),
        (STEP + "for_s = 0\n", r"step\[1\]\.for_s=0.*at least 0.05"),
        (STEP + "after_s = -1\n", r"step\[1\]\.after_s=-1"),
        (STEP + "after_s = true\n", r"step\[1\]\.after_s=True.*a number"),
        (STEP + "after_s = nan\n", r"step\[1\]\.after_s=nan.*a number"),
        (STEP + "after_connections = 3\n", r"after_connections.*during_tests"),
        (STEP + 'at_test = "test_a.py::test_a"\n', r"at_test.*during_tests"),
        (STEP.replace("outage", "during_tests") + "for_tests = 3\n", r"for_tests.*for_s beside it"),
        (STEP + "wait = 3\n", r"step\[1\]\.wait=3.*no such key"),
        (STEP.replace('"refuse"', '"flapping"\nfail = 3\nof = 2'), r"step\[1\]\.fail=3.*at most of = 2"),
        ("[step]\nat = 'outage'\n", r"step=.*\[\[step\]\]"),
        ("[timing]\ngood = 0\n", r"timing\.good=0"),
        ("[timing]\ngood = 2.5\n", r"timing\.good=2.5.*whole"),
        ("[timing]\ndwell = 1\n", r"timing\.dwell=1.*did you mean \"dwell_s\""),
        ("[environment]\nTEST_OFFLINE = true\n", r"environment\.TEST_OFFLINE=True.*quotes"),
        ("[expect]\nmode = 'degrade'\n", r"expect\.mode=degrade.*did you mean \"degraded\""),
        ("[expect]\nexit_code = 'one'\n", r"expect\.exit_code=one"),
        ("[expect]\nrecovered = 'yes'\n", r"expect\.recovered=yes.*true or false"),
        ("[expect]\ncauses = ['vpc']\n", r"expect\.causes=vpc"),
        ("[expect]\nproduct_failures = 'a'\n", r"expect\.product_failures=a"),
        ("[expect.status]\nredis = 'up'\n", r"expect\.status\.redis=up"),
        ("[expect.status]\nredsi = 'available'\n", r"expect\.status\.redsi.*did you mean \"redis\""),
        ("[expect.fault]\nredis = ['timeout']\n", r"expect\.fault\.redis=timeout"),
        ("[expect.tests]\npased = 3\n", r"expect\.tests\.pased.*did you mean \"passed\""),
        ("[expect.tests]\npassed = {}\n", r"expect\.tests\.passed.*at_least"),
        ("[expect.tests]\npassed = { atleast = 3 }\n", r"expect\.tests\.passed\.atleast"),
        ("title =\n", r"own in own.toml.*|own=.*TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(text: str, found: str) -> None:
    with pytest.raises(SettingsError, match=found) as refused:
        parse(text)
    assert "\n" not in str(refused.value)


def test_a_scenario_without_words_is_refused() -> None:
    with pytest.raises(SettingsError, match="title"):
        parse_scenario("", name="own", source="own.toml")


def test_figures_belong_to_their_fault() -> None:
    (step,) = parse(STEP.replace('"refuse"', '"http_status"\nstatus = 502')).steps
    assert (step.dial.mode, step.dial.status) == (Mode.HTTP_STATUS, 502)


def test_every_cause_can_be_expected() -> None:
    for cause in CauseName:
        assert parse(f"[expect]\ncauses = ['{cause.value}']\n").expect.causes == (cause,)

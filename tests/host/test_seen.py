"""seen.json: what answered is remembered by network, what did not answer changes nothing, and damage is only forgetting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from resilience.core.records import InfrastructureHealth
from resilience.host import seen
from tests.kits.records import S, health


def at(network: str, statuses: dict[str, S], **facts: str) -> InfrastructureHealth:
    found = health(statuses)
    return replace(
        found,
        vantage=replace(found.vantage, network=network),
        services=tuple(replace(result, facts=facts) for result in found.services),
    )


def look(state: Path, found: InfrastructureHealth) -> None:
    seen.remember(state, seen.load(state), found)


def test_what_answered_is_reached_from_that_network_and_no_other(tmp_path: Path) -> None:
    look(tmp_path, at("home", {"redis": S.DEGRADED, "database": S.UNAVAILABLE}))
    reached = seen.reached(seen.load(tmp_path), "home")
    assert "redis" in reached
    assert "database" not in reached
    assert seen.reached(seen.load(tmp_path), "office") == frozenset()


def test_the_facts_of_the_last_good_look_stay_through_an_outage(tmp_path: Path) -> None:
    look(tmp_path, at("home", {"database": S.AVAILABLE}, server_version="16.4", extensions="postgis 3.4"))
    look(tmp_path, at("home", {"database": S.UNAVAILABLE}, server_version="0"))
    assert seen.facts(tmp_path, "database")["server_version"] == "16.4"
    look(tmp_path, at("home", {"database": S.AVAILABLE}))
    assert seen.facts(tmp_path, "database")["extensions"] == "postgis 3.4"
    assert seen.facts(tmp_path, "nothing") == {}


def test_a_laptop_that_travels_does_not_make_the_file_grow(tmp_path: Path) -> None:
    for number in range(30):
        look(tmp_path, at(f"hotel {number}", {"redis": S.AVAILABLE}))
    assert seen.load(tmp_path)["redis"]["networks"] == [f"hotel {number}" for number in range(22, 30)]


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"redis": 7, "database": ["a"]}'])
def test_a_damaged_file_is_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "seen.json").write_text(text)
    assert seen.reached(seen.load(tmp_path), "home") == frozenset()
    assert seen.facts(tmp_path, "redis") == {}
    look(tmp_path, at("home", {"redis": S.AVAILABLE}))
    assert seen.reached(seen.load(tmp_path), "home") >= {"redis"}


def test_a_folder_that_cannot_be_written_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    look(tmp_path / "file", at("home", {"redis": S.AVAILABLE}))
    assert seen.load(tmp_path / "file") == {}

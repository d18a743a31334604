"""The scenarios that come with us are named from their files, and cheaply."""

from __future__ import annotations

from resilience.lab.scenario_file import load_scenario
from resilience.lab.shipped import MAIN, scenario_folder, scenario_names, scenario_titles


def test_each_file_is_a_scenario_and_the_main_one_stands_first() -> None:
    assert {f"{name}.toml" for name in scenario_names()} == {path.name for path in scenario_folder().glob("*.toml")}
    assert scenario_names()[0] == MAIN


def test_the_titles_are_those_of_the_scenarios() -> None:
    assert dict(scenario_titles()) == {name: load_scenario(name).title for name in scenario_names()}

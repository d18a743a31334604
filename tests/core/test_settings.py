"""Settings hand out what a room needs of them, and no more."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from resilience.core.records import TestExecutionMode
from resilience.core.settings import PROFILE_FILES, Places, Settings
from tests.kits.records import config


def test_places_are_the_paths_of_the_settings_under_the_same_names(tmp_path: Path) -> None:
    settings = config(tmp_path, env_target=tmp_path / ".env")
    assert {field.name for field in fields(Places)} <= {field.name for field in fields(Settings)}
    for field in fields(Places):
        assert getattr(settings.places, field.name) == getattr(settings, field.name)


@pytest.mark.parametrize("target", [None, ".env"])
def test_the_env_files_are_the_one_and_where_there_is_one_the_other(tmp_path: Path, target: str | None) -> None:
    places = config(tmp_path, env_target=tmp_path / target if target else None).places
    assert [places.shown(path) for path in places.env_files] == [
        "config/.env.test.active",
        *([target] if target else []),
    ]


def test_a_path_is_shown_relative_to_the_root_and_whole_outside_of_it(tmp_path: Path) -> None:
    places = config(tmp_path).places
    assert places.shown(tmp_path / "a" / "b") == "a/b"
    beside = tmp_path.with_name(f"{tmp_path.name}-beside")
    assert places.shown(beside) == str(beside)


def test_a_service_is_found_by_its_name(tmp_path: Path) -> None:
    settings = config(tmp_path)
    found = settings.service("redis")
    assert found is not None
    assert (found.name, found.configured) == ("redis", True)
    assert settings.service("no_such") is None


def test_the_folder_of_a_teams_interpreter_comes_first_in_its_path(tmp_path: Path) -> None:
    settings = config(tmp_path)
    assert settings.path("/bin") == "/bin"
    assert replace(settings, python="python3.8").path("/bin") == "/bin"
    assert replace(settings, python=".venv/bin/python").path("/bin") == f"{tmp_path}/.venv/bin:/bin"
    assert replace(settings, python="/opt/py/bin/python").path("") == "/opt/py/bin"


def test_each_mode_that_falls_back_has_a_profile_and_mode_full_has_none() -> None:
    assert set(PROFILE_FILES) == set(TestExecutionMode) - {TestExecutionMode.FULL}

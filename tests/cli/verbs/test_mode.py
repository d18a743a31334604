"""The mode is said with its reasons, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type, runs


def test_the_mode_follows_from_how_staging_is_and_its_reasons_are_told(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    assert type_in("mode", "--json").json["mode"] == "full"
    staging.status = 503
    said = type_in("mode")
    assert said.out.startswith("STAGING: DOWN")
    assert type_in("mode", "--json").json["reasons"]
    assert not runs(team)


def test_a_mode_asked_for_is_taken_and_the_answer_says_by_whom(type_in: Type, team: Path) -> None:
    said = type_in("mode", "--force", "critical_only", "--json")
    assert said.code == 0, "the exit code is about staging"
    assert said.json["mode"] == "critical_only"
    assert any("--force" in reason for reason in said.json["reasons"])

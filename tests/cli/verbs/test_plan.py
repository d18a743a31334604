"""What would be done is said, and nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type, with_stand_in


@pytest.mark.parametrize("verb", ["mode", "plan"])
def test_mode_and_plan_exit_as_assess_does_and_change_nothing(
    type_in: Type, team: Path, staging: SmallStaging, verb: str
) -> None:
    with_stand_in(team)
    staging.status = 503
    before = sorted(path for path in team.rglob("*") if ".resilience" not in path.parts)
    assert type_in(verb).code == 20
    document = type_in(verb, "--json").json
    assert (document["schema"], document["mode"], document["overall_status"]) == (1, "degraded", "unavailable")
    assert document["stand_ins"]
    forced = type_in(verb, "--force", "offline", "--json").json
    assert forced["mode"] == "offline"
    assert sorted(path for path in team.rglob("*") if ".resilience" not in path.parts) == before

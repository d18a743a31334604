"""Recovery is waited for, then proved by the tests."""

from __future__ import annotations

from pathlib import Path

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type


def test_recover_looks_once_and_tells_not_yet_with_the_code_of_assess(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    staging.status = 503
    said = type_in("recover", "--wait", "0")
    assert said.code == 20, said.out + said.err
    assert "RECOVERY: not yet" in said.out
    assert type_in("recover", "--wait", "0.2").code == 124


def test_recover_on_a_staging_that_is_well_runs_critical_then_full(type_in: Type, team: Path) -> None:
    said = type_in("recover", "--json")
    assert said.code == 0, said.err
    document = said.json
    assert set(document) >= {"schema", "recovery", "restored", "critical_tests", "full_tests", "exit_code"}
    assert document["recovery"]["recovered"] is True
    assert document["full_tests"]["totals"]["passed"] == 2

"""`watch` prints how staging is once, and then only what changes."""

from __future__ import annotations

from pathlib import Path

from tests.kits.run_kit import change
from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type


def test_only_changes_are_printed(type_in: Type, team: Path, staging: SmallStaging) -> None:
    change(team, "[runbook]\n", "[watch]\nconfirm_s = 0.01\n\n[runbook]\n")
    said = type_in("watch", "--interval", "0.01", "--rounds", "3")
    assert said.code == 0, said.err
    assert len(said.out.splitlines()) == 1
    assert "STAGING: UP" in said.out
    staging.status = 503
    lines = type_in("watch", "--interval", "0.01", "--rounds", "4").out.splitlines()
    assert [line.split(" ", 2)[2].split(":")[0] for line in lines] == ["STAGING", "backend_api", "OPENED"]
    type_in("watch", "--interval", "0").complains("--interval 0")

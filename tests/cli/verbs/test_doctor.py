"""What is not as it should be is said with what to type, and the exit code tells whether there is any."""

from __future__ import annotations

from pathlib import Path

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type, runs


def test_each_finding_has_its_sign_and_what_is_wrong_has_what_to_type(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    staging.status = 503
    said = type_in("doctor")
    assert said.code == 10
    lines = said.out.splitlines()
    service = next(number for number, line in enumerate(lines) if "service backend_api" in line)
    assert lines[service].startswith("look service backend_api: unavailable")
    assert any(line.startswith("       → ") for line in lines)
    assert any(line.startswith("ok ") for line in lines)
    good, _, rest = lines[-1].partition(" of ")
    assert 0 < int(good) < int(rest.split()[0])
    assert not runs(team), "looking makes no run"


def test_nothing_configured_keeps_it_from_nothing_else(type_in: Type, home: Path) -> None:
    said = type_in("doctor")
    assert said.code == 10
    assert "not configured" in said.out
    assert "container engine" in said.out
    assert said.err == ""

"""`say` puts the newest run into words for one reader, and refuses a reader it does not know."""

from __future__ import annotations

from pathlib import Path

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type


def test_the_newest_run_is_said_for_one_reader(type_in: Type, team: Path, staging: SmallStaging) -> None:
    type_in("say").complains("no run in")
    staging.status = 503
    assert type_in("test").code == 20
    said = type_in("say")
    assert said.code == 0, said.err
    assert "backend_api (503)" in said.out
    assert "Next update: " in said.out
    assert "backend_api" not in type_in("say", "--for", "status-page").out
    type_in("note", "called the provider")
    assert "called the provider" in type_in("say", "--hand-over").out
    type_in("say", "--for", "tem").complains("--for tem", 'did you mean "team"')

"""A shell gets what is applied, is told what it had of its own, and can give it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type, with_stand_in


def test_a_shell_with_values_of_its_own_is_told_which_cannot_be_given_back(
    type_in: Type, team: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_stand_in(team)
    staging.status = 503
    assert type_in("apply").code == 0
    try:
        monkeypatch.setenv("BACKEND_URL", "http://mine.example")
        said = type_in("env")
        assert "export BACKEND_URL=" in said.out
        assert "mine.example" not in said.out
        assert said.err.startswith("resilience env: this shell had values of its own for BACKEND_URL;")
        monkeypatch.setenv("RESILIENCE_APPLIED", "run")
        assert type_in("env").err == "", "what it has is ours already"
        assert "unset BACKEND_URL" in type_in("env", "--unset").out
    finally:
        assert type_in("restore").code == 0

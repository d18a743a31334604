"""The key is its owner's alone, outside of the store, and made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.errors import SettingsError
from resilience.teach import key


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    assert key.read(tmp_path / "data", {}) is None
    made = key.make(tmp_path / "data", {})
    assert len(made) >= 32
    assert key.make(tmp_path / "data", {}) == made == key.read(tmp_path / "data", {})
    assert key.path_in(tmp_path / "data").stat().st_mode & 0o777 == 0o600
    key.delete(tmp_path / "data")
    key.delete(tmp_path / "data")
    assert key.make(tmp_path / "data", {}) != made


def test_the_environments_key_wins_and_nothing_is_written(tmp_path: Path) -> None:
    given = {key.VARIABLE: "sixteen-or-more-letters"}
    assert key.make(tmp_path, given) == b"sixteen-or-more-letters"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SettingsError, match="RESILIENCE_TEACH_KEY") as refused:
        key.read(tmp_path, {key.VARIABLE: "short-key"})
    assert "short-key" not in str(refused.value)


def test_a_keys_mark_tells_keys_apart_and_is_no_part_of_them() -> None:
    marks = {key.mark(one) for one in (b"one", b"two", b"one")}
    assert len(marks) == 2
    assert all(len(mark) == 16 for mark in marks)

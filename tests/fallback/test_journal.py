"""What is needed to undo is on disk before the first change, and what cannot be read is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kits.fallback_kit import apply_values, put_back
from tests.kits.records import config


def test_a_broken_journal_is_named_not_ignored(tmp_path: Path) -> None:
    settings = config(tmp_path)
    apply_values(settings, {"A": "1"})
    file = settings.state / "journal.json"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(Exception, match=r"journal\.json"):
        put_back(settings)

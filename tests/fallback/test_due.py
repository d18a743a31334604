"""The last line of an interrupted command says what is applied and not undone, and what to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.fallback import journal
from resilience.fallback.due import due
from resilience.fallback.journal import Journal, Origin


def begun(state: Path) -> Journal:
    return journal.begin(state, Origin(run="run-1"), mode="degraded", paths=(), names=())


def test_nothing_applied_is_nothing_due(tmp_path: Path) -> None:
    assert due(tmp_path) == ("", "")


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        ("applied", "the fallback of run run-1 is applied", "resilience restore"),
        ("applying", "being applied", "resilience restore, or go on: resilience apply"),
        ("restoring", "being undone", "resilience restore, or go on: resilience apply"),
    ],
)
def test_each_state_of_the_journal_says_what_to_type(tmp_path: Path, status: str, said: str, hint: str) -> None:
    journal.step(tmp_path, begun(tmp_path), "as it is", status=status)
    what, to_type = due(tmp_path)
    assert said in what
    assert to_type == hint


def test_what_was_applied_on_another_host_is_to_be_undone_there(tmp_path: Path) -> None:
    journal.step(tmp_path, begun(tmp_path), "applied", status="applied", host="other-host")
    assert due(tmp_path)[1] == "on other-host: resilience restore"


def test_undo_data_that_cannot_be_read_are_never_nothing_due(tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / journal.FILE).write_text("{")
    what, to_type = due(tmp_path)
    assert what.startswith("the undo data cannot be read")
    assert to_type == "resilience status"

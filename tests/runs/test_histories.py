"""resilience.runs.histories: a question goes to the shared history where there is one, and says where it had to go instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.errors import UsageError
from resilience.runs import histories, memory
from resilience.runs.history import HistoryError
from resilience.runs.shared import SharedHistory
from tests.kits.ports import free_port
from tests.runs.test_forwarding import sharing
from tests.runs.test_merging import START, run, sample


def test_the_shared_one_is_asked_where_it_answers_and_else_this_checkouts_with_the_reason(
    tmp_path: Path, shared_database
) -> None:
    away = sharing(tmp_path, f"postgresql://u:pass-word@127.0.0.1:{free_port()}/x")
    with histories.chosen(away) as here:
        assert here.name == "history.sqlite"
        assert "the shared history" in here.why
        assert "pass-word" not in here.why
    with pytest.raises(HistoryError), histories.chosen(away, or_own=False):
        pass
    with shared_database() as url, histories.chosen(sharing(tmp_path, url)) as here:
        assert (here.name, here.why) == ("the shared history", "")
        assert isinstance(here.history, SharedHistory)


def test_a_checkouts_past_is_told_to_the_shared_one_and_carried_away_from_there(
    tmp_path: Path, shared_database
) -> None:
    alone = sharing(tmp_path, "")
    memory.record(alone, run("one", "a"), [sample(START, None)])
    own = memory.history_file(alone)
    with shared_database() as url:
        settings = sharing(tmp_path, url)
        new, name = histories.take(settings, own)
        assert (new.runs, new.samples, new.incidents, name) == (1, 1, 1, "the shared history")
        assert histories.take(settings, own)[0].samples == 0
        assert histories.export(settings, tmp_path / "copy.sqlite")[0].runs == 1
        assert histories.prune(settings, 0) == (1, "the shared history")
    with pytest.raises(UsageError, match="own history"):
        histories.take(alone, own)

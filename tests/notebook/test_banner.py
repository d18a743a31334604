"""The banner says what is applied here, by which run and since when, whatever kernel asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from resilience.core.codec import to_json
from resilience.fallback import journal as journals
from resilience.host.files import write_atomically
from resilience.notebook.banner import Banner, banner


def applied(tmp_path: Path, **changed: object) -> journals.Journal:
    env = tmp_path / ".env.test.active"
    env.write_text("MINE=1\n")
    origin = journals.Origin(run="2026-11-25-031407Z-incident", folder=tmp_path / "run")
    journal = journals.begin(tmp_path, origin, mode="degraded", paths=[env])
    journal = replace(journal, status="applied", stand_ins=("database", "redis"), **changed)  # type: ignore[arg-type]
    write_atomically(tmp_path / journals.FILE, to_json(journal))
    return journal


def test_where_nothing_is_applied_there_is_no_banner(tmp_path: Path) -> None:
    found = banner(tmp_path, tmp_path / "run", now=datetime.now(UTC))
    assert found == Banner()
    assert (found.html, found.text, found.offered) == ("", "", False)


def test_run_time_mode_and_stand_ins_are_said_and_whether_this_page_is_of_that_run(tmp_path: Path) -> None:
    journal = applied(tmp_path)
    now = journal.started_at + timedelta(minutes=7)
    mine = banner(tmp_path, tmp_path / "run", now=now)
    assert mine.line.startswith("APPLIED by run 2026-11-25-031407Z-incident since ")
    assert mine.line.endswith("UTC (7 min ago): mode degraded")
    assert "stand-ins for database and redis" in mine.detail
    assert "goes on with that run" in mine.detail
    assert mine.offered
    other = banner(tmp_path, tmp_path / "another", now=now + timedelta(hours=9))
    assert "9 h ago" in other.line
    assert "works on another run" in other.detail


def test_what_was_cut_short_and_what_another_host_applied_is_not_called_applied_here(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    journal = applied(tmp_path)
    write_atomically(tmp_path / journals.FILE, to_json(replace(journal, status="applying")))
    assert banner(tmp_path, tmp_path / "run", now=now).line.startswith("HALF APPLIED by run ")
    write_atomically(tmp_path / journals.FILE, to_json(replace(journal, host="elsewhere")))
    away = banner(tmp_path, tmp_path / "run", now=now)
    assert not away.offered
    assert away.hint == "on elsewhere: resilience restore"


def test_a_damaged_journal_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / journals.FILE).write_text("{")
    found = banner(tmp_path, tmp_path / "run", now=datetime.now(UTC))
    assert "cannot be read" in found.line
    assert found.hint
    assert not found.offered

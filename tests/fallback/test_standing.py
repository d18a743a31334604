"""What a journal, dead stand-ins and a killed run mean for the next step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from resilience.core.next_steps import Situation
from resilience.fallback import journal as journals
from resilience.fallback.standing import is_here, situation_of


def test_without_a_journal_only_what_was_killed_or_left_behind_counts() -> None:
    assert situation_of(None, ["redis"], killed="2026-11-25/031407Z", left_behind=".env") == Situation(
        killed="2026-11-25/031407Z", left_behind=".env"
    )


def test_what_is_applied_names_its_run_its_dead_stand_ins_and_another_host(tmp_path: Path) -> None:
    origin = journals.Origin(run="031407Z-incident", folder=tmp_path / "2026-11-25" / "031407Z-incident")
    journal = replace(journals.begin(tmp_path, origin, mode="degraded", paths=[]), status="applied")
    found = situation_of(journal, ["redis"])
    assert (found.fallback, found.run, found.dead) == ("applied", "2026-11-25/031407Z-incident", ("redis",))
    assert is_here(journal)
    away = replace(journal, host="elsewhere", status="applying")
    assert (situation_of(away, []).fallback, situation_of(away, []).elsewhere) == ("unfinished", "elsewhere")

"""What a shell took over is remembered by name, also after the restore that could not take it back."""

from __future__ import annotations

from pathlib import Path

from resilience.fallback import journal
from resilience.fallback.exported import exported_names, note_exported
from tests.kits.fallback_kit import apply_values, put_back
from tests.kits.records import config


def test_nothing_is_known_of_shells_where_none_took_anything_over(tmp_path: Path) -> None:
    assert exported_names(tmp_path / "state") == ()


def test_names_are_kept_without_values_and_each_shell_adds_its_own(tmp_path: Path) -> None:
    note_exported(tmp_path, {"B": "s3cret", "A": "1"})
    note_exported(tmp_path, {"C": "2"})
    assert exported_names(tmp_path) == ("A", "B", "C")
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert [b"s3cret" in path.read_bytes() for path in files] == [False]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600]


def test_restoring_says_what_shells_still_hold_and_keeps_knowing_it(tmp_path: Path) -> None:
    settings = config(tmp_path)
    apply_values(settings, {"A": "1", "B": "2"})
    note_exported(settings.state, ("A",))
    noted = journal.load(settings.state)
    assert noted is not None
    assert noted.exported
    assert put_back(settings).shell_variables == ("A", "B")
    assert exported_names(settings.state) == ("A",)


def test_a_shell_that_carries_this_runs_mark_is_told_as_well(tmp_path: Path) -> None:
    settings = config(tmp_path)
    apply_values(settings, {"A": "1"})
    assert put_back(settings, shell_run="another run").shell_variables == ()
    apply_values(settings, {"A": "1"})
    assert put_back(settings, shell_run="run-1").shell_variables == ("A",)

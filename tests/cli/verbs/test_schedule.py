"""`resilience schedule` prints one scheduler's files, or writes them where it is told to."""

from __future__ import annotations

from pathlib import Path

from tests.kits.typing_in import Type


def test_the_files_are_printed_and_nothing_is_written(type_in: Type, team: Path) -> None:
    before = sorted(team.rglob("*"))
    said = type_in("schedule", "cron")
    assert said.code == 0, said.err
    assert "*/5 * * * *" in said.out
    assert str(team) in said.out, "cron knows no current folder"
    assert sorted(team.rglob("*")) == before


def test_out_writes_them_below_a_folder_and_says_where(type_in: Type, team: Path, tmp_path: Path) -> None:
    said = type_in("schedule", "github-actions", "--out", str(tmp_path / "files"))
    assert said.code == 0, said.err
    written = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert [path.suffix for path in written] == [".yml"]
    assert all(path.name in said.out + said.err for path in written)


def test_an_unknown_scheduler_is_refused_with_the_nearest_and_an_install_that_breaks_out_of_its_quotes(
    type_in: Type, team: Path
) -> None:
    said = type_in("schedule", "kubernets")
    assert said.code == 2
    assert "kubernetes" in said.err
    said = type_in("schedule", "gitlab", "--install", "x'; rm -rf .")
    assert said.code == 2
    assert "without quotes" in said.err

"""How long a command took before is what is expected of the next time; what cannot be read is never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.runs.pace import Times, expected, remember


def test_the_middle_of_the_last_five_times_is_expected(tmp_path: Path) -> None:
    file = tmp_path / "pace.json"
    assert expected(file, "pytest", tmp_path) is None
    for run_s in (100.0, 1.0, 2.0, 3.0, 60.0, 4.0):
        remember(file, "pytest", tmp_path, Times(start_s=0.5, collect_s=run_s, run_s=run_s, tests=7))
    found = expected(file, "pytest", tmp_path)
    assert found == Times(start_s=0.5, collect_s=3.0, run_s=3.0, tests=7)
    assert found.total_s == 6.5


def test_another_command_and_another_folder_have_times_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "pace.json"
    remember(file, "pytest tests", tmp_path, Times(run_s=3.0))
    assert expected(file, "pytest", tmp_path) is None
    assert expected(file, "pytest tests", tmp_path / "other") is None


def test_the_file_does_not_tell_the_command_and_stays_small(tmp_path: Path) -> None:
    file = tmp_path / "pace.json"
    for number in range(120):
        remember(file, f"pytest --token hunter2-{number}", tmp_path, Times(run_s=1.0))
    assert "hunter2" not in file.read_text()
    assert file.stat().st_size < 10_000
    assert expected(file, "pytest --token hunter2-119", tmp_path) is not None


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"a": 3}', '{"KEY": [{"other": 1}]}', '{"KEY": []}'])
def test_a_file_that_cannot_be_read_expects_nothing_and_is_replaced(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pace.json"
    remember(file, "pytest", tmp_path, Times(run_s=1.0))
    key = file.read_text().split('"')[1]
    file.write_text(text.replace("KEY", key))
    assert expected(file, "pytest", tmp_path) is None
    file.write_text(text if "KEY" not in text else "")
    remember(file, "pytest", tmp_path, Times(run_s=2.0))
    assert expected(file, "pytest", tmp_path) == Times(run_s=2.0)


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    remember(tmp_path / "a file" / "pace.json", "pytest", tmp_path, Times(run_s=1.0))
    (tmp_path / "file").touch()
    remember(tmp_path / "file" / "pace.json", "pytest", tmp_path, Times(run_s=1.0))

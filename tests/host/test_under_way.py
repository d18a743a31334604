"""Whose a request is, is told by the notes of our plug-in, and by nobody where they do not tell it."""

from __future__ import annotations

from pathlib import Path

from resilience.host.under_way import begin, folder_in, under_way
from tests.kits.mock_kit import note


def test_the_only_process_of_tests_says_which_one_is_under_way(tmp_path: Path) -> None:
    note(tmp_path / "main", "tests/test_a.py::test_é", attempt=7)
    found = under_way(tmp_path)
    assert found is not None
    assert (found.test, found.attempt, found.owner, found.worker) == (
        "tests/test_a.py::test_é", 7, "test tests/test_a.py::test_é", "main",
    )  # fmt: skip


def test_of_several_processes_only_the_one_that_is_named_is_believed(tmp_path: Path) -> None:
    note(tmp_path / "gw0", "a::one")
    note(tmp_path / "gw1", "a::two")
    assert under_way(tmp_path) is None
    found = under_way(tmp_path, "gw1")
    assert found is not None
    assert found.test == "a::two"
    assert under_way(tmp_path, "gw2") is None


def test_what_a_lasting_fixture_does_is_the_fixtures(tmp_path: Path) -> None:
    note(tmp_path / "main", "a::one", fixture="tests/::client")
    found = under_way(tmp_path)
    assert found is not None
    assert found.owner == "fixture tests/::client"


def test_a_shorter_note_over_a_longer_one_is_read_to_its_own_end(tmp_path: Path) -> None:
    note(tmp_path / "main", "a::a_test_with_a_long_name")
    old = (tmp_path / "main").read_bytes()
    note(tmp_path / "main", "a::b")
    new = (tmp_path / "main").read_bytes()
    (tmp_path / "main").write_bytes(new + old[len(new) :])
    found = under_way(tmp_path)
    assert found is not None
    assert found.test == "a::b"


def test_between_two_tests_and_in_a_damaged_note_there_is_none(tmp_path: Path) -> None:
    note(tmp_path / "main", "")
    assert under_way(tmp_path) is None
    for text in (b"", b"00000010{", b"x" * 40, b"00000002[]"):
        (tmp_path / "main").write_bytes(text)
        assert under_way(tmp_path) is None
    assert under_way(tmp_path / "nowhere") is None


def test_a_run_begins_without_the_notes_of_one_that_was_killed(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    begin(folder)
    note(folder / "gw9", "a::killed")
    begin(folder)
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700

"""What is remembered across runs: a checkout's commit without git, and a history whose loss keeps nobody from working."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from resilience.runs import memory
from tests.kits.run_kit import an_incident, settings_of


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


@pytest.mark.parametrize("how", ["a branch", "packed references", "no branch", "a folder below", "a second work tree"])
def test_the_commit_is_read_as_git_would_say_it(repository: Path, how: str) -> None:
    expected, folder = git(repository, "rev-parse", "HEAD"), repository
    if how == "packed references":
        git(repository, "pack-refs", "--all")
    elif how == "no branch":
        git(repository, "checkout", "-q", "--detach")
    elif how == "a folder below":
        folder = repository / "a" / "b"
        folder.mkdir(parents=True)
    elif how == "a second work tree":
        folder = repository.parent / "second"
        git(repository, "worktree", "add", "-q", "--detach", str(folder))
    assert memory.commit(folder) == expected


def test_where_there_is_no_repository_or_no_commit_there_is_no_commit(tmp_path: Path) -> None:
    assert memory.commit(tmp_path / "nowhere") == ""
    git(tmp_path, "init", "-q")
    assert memory.commit(tmp_path) == ""


def test_a_history_that_cannot_be_opened_costs_only_what_it_would_have_said(team: Path) -> None:
    outputs = team / "a file"
    outputs.write_text("")
    settings = replace(settings_of(team), outputs=outputs)
    assert memory.history(settings) is None
    memory.record(settings, an_incident(), ())
    memory.prune(settings)
    assert not memory.has_history(settings)


def test_asking_makes_no_history_and_a_drill_has_one_of_its_own(team: Path) -> None:
    settings = settings_of(team)
    assert not memory.has_history(settings)
    memory.prune(settings)
    assert not settings.outputs.exists()
    memory.record(replace(settings, drill="a-drill"), an_incident(drill="a-drill"), ())
    assert [file.name for file in settings.outputs.glob("*.sqlite")] == ["drills.sqlite"]


def test_the_last_look_is_kept_where_it_can_be(tmp_path: Path) -> None:
    memory.note_snapshot(tmp_path / "state", b"{}")
    assert memory.snapshot(tmp_path / "state").read_bytes() == b"{}"
    (tmp_path / "file").write_text("")
    memory.note_snapshot(tmp_path / "file", b"{}")


def test_versions_name_what_a_reader_of_the_report_asks_for() -> None:
    assert {"python", "asyncpg", "redis", "papermill"} <= set(memory.versions())

"""resilience.cli.actions: annotations and the step's summary are written in GitHub Actions, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.cli.actions import tell_actions


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "annotations.txt").write_text("::error title=a::b\n")
    (tmp_path / "summary.md").write_text("### s\n")
    return tmp_path


def test_nothing_is_told_outside_of_actions(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(run / "step"))
    tell_actions(run)
    assert capsys.readouterr() == ("", "")
    assert not (run / "step").exists()


def test_in_actions_the_annotations_are_printed_and_the_summary_added(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(run / "step"))
    for _ in range(2):
        tell_actions(run)
    assert (run / "step").read_text() == "### s\n" * 2
    assert capsys.readouterr() == ("", "::error title=a::b\n" * 2)
    (run / "annotations.txt").unlink()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "")
    tell_actions(run)
    assert capsys.readouterr() == ("", "")

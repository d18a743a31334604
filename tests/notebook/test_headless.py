"""A headless run: what is wrong with the question makes no folder, and what is said at the end is what the records say."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.errors import LockedError, NotConfiguredError, SettingsError, UsageError
from resilience.core.records import ExitCode, Stage, StageName, StageStatus, Verdict
from resilience.host.lock import locked
from resilience.notebook.engine import Executed
from resilience.notebook.headless import conclude, run_all
from resilience.runs.runbook import Run
from tests.kits.records import AT
from tests.kits.run_kit import on_disk, settings_of


def test_what_is_wrong_with_the_question_is_refused_before_a_folder_is_made(team: Path) -> None:
    settings = settings_of(team)
    with pytest.raises(UsageError, match='did you mean "never"'):
        run_all(settings, apply=False, fail_on="nevr")
    with pytest.raises(SettingsError, match="aply"):
        run_all(settings, apply=False, parameters={"aply": "true"})
    with locked(settings.state, "test", run="another"), pytest.raises(LockedError, match=r"another.*--take-over"):
        run_all(settings, apply=True)
    config = team / "resilience.toml"
    config.write_text(config.read_text().replace('url = "http', 'url = "${UNSET_HERE}http'))
    with pytest.raises(NotConfiguredError):
        run_all(settings_of(team), apply=False)
    assert not (team / "outputs").exists()


def ended(status: StageStatus, code: int, *, signal: int | None = None) -> Executed:
    stage = Stage(name=StageName.ASSESS, status=status, started_at=AT, error="Why: this", exit_code=code)
    return Executed(stages=(stage,), exit_code=code, duration_s=1.0, signal=signal)


@pytest.mark.parametrize(
    ("executed", "code"),
    [
        (ended(StageStatus.INTERRUPTED, ExitCode.TERMINATED, signal=15), ExitCode.TERMINATED),
        (ended(StageStatus.FAILED, ExitCode.LOCKED), ExitCode.LOCKED),
        (ended(StageStatus.KILLED, ExitCode.RUNBOOK_FAILED), ExitCode.RUNBOOK_FAILED),
        (ended(StageStatus.TIMED_OUT, ExitCode.TIMED_OUT), ExitCode.TIMED_OUT),
    ],
)
def test_the_end_is_said_written_and_returned_alike(
    team: Path, executed: Executed, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run.create(settings_of(team))
    run.save(stages=executed.stages)
    assert conclude(run, executed) == code
    assert on_disk(run)["exit_code"] == code
    told = capsys.readouterr().out
    assert f"Exit code {code}:" in told
    assert told.splitlines()[-1] == str(run.folder / "report.html")


async def test_what_fail_on_hides_is_said_in_words(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.create(settings_of(team))
    whole = Executed(stages=(), exit_code=0, duration_s=1.0)
    assert conclude(run, whole) == ExitCode.UNKNOWN
    assert conclude(run, whole, fail_on="never") == ExitCode.PASSED
    assert f"--fail-on never hides exit code {ExitCode.UNKNOWN}: " in capsys.readouterr().err
    assert (on_disk(run)["verdict"], on_disk(run)["exit_code"]) == (Verdict.UNKNOWN.value, ExitCode.UNKNOWN)


def test_a_run_that_is_to_be_published_nowhere_is_refused_before_a_folder_is_made(team: Path) -> None:
    with pytest.raises(UsageError, match="no repository is configured"):
        run_all(settings_of(team), apply=False, parameters={"publish": "true"})
    assert not list((team / "outputs").glob("2*"))

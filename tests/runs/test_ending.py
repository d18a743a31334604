"""However a run breaks off it gets an end and a report, and only a dead one is settled by somebody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from resilience.core.errors import LockedError, RunbookError
from resilience.core.records import Verdict
from resilience.host.lock import locked
from resilience.runs import ending
from resilience.runs.folder import read_incident
from resilience.runs.runbook import Run
from tests.kits.endings import disagreements
from tests.kits.run_kit import settings_of
from tests.runs.test_owner import gone


@pytest.mark.parametrize(
    ("error", "verdict", "code"),
    [
        (KeyboardInterrupt(), Verdict.INTERRUPTED, 130),
        (RunbookError("no disk"), Verdict.RUNBOOK_FAILED, 30),
        (ValueError("ours"), Verdict.RUNBOOK_FAILED, 30),
    ],
    ids=["a signal", "our error", "what nobody foresaw"],
)
async def test_what_breaks_off_gets_an_end_and_a_report_that_agree(
    team: Path, error: BaseException, verdict: Verdict, code: int
) -> None:
    run = Run.create(settings_of(team))
    await run.assess()
    with pytest.raises(type(error)), ending.recording_the_end(run):
        raise error
    incident = read_incident(run.folder)
    assert (incident.verdict, incident.exit_code) == (verdict, code)
    assert disagreements(run.folder) == []
    assert (run.folder / "report.md").exists()


async def test_who_is_refused_by_the_lock_writes_no_end_into_a_run_that_another_is_at(team: Path) -> None:
    """`test` typed twice on what is applied: the second one's 75 stood in the record while the first one's tests ran."""
    theirs = Run.create(settings_of(team))
    await theirs.assess()

    def refused(meanwhile: Callable[[], None] = lambda: None) -> None:
        with ending.making(lambda: Run.open(theirs.folder, theirs.settings)):
            meanwhile()
            raise LockedError("another run holds the lock")

    with locked(theirs.settings.state, "test", run=theirs.incident.run), pytest.raises(LockedError):
        refused()
    assert read_incident(theirs.folder).verdict is Verdict.RUNNING
    with pytest.raises(LockedError):
        refused(lambda: theirs.save(notes=("it has ended meanwhile",)))
    assert read_incident(theirs.folder).verdict is Verdict.RUNNING
    assert not (theirs.folder / "report.md").exists()
    with pytest.raises(LockedError), ending.making(lambda: Run.create(settings_of(team))) as mine:
        raise LockedError("another run holds the lock")
    incident = read_incident(mine.folder)
    assert (incident.verdict, incident.exit_code) == (Verdict.RUNBOOK_FAILED, 75), "nobody else ends a run of its own"


async def test_a_run_says_running_until_all_else_is_written(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.create(settings_of(team))
    await run.assess()
    seen: list[tuple[str, bool, bool]] = []
    rename = Path.replace

    def watched(self: Path, target: Path) -> Path:
        if Path(target).name == "report.md":
            text = self.read_text()
            seen.append((read_incident(run.folder).verdict.value, "Exit code" in text, "Still running" in text))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    run.report()
    assert seen == [("running", False, True), ("running", True, False)]
    assert read_incident(run.folder).verdict is not Verdict.RUNNING


async def test_a_file_that_cannot_get_its_name_is_named_in_the_record_and_costs_no_other(team: Path) -> None:
    run = Run.create(settings_of(team))
    await run.assess()
    run.report(charts=False)
    metrics = run.folder / "metrics.prom"
    metrics.unlink()
    metrics.mkdir()
    (metrics / "in the way").touch()
    ending.leave_report(run)
    incident = read_incident(run.folder)
    assert any(note.startswith("metrics.prom: could not be written") for note in incident.notes)
    assert "Exit code" in (run.folder / "report.md").read_text(), "the others are whole"


async def test_only_a_run_whose_process_is_gone_is_settled(team: Path) -> None:
    settings = settings_of(team)
    run = Run.create(settings)
    await run.assess()
    assert not ending.settle(run.folder, settings), "it lives"
    run.incident = replace(run.incident, owner=gone())
    run.save()
    assert ending.settle(run.folder, settings)
    assert read_incident(run.folder).verdict is Verdict.KILLED
    assert not ending.settle(run.folder, settings), "it has an end now"
    assert not ending.settle(team, settings), "there is no run"

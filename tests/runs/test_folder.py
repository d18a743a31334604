"""A run's folder: made exclusively, found again, and written by one writer that hides secrets and never leaves half a record."""

from __future__ import annotations

import ast
import asyncio
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from resilience.core.errors import OrderError, RecordError, UsageError
from resilience.core.records import (
    Stage,
    StageName,
    StageStatus,
    TimelineEvent,
    Verdict,
)
from resilience.core.redact import Redactor
from resilience.runs import runbook
from resilience.runs.folder import change_incident, read_incident, record_stage, with_stage, write_incident
from resilience.runs.runbook import Run
from tests.kits.records import AT, S, health
from tests.kits.run_kit import SECRET, an_incident, on_disk, settings_of
from tests.kits.small_staging import SmallStaging

PACKAGE = Path(__file__).resolve().parents[2] / "resilience"
LATER = AT + timedelta(seconds=5)


def a_stage(status: StageStatus, *, seconds: float = 0.0, **fields: str) -> Stage:
    return Stage(name=StageName.ASSESS, status=status, started_at=AT + timedelta(seconds=seconds), **fields)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_incident(tmp_path, an_incident(), str)
    return tmp_path


WAYS: tuple[Callable[[Path, Callable[[str], str]], object], ...] = (
    lambda folder, redact: write_incident(folder, an_incident(notes=(SECRET,)), redact),
    lambda folder, redact: change_incident(folder, redact, notes=(SECRET,)),
    lambda folder, redact: record_stage(folder, a_stage(StageStatus.FAILED, error=SECRET, hint=SECRET), redact),
    lambda folder, redact: change_incident(folder, redact, timeline=(TimelineEvent(at=AT, what="x", detail=SECRET),)),
)


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_writing_lets_a_secret_into_the_record(
    folder: Path, way: Callable[[Path, Callable[[str], str]], object]
) -> None:
    way(folder, Redactor([SECRET]).text)
    assert SECRET not in (folder / "incident.json").read_text()
    assert "***" in (folder / "incident.json").read_text()


def test_what_is_written_is_read_back_and_nothing_is_left_beside_it(folder: Path) -> None:
    whole = an_incident(notes=("a",), stages=(a_stage(StageStatus.FINISHED),))
    write_incident(folder, whole, str)
    assert read_incident(folder) == whole
    assert [file.name for file in folder.iterdir()] == ["incident.json"]


def test_what_stands_on_disk_already_is_not_written_again(folder: Path) -> None:
    file = folder / "incident.json"
    data = write_incident(folder, an_incident(), str)
    before = file.stat().st_ino
    assert write_incident(folder, an_incident(), str, saved=data) == data
    assert file.stat().st_ino == before
    write_incident(folder, an_incident(notes=("a",)), str, saved=data)
    assert file.stat().st_ino != before


def test_of_a_stage_only_the_latest_attempt_is_kept() -> None:
    other = replace(a_stage(StageStatus.FINISHED), name=StageName.REPORT)
    before = an_incident(stages=(a_stage(StageStatus.FAILED, error="no"), other))
    begun = a_stage(StageStatus.STARTED, seconds=5)
    assert with_stage(before, begun).stages == (other, begun)
    done = replace(begun, status=StageStatus.FINISHED)
    assert with_stage(with_stage(before, begun), done).stages == (other, done)


def test_whoever_watches_a_stage_has_the_last_word_and_keeps_who_did_it_and_what_was_noted() -> None:
    """The runner begins the stage, its notebook begins it once more in the kernel, and the runner sees how it ended."""
    watched = a_stage(StageStatus.STARTED, notebook="notebooks/01_assess.ipynb")
    inside = a_stage(StageStatus.FAILED, seconds=0.5, by="ann@host", note="noted", error="inside")
    incident = with_stage(with_stage(an_incident(), watched), inside)
    assert incident.stages == (inside,)
    seen = replace(watched, status=StageStatus.KILLED, error="the kernel died")
    assert with_stage(incident, seen).stages == (replace(seen, by="ann@host", note="noted"),)


def test_a_stage_of_another_attempt_takes_nothing_over_from_the_one_before() -> None:
    before = an_incident(stages=(a_stage(StageStatus.STARTED, by="ann@host", note="killed in the middle"),))
    again = a_stage(StageStatus.STARTED, seconds=5)
    assert with_stage(before, again).stages == (again,)


def test_a_runner_that_records_a_second_attempt_leaves_one_record(folder: Path) -> None:
    record_stage(folder, a_stage(StageStatus.FINISHED), str)
    record_stage(folder, a_stage(StageStatus.STARTED, seconds=5), str)
    stages = json.loads((folder / "incident.json").read_text())["stages"]
    assert [stage["status"] for stage in stages] == ["started"]


def test_no_other_module_writes_the_record() -> None:
    """Each call that is told to write atomically, or to write bytes or text, and names the record in its arguments."""
    writers = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and "write" in ast.unparse(node.func):
                said = ast.unparse(node)
                if "incident.json" in said or "INCIDENT" in said:
                    writers.add(path.relative_to(PACKAGE).as_posix())
    assert writers == {"runs/folder.py"}


def test_what_another_process_wrote_is_written_over_even_by_what_was_there_before(team: Path) -> None:
    """A run that read again what another process left does not take its own last write for what is on disk."""
    run = Run.create(settings_of(team))
    change_incident(run.folder, str, notes=("theirs",))
    assert run.refresh().notes == ("theirs",)
    run.save(notes=())
    assert read_incident(run.folder).notes == ()


def test_a_text_that_stays_in_the_record_is_redacted_once(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.create(settings_of(team))
    run.redactor = Redactor([SECRET])
    asked: list[str] = []
    redact = run.redactor.text

    def counted(text: str) -> str:
        asked.append(text)
        return redact(text)

    monkeypatch.setattr(run.redactor, "text", counted)
    run.save(notes=(f"it says {SECRET}",))
    run.save(notes=(*run.incident.notes, "and more"))
    run.save(notes=("and more",))
    run.save(notes=(f"it says {SECRET}",))
    assert asked.count("and more") == 1
    assert asked.count(f"it says {SECRET}") == 2, "what went out of the record is forgotten"
    assert on_disk(run)["notes"] == ["it says ***"]


def test_two_runs_of_one_second_get_folders_of_their_own(team: Path) -> None:
    settings = settings_of(team)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Run.create(settings), range(16)))
    assert len({run.folder for run in made}) == len({run.incident.run for run in made}) == 16
    for run in made:
        day, name = run.incident.run.split("/")
        assert (run.folder.parent.name, run.folder.name) == (day, name)
        assert on_disk(run)["verdict"] == "running"


def test_latest_points_at_the_newest_and_survives_a_moved_folder(team: Path) -> None:
    settings = settings_of(team)
    Run.create(settings)
    newest = Run.create(settings, slug="second")
    pointer = settings.outputs / "latest"
    assert pointer.resolve() == newest.folder
    assert not pointer.readlink().is_absolute()
    assert runbook.latest(settings) == newest.folder


def test_a_folder_that_holds_no_run_is_refused(team: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        Run.open(team)
    (team / "incident.json").write_text('{"schema": 1')
    with pytest.raises(RecordError, match=r"incident\.json"):
        Run.open(team)


def test_a_run_is_opened_with_the_configuration_it_was_made_with_and_stays_where_it_is(
    team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings_of(team), outputs=tmp_path / "elsewhere")
    run = Run.create(settings)
    monkeypatch.chdir(tmp_path)
    again = Run.open(run.folder)
    assert again.settings.services == settings.services
    assert again.settings.outputs == tmp_path / "elsewhere"


def test_a_cut_last_line_of_the_samples_is_left_out(team: Path) -> None:
    run = Run.create(settings_of(team))
    run.add_samples(runbook.samples_of(health({"redis": S.UNAVAILABLE}), "assess"))
    file = run.folder / "samples.jsonl"
    file.write_bytes(file.read_bytes()[:-10])
    assert len(run.samples()) == 6


async def test_a_stage_that_breaks_is_recorded_with_what_to_type(team: Path) -> None:
    run = Run.create(settings_of(team))
    with pytest.raises(OrderError):
        run.choose_mode()
    stage = run.incident.stage(StageName.CHOOSE_MODE)
    assert stage is not None
    assert stage.status is StageStatus.FAILED
    assert "assess" in stage.hint
    assert on_disk(run)["stages"][0]["status"] == "failed"  # type: ignore[index]


async def test_a_stage_that_is_cancelled_says_interrupted(team: Path, staging: SmallStaging) -> None:
    staging.delay_s = 1.0
    run = Run.create(settings_of(team))
    task = asyncio.create_task(run.assess())
    await asyncio.to_thread(staging.asked.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert on_disk(run)["stages"][0]["status"] == "interrupted"  # type: ignore[index]


def test_an_end_that_the_history_had_no_room_for_is_put_there_once_there_is(team: Path) -> None:
    run = Run.create(settings_of(team))
    other = sqlite3.connect(team / "outputs" / "history.sqlite", isolation_level=None)
    with closing(other):
        asyncio.run(run.assess())
        other.execute("BEGIN IMMEDIATE")
        run.end(verdict=Verdict.PASSED, exit_code=0, publish=lambda: (other.execute("ROLLBACK"), ())[1])
        found = other.execute("SELECT verdict, exit_code FROM run").fetchall()
    assert found == [("passed", 0)]

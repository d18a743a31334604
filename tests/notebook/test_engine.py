"""Whatever happens to a headless run, incident.json, the report and the exit code tell the truth, and nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from resilience.core.errors import SettingsError
from resilience.core.records import ExitCode, StageName, StageStatus, Verdict
from resilience.core.verdict import VERDICTS
from resilience.host.lock import locked
from resilience.notebook.engine import Executed, Moment, execute, notebooks_folder, read_incident
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run
from tests.kits.small_staging import SmallStaging

LOOK = (StageName.ASSESS, StageName.CHOOSE_MODE, StageName.REPORT)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No child, and no folder of sockets, outlives a run."""
    before = _scratch()
    yield
    deadline = time.monotonic() + 5
    while (left := _children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
    assert _scratch() <= before


def _scratch() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith(f"rb-{os.getpid()}-")}


def _children() -> list[str]:
    return [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True) if child.is_running()]


def new_run(team: Path, *, apply: bool = False) -> Run:
    return Run.create(load_settings(team / "resilience.toml"), apply=apply)


async def go(
    run: Run,
    *,
    stages: tuple[StageName, ...] = LOOK,
    parameters: Mapping[str, object] | None = None,
    when: Callable[[Moment], object] = lambda _moment: None,
    **options: object,
) -> Executed:
    def report(code: int | None) -> None:
        run.refresh()
        run.report(charts=False, verdict=None if code is None else VERDICTS[code], exit_code=code)

    return await execute(
        run.folder, stages=stages, parameters=parameters or {}, on_progress=when, report=report, **options
    )  # type: ignore[arg-type]


def kernels() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "ipykernel.kernelapp" in " ".join(child.cmdline())]


def kernel_of(run: Run) -> psutil.Process:
    """Give the kernel that is at work: the oldest one."""
    return min(kernels(), key=lambda process: process.create_time())


def notebook(run: Run, name: str) -> dict[str, object]:
    return json.loads((run.folder / "notebooks" / f"{name}.ipynb").read_text())  # type: ignore[no-any-return]


def statuses(run: Run, name: str) -> list[str]:
    cells: list[dict[str, dict[str, dict[str, str]]]] = notebook(run, name)["cells"]  # type: ignore[assignment]
    return [cell["metadata"]["papermill"]["status"] for cell in cells if "papermill" in cell["metadata"]]


async def test_a_run_that_only_looks_goes_through_and_says_so(team: Path) -> None:
    seen: list[Moment] = []
    run = new_run(team)
    executed = await go(run, when=seen.append)
    assert {moment.stage for moment in seen} == set(LOOK)
    written = json.loads((notebooks_folder() / "01_assess.ipynb").read_text())["cells"]
    assert {moment.cells for moment in seen if moment.cell == "assess"} == {len(written) + 1}, (
        "one more: the parameters"
    )
    assert any("backend_api" in moment.text or "STAGING" in moment.text for moment in seen)
    incident = read_incident(run.folder)
    assert executed.exit_code == 0
    assert [stage.status for stage in executed.stages] == [StageStatus.FINISHED] * 3
    assert incident.stage(StageName.ASSESS).notebook == "notebooks/01_assess.ipynb"  # type: ignore[union-attr]
    assert (run.folder / "report.html").exists()
    assert set(statuses(run, "01_assess")) == {"completed"}


async def test_cells_for_exploring_are_left_out_as_nobody_sits_there(team: Path) -> None:
    run = new_run(team)
    await go(run, stages=(StageName.ASSESS,))
    ran = {cell["id"]: cell.get("execution_count") for cell in notebook(run, "01_assess")["cells"]}  # type: ignore[attr-defined]
    assert ran["assess"] is not None
    assert ran["finish"] is not None
    assert ran["explore"] is None


async def test_parameters_are_refused_before_anything_starts(team: Path) -> None:
    run = new_run(team)
    with pytest.raises(SettingsError, match=r'aply.*did you mean "apply"'):
        await go(run, parameters={"aply": "true"})
    assert not (run.folder / "notebooks").exists()
    assert read_incident(run.folder).stages == ()


async def test_each_notebook_gets_the_parameters_it_declares(team: Path) -> None:
    run = new_run(team)
    await go(run, parameters={"samples": "3", "mode": "offline", "apply": "no"})
    injected = json.dumps(notebook(run, "01_assess"))
    assert "samples = 3" in injected
    assert "mode = " not in injected
    assert read_incident(run.folder).decision.mode.value == "offline"  # type: ignore[union-attr]
    assert len(run.samples()) == 3


async def test_a_killed_kernel_is_reported_as_killed_and_the_report_is_made(team: Path, staging: SmallStaging) -> None:
    staging.delay_s = 1.5

    def kill(moment: Moment) -> None:
        if moment.stage is StageName.ASSESS and moment.cell == "assess":
            threading.Thread(target=lambda: (staging.asked.wait(10), kernel_of(run).kill())).start()

    run = new_run(team)
    executed = await go(run, when=kill)
    stage = read_incident(run.folder).stage(StageName.ASSESS)
    assert stage is not None
    assert stage.status is StageStatus.KILLED
    assert "SIGKILL" in stage.error
    assert stage.cell.startswith("assess (cell ")
    assert "resilience resume" in stage.hint
    assert executed.exit_code == ExitCode.RUNBOOK_FAILED
    assert executed.stage(StageName.CHOOSE_MODE).note == "not reached: stage assess killed"  # type: ignore[union-attr]
    assert executed.stage(StageName.REPORT).status is StageStatus.FINISHED  # type: ignore[union-attr]
    assert read_incident(run.folder).verdict is Verdict.RUNBOOK_FAILED
    report = (run.folder / "report.md").read_text()
    assert "assess" in report
    assert "resume" in report
    before, _, after = " ".join(statuses(run, "01_assess")).partition("failed")
    assert set(before.split()) == {"completed"}
    assert set(after.split()) == {"pending"}
    assert "KernelDied" in json.dumps(notebook(run, "01_assess"))


async def test_a_stage_that_takes_too_long_is_stopped_in_its_cell(team: Path, staging: SmallStaging) -> None:
    staging.delay_s = 1.9
    run = new_run(team)
    executed = await go(
        run, stages=(StageName.ASSESS, StageName.REPORT), parameters={"samples": 50}, stage_timeout_s=1.0
    )
    stage = executed.stage(StageName.ASSESS)
    assert stage is not None
    assert (stage.status, executed.timed_out) == (StageStatus.TIMED_OUT, True)
    assert "the stage was stopped in this cell after" in stage.error
    assert executed.exit_code == ExitCode.TIMED_OUT
    incident = read_incident(run.folder)
    assert (incident.verdict, incident.exit_code) == (Verdict.TIMED_OUT, ExitCode.TIMED_OUT)
    assert (run.folder / "report.html").exists()


@pytest.mark.slow
async def test_a_run_that_takes_too_long_ends_without_another_kernel(team: Path, staging: SmallStaging) -> None:
    staging.delay_s = 1.9
    run = new_run(team)
    executed = await go(run, parameters={"samples": 50}, total_timeout_s=4.0)
    assert "the run was stopped" in executed.stage(StageName.ASSESS).error  # type: ignore[union-attr]
    assert "made by the library" in executed.stage(StageName.REPORT).note  # type: ignore[union-attr]
    assert (run.folder / "report.html").exists()
    assert executed.duration_s < 15


async def test_a_stage_that_raises_names_cell_and_hint_and_the_report_is_made(team: Path) -> None:
    asked: list[bool] = []

    async def restore() -> None:
        asked.append(True)

    run = new_run(team)
    stages = (StageName.CHOOSE_MODE, StageName.APPLY_FALLBACK, StageName.REPORT)
    executed = await go(run, stages=stages, restore=restore)
    assert (executed.restored, asked) == (False, []), "nothing was applied, so there is nothing to restore"
    stage = executed.stage(StageName.CHOOSE_MODE)
    assert stage is not None
    assert stage.status is StageStatus.FAILED
    assert stage.error.startswith("OrderError: this stage needs what assess leaves")
    assert "01_assess.ipynb" in stage.hint
    assert stage.cell.startswith("mode (cell ")
    assert executed.exit_code == ExitCode.USAGE
    assert (run.folder / "report.md").exists()
    assert "Traceback" not in json.dumps(notebook(run, "02_choose_mode"))


async def test_a_broken_report_notebook_is_made_up_for_by_the_library(team: Path, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "notebooks"
    shutil.copytree(notebooks_folder(), broken)
    report = json.loads((broken / "06_report.ipynb").read_text())
    next(cell for cell in report["cells"] if cell["id"] == "report")["source"] = ["1 / 0"]
    (broken / "06_report.ipynb").write_text(json.dumps(report))
    run = new_run(team)
    executed = await go(run, folder=broken)
    stage = executed.stage(StageName.REPORT)
    assert stage is not None
    assert stage.status is StageStatus.FINISHED
    assert "ZeroDivisionError" in stage.note
    assert (run.folder / "report.html").exists()


@pytest.mark.slow
async def test_a_secret_in_an_error_is_redacted_in_the_notebook_and_the_record(team: Path, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "notebooks"
    shutil.copytree(notebooks_folder(), broken)
    book = json.loads((broken / "01_assess.ipynb").read_text())
    next(cell for cell in book["cells"] if cell["id"] == "assess")["source"] = [
        "raise ValueError('no ' + 'hunter' + '2')"
    ]
    (broken / "01_assess.ipynb").write_text(json.dumps(book))
    run = new_run(team)
    await go(run, folder=broken, redact=lambda text: text.replace("hunter2", "***"))
    for file in ("incident.json", "notebooks/01_assess.ipynb"):
        assert "hunter2" not in (run.folder / file).read_text()
    assert "no ***" in read_incident(run.folder).stage(StageName.ASSESS).error  # type: ignore[union-attr]


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
async def test_a_signal_stops_the_cell_and_leaves_a_report(
    team: Path, staging: SmallStaging, number: signal.Signals
) -> None:
    staging.delay_s = 1.9

    def send(moment: Moment) -> None:
        if moment.cell == "assess":
            threading.Thread(target=lambda: (staging.asked.wait(10), os.kill(os.getpid(), number))).start()

    run = new_run(team)
    executed = await go(run, parameters={"samples": 50}, when=send)
    stage = executed.stage(StageName.ASSESS)
    assert stage is not None
    assert stage.status is StageStatus.INTERRUPTED
    assert number.name in stage.error
    assert executed.signal == number
    assert executed.exit_code == 128 + number
    incident = read_incident(run.folder)
    assert incident.verdict is Verdict.INTERRUPTED
    assert (run.folder / "report.html").exists()


@pytest.mark.slow
async def test_a_cell_that_will_not_stop_is_killed_with_what_it_started(
    team: Path, staging: SmallStaging, tmp_path: Path
) -> None:
    import shutil

    stubborn = tmp_path / "notebooks"
    shutil.copytree(notebooks_folder(), stubborn)
    book = json.loads((stubborn / "01_assess.ipynb").read_text())
    source = (
        "import signal, subprocess, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "time.sleep(60)"
    )
    next(cell for cell in book["cells"] if cell["id"] == "assess")["source"] = [source]
    (stubborn / "01_assess.ipynb").write_text(json.dumps(book))
    run = new_run(team)
    began = time.monotonic()
    executed = await go(run, folder=stubborn, stage_timeout_s=1.0, grace_s=0.5)
    assert executed.stage(StageName.ASSESS).status is StageStatus.TIMED_OUT  # type: ignore[union-attr]
    assert time.monotonic() - began < 20


@pytest.mark.slow
async def test_a_runner_that_is_cancelled_leaves_nothing_behind(team: Path, staging: SmallStaging) -> None:
    staging.delay_s = 1.9
    run = new_run(team)
    task = asyncio.create_task(go(run, parameters={"samples": 50}))
    await asyncio.to_thread(staging.asked.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not kernels()


async def test_a_failing_test_is_the_products_and_no_failure_of_the_runbook(team: Path) -> None:
    (team / "tests" / "test_bug.py").write_text("def test_bug():\n    assert 1 == 2\n")
    run = new_run(team, apply=True)
    executed = await go(
        run,
        stages=(StageName.ASSESS, StageName.CHOOSE_MODE, StageName.RUN_TESTS, StageName.REPORT),
        parameters={"apply": True, "fail_on": "failures"},
    )
    assert executed.exit_code == 0
    assert {stage.status for stage in executed.stages} == {StageStatus.FINISHED}
    incident = read_incident(run.folder)
    assert (incident.verdict, incident.exit_code) == (Verdict.PRODUCT_FAILURES, ExitCode.PRODUCT_FAILURES)


async def test_of_two_runs_that_test_at_once_the_second_ends_with_75_and_says_who_holds_the_lock(team: Path) -> None:
    run = new_run(team, apply=True)
    with locked(run.settings.state, "test", run="another"):
        executed = await go(
            run,
            stages=(StageName.ASSESS, StageName.CHOOSE_MODE, StageName.RUN_TESTS, StageName.REPORT),
            parameters={"apply": True},
        )
    stage = executed.stage(StageName.RUN_TESTS)
    assert stage is not None
    assert stage.status is StageStatus.FAILED
    assert f"pid {os.getpid()}" in stage.error
    assert "since" in stage.error
    assert executed.exit_code == ExitCode.LOCKED
    assert read_incident(run.folder).exit_code == ExitCode.LOCKED
    assert (run.folder / "report.html").exists()


@pytest.mark.slow
async def test_an_env_file_edited_in_the_middle_is_kept_and_the_run_says_so(
    team: Path, staging: SmallStaging, free_port: int
) -> None:
    """The run applies a stand-in, somebody edits the env file, and restoring refuses to lose the edit."""
    config = team / "resilience.toml"
    config.write_text(
        config.read_text().replace("critical = true", f'critical = true\nlocal = "http://127.0.0.1:{free_port}/health"')
    )
    env_file = team / ".env.test.active"
    env_file.write_text("MINE=1\n")
    staging.status = 503

    def edit(moment: Moment) -> None:
        if moment.stage is StageName.VALIDATE_RECOVERY and moment.cell == "recovery":
            env_file.write_text(env_file.read_text() + "EDITED=colleague\n")

    run = new_run(team, apply=True)
    try:
        executed = await go(run, stages=tuple(StageName), parameters={"apply": True}, when=edit)
        stage = executed.stage(StageName.VALIDATE_RECOVERY)
        assert stage is not None
        assert stage.status is StageStatus.FAILED, [stage.error for stage in executed.stages]
        assert stage.error.startswith("EditedError")
        assert "EDITED=colleague" in env_file.read_text()
        assert executed.exit_code == ExitCode.RUNBOOK_FAILED
        assert (
            "EditedError" in (run.folder / "report.md").read_text()
            or "edited" in (run.folder / "report.md").read_text()
        )
    finally:
        run.refresh()
        await run.restore(force=True)
    assert env_file.read_text() == "MINE=1\n"


@pytest.mark.slow
def test_the_runner_killed_leaves_neither_kernel_nor_tests_running(team: Path, tmp_path: Path) -> None:
    """SIGKILL of the runner: the next start finds the run as it was left, and nothing of it still works."""
    (team / "tests" / "test_slow.py").write_text(
        "import time\n\n\ndef test_slow():\n    open('began', 'w').close()\n    time.sleep(60)\n"
    )
    mark = f"RESILIENCE_TEST_MARK={os.getpid()}-{time.monotonic_ns()}"
    name, _, value = mark.partition("=")
    script = (
        "import asyncio, sys\n"
        "from resilience.runs.configuration import load_settings\n"
        "from resilience.notebook.engine import execute\n"
        "from resilience.core.records import StageName as S\n"
        "from resilience.runs.runbook import Run\n"
        "run = Run.create(load_settings('resilience.toml'), apply=True)\n"
        "print(run.folder, flush=True)\n"
        "asyncio.run(execute(run.folder, stages=[S.ASSESS, S.CHOOSE_MODE, S.RUN_TESTS], parameters={'apply': True}))\n"
    )
    runner = subprocess.Popen(
        [sys.executable, "-c", script], cwd=team, stdout=subprocess.PIPE, text=True, env={**os.environ, name: value}
    )
    assert runner.stdout is not None
    folder = Path(runner.stdout.readline().strip())
    try:
        _until((team / "began").exists, 60)
    finally:
        runner.kill()
        runner.wait()
        runner.stdout.close()
    _until(lambda: not _marked(mark), 15)
    stage = read_incident(folder).stage(StageName.RUN_TESTS)
    assert stage is not None
    assert stage.status in (StageStatus.STARTED, StageStatus.INTERRUPTED)


def _marked(mark: str) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error, OSError):
            if mark.encode() in Path(f"/proc/{process.pid}/environ").read_bytes():
                found.append(" ".join(process.info["cmdline"] or ()))
    return found


def _until(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)

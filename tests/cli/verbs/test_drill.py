"""A drill proves the whole runbook on this machine, tells where its report is, and leaves nothing but that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from resilience.cli.verbs.drill import run_drill
from resilience.core.errors import UsageError
from resilience.lab.shipped import scenario_names
from resilience.notebook.parameters import NOTEBOOKS
from tests.kits.stand_in_kit import eventually, processes_naming

MAIN = "database-unavailable"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder to type in, with temporary and state folders of its own, so that whatever is left is seen."""

    cwd: Path
    temporary: Path
    state: Path
    out: Path

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self.temporary), "XDG_STATE_HOME": str(self.state), "COLUMNS": "200"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "resilience.cli", "drill", *arguments, "--out", str(self.out)],
            cwd=self.cwd,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def left(self) -> list[str]:
        """What should not be there: processes that name our folders, temporary files, files beside the run's own."""
        found = [f"pid {pid}" for folder in (self.temporary, self.out) for pid in processes_naming(folder)]
        found += [f"temporary {path.name}" for path in self.temporary.iterdir()]
        found += [f"beside {path.name}" for path in self.cwd.iterdir()]
        return found + [f"environment of {pid}" for pid in _born_here(self.temporary)]


def _born_here(temporary: Path) -> list[int]:
    """Pids of processes that got our temporary folder by their environment, whatever they are called."""
    found = []
    for process in psutil.process_iter(["pid"]):
        try:
            if process.pid != os.getpid() and process.environ().get("TMPDIR") == str(temporary):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "cwd", tmp_path / "tmp", tmp_path / "state", tmp_path / "out")
    for folder in (made.cwd, made.temporary, made.state):
        folder.mkdir()
    yield made
    for pid in _born_here(made.temporary):
        psutil.Process(pid).kill()


def drill(place: Place, name: str) -> tuple[Path, dict[str, object]]:
    """Run a drill to its end, hold what it leaves against what it promises, and give the run's folder and record."""
    going = place.start(name)
    try:
        out, err = going.communicate(timeout=180)
    finally:
        going.kill()
        going.wait()
    assert going.returncode == 0, out + err
    assert "Traceback" not in out + err
    assert "as expected" in err
    report = Path(out.splitlines()[-1])
    assert report.name == "report.html"
    run = report.parent
    assert run.parent.parent == place.out
    assert run.name.endswith(f"-drill-{name}")
    assert eventually(lambda: not place.left(), within_s=5), place.left()
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert names >= {"report.html", "report.md", "incident.json", "junit.xml", "samples.csv"}
    assert {f"notebooks/{notebook}.ipynb" for notebook in NOTEBOOKS.values()} <= names
    assert {name for name in names if name.startswith("charts/") and name.endswith(".png")}
    assert {name for name in names if name.startswith("charts/") and name.endswith(".svg")}
    return run, json.loads((run / "incident.json").read_text())


def executed(run: Path) -> bool:
    """Whether every code cell of every stage's notebook was run and none failed."""
    for name in NOTEBOOKS.values():
        document = json.loads((run / "notebooks" / f"{name}.ipynb").read_text())
        for cell in document["cells"]:
            if cell["cell_type"] == "code" and cell["metadata"].get("papermill", {}).get("status") != "completed":
                return False
    return True


def test_the_main_drill_goes_through_all_stages_and_leaves_only_its_report(place: Place) -> None:
    run, incident = drill(place, MAIN)
    assert executed(run)
    assert {stage["name"]: stage["status"] for stage in incident["stages"]} == dict.fromkeys(NOTEBOOKS, "finished")  # type: ignore[attr-defined]
    totals = incident["tests"]["totals"]  # type: ignore[index]
    for outcome in ("passed", "failed", "infrastructure_unavailable", "deselected", "passed_on_retry"):
        assert totals[outcome], f"a drill shows {outcome}"
    assert incident["restored"]["identical"] is True  # type: ignore[index]
    assert incident["recovery"]["recovered"] is True  # type: ignore[index]
    assert (incident["verdict"], incident["exit_code"]) == ("product_failures", 1)
    html = (run / "report.html").read_text()
    assert "http://" not in html.replace("http://127.0.0.1", "").replace("http://www.w3.org", "")
    assert (place.out / "latest").resolve() == run
    assert {path.name for path in place.out.iterdir()} <= {run.parent.name, "latest", "drills.sqlite"}


def test_an_unknown_scenario_is_refused_and_names_the_nearest() -> None:
    with pytest.raises(UsageError, match='did you mean "database-unavailable"'):
        run_drill("databse-unavailable")


@pytest.mark.slow
def test_ctrl_c_in_the_middle_leaves_nothing_but_an_honest_record(place: Place) -> None:
    going = place.start(MAIN)
    try:
        assert going.stderr is not None
        for line in going.stderr:
            if "choose mode" in line:
                break
        going.send_signal(signal.SIGINT)
        going.communicate(timeout=60)
    finally:
        going.kill()
        going.wait()
    assert going.returncode == 130
    assert eventually(lambda: not place.left(), within_s=5), place.left()
    (record,) = place.out.glob("*/*/incident.json")
    incident = json.loads(record.read_text())
    assert (incident["verdict"], incident["exit_code"]) == ("interrupted", 130)
    assert (record.parent / "report.html").exists()


@pytest.mark.slow
def test_sigterm_in_the_middle_of_the_tests_leaves_nothing(place: Place) -> None:
    going = place.start(MAIN)
    try:
        assert going.stderr is not None
        for line in going.stderr:
            if "apply fallback" in line:
                break
        going.send_signal(signal.SIGTERM)
        going.communicate(timeout=60)
    finally:
        going.kill()
        going.wait()
    assert going.returncode == 143
    assert eventually(lambda: not place.left(), within_s=5), place.left()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.4, 0.6, 0.9])
def test_ctrl_c_while_staging_comes_up_leaves_nothing(place: Place, seconds: float) -> None:
    going = place.start(MAIN)
    try:
        assert going.stderr is not None
        assert going.stderr.readline().startswith("Drill ")
        time.sleep(seconds)
        going.send_signal(signal.SIGINT)
        _, err = going.communicate(timeout=60)
    finally:
        going.kill()
        going.wait()
    assert going.returncode == 130, err
    assert "Traceback" not in err
    assert eventually(lambda: not place.left(), within_s=5), place.left()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*scenario_names()} - {MAIN}))
def test_every_scenario_comes_out_as_it_expects(place: Place, name: str) -> None:
    run, _ = drill(place, name)
    assert executed(run)

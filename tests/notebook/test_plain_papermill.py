"""Under plain papermill, whose first error ends the kernel, a run is undone, has a report and tells its end; no secret shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resilience.notebook.engine import notebooks_folder
from resilience.runs.folder import read_incident
from tests.kits.endings import disagreements
from tests.kits.servers.github import FakeGitHub
from tests.kits.small_staging import SmallStaging
from tests.kits.stand_in_kit import eventually
from tests.kits.typing_in import runs, with_stand_in

SECRET = "hunter2-Planted/9"


def papermill(team: Path, name: str, changes: dict[str, str], *parameters: str) -> subprocess.CompletedProcess[str]:
    """Execute a copy of the notebook with these cells changed, as `papermill` alone would."""
    book = json.loads((notebooks_folder() / f"{name}.ipynb").read_text())
    for cell in book["cells"]:
        cell["source"] = changes.get(cell.get("id"), cell["source"])
    (team / f"{name}.ipynb").write_text(json.dumps(book))
    words = [word for parameter in parameters for word in ("-p", *parameter.split("=", 1))]
    return subprocess.run(
        [sys.executable, "-m", "papermill", f"{name}.ipynb", f"{name}.executed.ipynb", "--no-progress-bar", *words],
        cwd=team,
        env={**os.environ, "API_TOKEN": SECRET},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.mark.slow
def test_a_cell_that_raises_leaves_nothing_applied_a_report_and_an_end(team: Path, staging: SmallStaging) -> None:
    port = with_stand_in(team)
    staging.status = 503
    env = team / ".env.test.active"
    env.write_bytes(b"MINE=1\n")
    done = papermill(team, "00_incident", {"tests": "await runbook.run_tests()\n1 / 0"}, "apply=True")
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stderr
    (record,) = runs(team)
    incident = read_incident(record.parent)
    assert incident.applied is not None
    assert (incident.verdict.value, incident.exit_code) == ("runbook_failed", 30)
    assert env.read_bytes() == b"MINE=1\n"
    assert not (team / ".resilience" / "state" / "journal.json").exists()
    assert eventually(lambda: not listens(port), within_s=10)
    assert (record.parent / "report.html").exists()
    assert disagreements(record.parent) == []


@pytest.mark.slow
def test_who_asked_to_keep_the_fallback_keeps_it_and_the_run_has_an_end(team: Path, staging: SmallStaging) -> None:
    with_stand_in(team)
    staging.status = 503
    papermill(team, "00_incident", {"tests": "1 / 0"}, "apply=True", "restore=False")
    (record,) = runs(team)
    try:
        assert read_incident(record.parent).verdict.value == "runbook_failed"
        assert (team / ".resilience" / "state" / "journal.json").exists()
    finally:
        subprocess.run([sys.executable, "-m", "resilience.cli", "restore"], cwd=team, check=True, capture_output=True)


@pytest.mark.slow
def test_a_notebook_that_comes_through_tells_the_end_that_the_report_tells(team: Path, staging: SmallStaging) -> None:
    assert papermill(team, "00_incident", {}, "apply=True").returncode == 0
    (record,) = runs(team)
    incident = read_incident(record.parent)
    assert (incident.verdict.value, incident.exit_code) == ("passed", 0)
    assert disagreements(record.parent) == []


@pytest.mark.slow
def test_what_a_cell_prints_is_redacted_before_the_kernel_sends_it(team: Path, staging: SmallStaging) -> None:
    config = team / "resilience.toml"
    header = 'headers = { Authorization = "Bearer ${API_TOKEN}" }\n'
    config.write_text(config.read_text().replace("critical = true\n", f"critical = true\n{header}", 1))
    said = "import os, base64\nprint(os.environ['API_TOKEN'])\n"
    said += "print(base64.b64encode(os.environ['API_TOKEN'].encode()).decode())\nos.environ['API_TOKEN']"
    (team / "tests" / "test_shop.py").write_text(
        "import os\n\ndef test_one():\n    assert os.environ['API_TOKEN'] == ''\n"
    )
    papermill(team, "00_incident", {"plan": said}, "apply=True")
    (record,) = runs(team)
    papermill(team, "04_run_tests", {}, "apply=True", f"run={record.parent}")
    for name in ("00_incident", "04_run_tests"):
        text = (team / f"{name}.executed.ipynb").read_text()
        assert "hunter2" not in text
    for path in record.parent.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path


@pytest.mark.slow
async def test_cells_after_a_refused_configuration_are_redacted_too(
    team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In JupyterLab a person goes on after an error, and what stands in the environment is known without a configuration."""
    import nbformat
    from nbclient import NotebookClient

    config = team / "resilience.toml"
    config.write_text(config.read_text() + "\n[recovry]\ngood = 1\n")
    monkeypatch.setenv("API_TOKEN", SECRET)
    book = nbformat.read(notebooks_folder() / "01_assess.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    source = "import os\nprint('told', os.environ['API_TOKEN'])\nos.environ['API_TOKEN']"
    book.cells.append(nbformat.v4.new_code_cell(source))  # type: ignore[no-untyped-call]
    await NotebookClient(
        book, timeout=100, allow_errors=True, resources={"metadata": {"path": str(team)}}
    ).async_execute()
    text = json.dumps(book)
    assert "SettingsError" in text
    assert "told ***" in text
    assert SECRET not in text


def listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_the_parameter_publish_writes_the_run_onto_its_issue(
    team: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = team / "resilience.toml"
    config.write_text(
        config.read_text().replace("[runbook]\n", '[publish]\nrepository = "octo/shop"\n\n[runbook]\nissue = "1278"\n')
    )
    staging.status = 503
    with FakeGitHub() as double:
        monkeypatch.setenv("GITHUB_API_URL", double.url)
        monkeypatch.setenv("GITHUB_TOKEN", "t-bot")
        done = papermill(team, "00_incident", {}, "publish=true")
        assert done.returncode == 0, done.stderr
        assert [one["body"].partition("resilience:")[2].partition(" ")[0] for one in double.on()] == [
            "sticky",
            "opened",
        ]
        (record,) = runs(team)
        assert double.on()[0]["body"].count(f"{record.parent.parent.name}/{record.parent.name}") == 1

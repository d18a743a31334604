"""The notebooks are told by the library: short cells, strict parameters, an order that is kept; each runs on its own."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from resilience.core.codec import to_json
from resilience.core.errors import OrderError, SettingsError, UsageError, VerdictError
from resilience.core.records import EventKind, StageName, StageStatus, Verdict
from resilience.notebook.engine import read_incident
from resilience.notebook.parameters import BY_NAME, MARK, NOTEBOOKS as STAGES
from resilience.notebook.passed import declared_in
from tests.kits.notebook_runner import NAMES, NOTEBOOKS, cells, folder_of, run_cells
from tests.kits.small_staging import SmallStaging

STAGE_NOTEBOOKS = tuple(STAGES.values())


# The text of the notebooks


def test_there_is_one_notebook_a_stage_one_with_everything_and_one_of_the_history() -> None:
    assert ("00_incident", *STAGE_NOTEBOOKS, "07_trends") == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_tells_and_the_library_works(name: str) -> None:
    """No def, class, loop, try or exit; at most one awaited call a cell; nothing imported but the library."""
    forbidden = (
        ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.With,
        ast.AsyncWith, ast.Lambda, ast.ListComp, ast.GeneratorExp,
    )  # fmt: skip
    for cell in cells(name):
        tree = ast.parse(cell["source"])
        nodes = list(ast.walk(tree))
        assert not [node for node in nodes if isinstance(node, forbidden)], cell["id"]
        assert sum(isinstance(node, ast.Await) for node in nodes) <= 1, cell["id"]
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        assert imported <= {"resilience"}, cell["id"]
        assert not [node for node in nodes if isinstance(node, ast.ImportFrom)], cell["id"]
        assert not re.search(r"\b(exit|quit|input|print)\(|^\s*[!%]", cell["source"], re.MULTILINE), cell["id"]


@pytest.mark.parametrize("name", NAMES)
def test_no_output_is_committed_and_cell_ids_are_hand_picked(name: str) -> None:
    document = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    ids = [cell["id"] for cell in document["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", cell_id) for cell_id in ids)
    for cell in document["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert set(cell["metadata"]) <= {"tags", "jupyter"}
    assert set(document["metadata"]) == {"kernelspec", "language_info"}


def test_the_hook_that_is_offered_finds_the_notebooks_clean() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "nbstripout", "--keep-id", "--verify", *map(str, NOTEBOOKS.glob("*.ipynb"))],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    hook = (NOTEBOOKS.parent / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert "nbstripout --keep-id --verify" in hook


@pytest.mark.parametrize("name", NAMES)
def test_the_first_cell_says_what_it_changes_and_the_last_what_to_do_next(name: str) -> None:
    told = cells(name, "markdown")
    assert told[0]["id"] == "what"
    assert "**What this is for.**" in told[0]["source"]
    assert "**What it changes.**" in told[0]["source"]
    assert told[-1]["id"] == "next"
    assert told[-1]["source"].startswith("## What to do next")
    for link in re.findall(r"\]\(([^)]+)\)", told[-1]["source"]):
        assert (NOTEBOOKS / link).is_file(), link


@pytest.mark.parametrize("name", NAMES)
def test_code_is_hidden_where_nobody_is_to_change_it(name: str) -> None:
    """By the key that JupyterLab keeps itself; a frame to explore is shown with its code, and so is the period of the trends."""
    for cell in cells(name):
        shown = "explore" in cell["metadata"].get("tags", []) or name == "07_trends"
        assert shown or cell["metadata"]["jupyter"] == {"source_hidden": True}, cell["id"]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_the_librarys_and_papermill_reads_their_help(name: str) -> None:
    from papermill.inspection import inspect_notebook

    shown = inspect_notebook(str(NOTEBOOKS / f"{name}.ipynb"))
    cell = next(cell for cell in cells(name) if "parameters" in cell["metadata"].get("tags", []))
    assert cell["source"].startswith(MARK)
    assert tuple(shown) == declared_in(cell["source"])
    for key, parameter in shown.items():
        known = BY_NAME[key]
        assert parameter["inferred_type_name"] == known.annotation
        assert parameter["help"]
        if key == "run":
            assert parameter["default"] == ('""' if name < "02" else '"latest"')
        else:
            assert ast.literal_eval(parameter["default"]) == known.default
            assert parameter["help"] == known.help


def test_every_parameter_is_used_by_a_notebook() -> None:
    declared = {name for notebook in NAMES for cell in cells(notebook)[:1] for name in declared_in(cell["source"])}
    assert declared == set(BY_NAME)


# Run, in this process


async def test_the_stages_hand_over_through_the_runs_folder(team: Path) -> None:
    opened = await run_cells("01_assess")
    folder = folder_of(opened)
    for name in ("02_choose_mode", "03_apply_fallback", "04_run_tests", "05_validate_recovery", "06_report"):
        declared = declared_in(next(cell["source"] for cell in cells(name)))
        injected = {"apply": True} if "apply" in declared else {}
        assert folder_of(await run_cells(name, **injected)) == folder
    incident = read_incident(folder)
    assert [incident.stage(stage).status for stage in StageName] == [StageStatus.FINISHED] * 6  # type: ignore[union-attr]
    assert incident.verdict is Verdict.PASSED
    assert (folder / "report.html").exists()


async def test_everything_on_one_page_only_looks_unless_told(team: Path) -> None:
    page = await run_cells("00_incident")
    incident = read_incident(folder_of(page))
    assert incident.tests is None
    assert incident.applied is None
    assert incident.stage(StageName.RUN_TESTS).note == "no tests were run: apply is False"  # type: ignore[union-attr]
    assert incident.stage(StageName.VALIDATE_RECOVERY).status is StageStatus.SKIPPED  # type: ignore[union-attr]
    assert "-p apply True" in page["runbook"].sections["apply"].html
    assert not (team / ".env.test.active").exists()


async def test_everything_on_one_page_does_everything_when_told(team: Path) -> None:
    page = await run_cells("00_incident", apply="yes", good=2, interval_s="50 ms", dwell_s=0)
    incident = read_incident(folder_of(page))
    assert incident.verdict is Verdict.PASSED
    assert incident.tests is not None
    assert incident.tests.totals.passed == 2
    assert incident.recovery is not None
    assert (incident.recovery.recovered, incident.recovery.good_needed) == (True, 2)
    agreed = [event.detail for event in incident.timeline if event.kind is EventKind.CONFIRMED]
    assert set(agreed) == {"the parameter apply=True"}


async def test_cells_out_of_order_say_what_is_missing_and_how_to_go_on(team: Path) -> None:
    with pytest.raises(UsageError, match="no run in"):
        await run_cells("02_choose_mode")
    await run_cells("01_assess")
    with pytest.raises(OrderError, match=r"choose_mode.*02_choose_mode.ipynb"):
        await run_cells("04_run_tests", apply=True)


async def test_a_stale_record_is_refused_with_its_age(team: Path) -> None:
    folder = folder_of(await run_cells("01_assess"))
    incident = read_incident(folder)
    assert incident.latest is not None
    old = replace(incident.latest, started_at=incident.latest.started_at - timedelta(minutes=90))
    (folder / "incident.json").write_bytes(to_json(replace(incident, latest=old)))
    with pytest.raises(OrderError, match=r"is 90 minutes old; at most 60 are taken.*01_assess.ipynb"):
        await run_cells("02_choose_mode")
    await run_cells("02_choose_mode", max_age_minutes="2 h")


async def test_a_cell_may_be_run_again(team: Path) -> None:
    namespace = await run_cells("01_assess")
    again = await namespace["runbook"].assess()
    assert again is namespace["runbook"].incident.latest
    assert len([stage for stage in read_incident(folder_of(namespace)).stages if stage.name is StageName.ASSESS]) == 1


async def test_a_misspelt_parameter_is_refused_before_a_run_is_made(team: Path) -> None:
    with pytest.raises(SettingsError, match=r"did you mean \"environment\""):
        await run_cells("01_assess", enviroment="staging")
    assert not (team / "outputs").exists()


async def test_a_stage_marked_as_done_by_hand_is_recorded_and_not_carried_out(team: Path) -> None:
    await run_cells("01_assess")
    await run_cells("02_choose_mode")
    folder = folder_of(await run_cells("03_apply_fallback", done_by_hand="started my own database", apply=True))
    stage = read_incident(folder).stage(StageName.APPLY_FALLBACK)
    assert stage is not None
    assert (stage.status, stage.note) == (StageStatus.DONE_BY_HAND, "started my own database")
    assert stage.by


async def test_staging_down_is_a_finding_and_fails_no_notebook(team: Path, staging: SmallStaging) -> None:
    staging.status = 503
    namespace = await run_cells("01_assess")
    assert "STAGING: DOWN" in namespace["runbook"].sections["assess"].html


@pytest.mark.parametrize(("fail_on", "fails"), [("never", False), ("failures", True), ("degraded", True)])
async def test_product_failures_fail_the_last_cell_where_fail_on_says_so(team: Path, fail_on: str, fails: bool) -> None:
    (team / "tests" / "test_bug.py").write_text("def test_bug():\n    assert 1 == 2\n")
    await run_cells("01_assess")
    await run_cells("02_choose_mode")
    if not fails:
        await run_cells("04_run_tests", apply=True, fail_on=fail_on)
        return
    with pytest.raises(VerdictError, match="1 tests failed as product"):
        await run_cells("04_run_tests", apply=True, fail_on=fail_on)


async def test_a_notebook_says_what_it_may_change(team: Path) -> None:
    looks = (await run_cells("01_assess"))["runbook"]
    assert "nothing is changed" in repr(looks)
    applies = (await run_cells("06_report"))["runbook"]
    assert str(applies.run.folder) in applies._repr_html_()


# Run by plain papermill: the contract that schedulers rely on


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
async def test_each_notebook_runs_by_plain_papermill_from_anywhere(name: str, team: Path, tmp_path: Path) -> None:
    for before in NAMES[1 : NAMES.index(name)]:
        await run_cells(before)
    out = tmp_path / f"{name}.ipynb"
    papermill = shutil.which("papermill", path=str(Path(sys.executable).parent))
    assert papermill
    done = subprocess.run(
        [
            *(papermill, str(NOTEBOOKS / f"{name}.ipynb"), str(out), "--no-progress-bar"),
            *("-p", "config", str(team / "resilience.toml"), "-p", "environment", "staging"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    shown = [output for cell in json.loads(out.read_text())["cells"] for output in cell.get("outputs", [])]
    assert any("text/html" in output.get("data", {}) for output in shown)
    assert not any("widget-view" in kind for output in shown for kind in output.get("data", {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["00_incident", "04_run_tests"])
async def test_what_tests_and_cells_print_is_redacted_by_plain_papermill(
    name: str, team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "C4n4ry-t0ken-0f-th3-shop"
    monkeypatch.setenv("SHOP_TOKEN", secret)
    monkeypatch.delenv(
        "PYTEST_CURRENT_TEST"
    )  # with it, a kernel does not capture what is written to its file descriptors
    (team / "tests" / "test_shop.py").write_text(
        "import os, sys, time\n\ndef test_one():\n    token = os.environ['SHOP_TOKEN']\n"
        "    for part in (token[:9], token[9:], '\\n'):\n"
        "        os.write(1, part.encode()); time.sleep(0.4)\n"
        "    print('again', token, file=sys.stderr)\n    assert token == 'x', 'told ' + token\n"
    )
    (team / "resilience.toml").write_text((team / "resilience.toml").read_text().replace("pytest -q", "pytest -s -q"))
    for before in () if name == "00_incident" else NAMES[1 : NAMES.index(name)]:
        await run_cells(before)
    document = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())
    source = (
        "import os, sys\nfrom IPython.display import HTML, display\nsecret = os.environ['SHOP_TOKEN']\n"
        "print('printed', secret)\nos.write(2, ('fd 2 ' + secret).encode())\ndisplay(HTML('<i>' + secret))\nsecret"
    )
    document["cells"].append(
        {"cell_type": "code", "id": "own", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
    )
    (tmp_path / "in.ipynb").write_text(json.dumps(document))
    found = shutil.which("papermill", path=str(Path(sys.executable).parent))
    assert found
    done = subprocess.run(
        [
            *(found, str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb"), "--no-progress-bar", "--log-output"),
            *("-p", "config", str(team / "resilience.toml"), "-p", "apply", "true"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "out.ipynb").read_text()
    assert secret not in made
    # What is written to a file descriptor is echoed on the kernel's own terminal, which is the person's who runs this.
    assert secret not in (done.stdout + done.stderr).replace(f"fd 2 {secret}", "")
    for told in ("again ***", "told ***", "printed ***", "fd 2 ***", "<i>***", "'***'"):
        assert told in made, told


def test_a_failed_verdict_gives_papermill_an_exit_code(team: Path, tmp_path: Path) -> None:
    found = shutil.which("papermill", path=str(Path(sys.executable).parent))
    assert found
    done = subprocess.run(
        [
            found,
            str(NOTEBOOKS / "01_assess.ipynb"),
            str(tmp_path / "out.ipynb"),
            "-p",
            "samples",
            "none",
            "--no-progress-bar",
        ],
        cwd=team,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "SettingsError: samples=none" in done.stderr
    assert "Traceback" not in (tmp_path / "out.ipynb").read_text()

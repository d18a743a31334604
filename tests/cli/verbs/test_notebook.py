"""The notebooks are opened as a copy; what somebody typed into it, or saw in it, stays."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from resilience.notebook.shipped import notebooks_folder
from tests.kits.typing_in import Type


@pytest.fixture
def jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JupyterLab that only notes what it was called with."""
    program = tmp_path / "bin" / "jupyter-lab"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\n(pwd; printf "%s\\n" "$@"; env | grep -E "^(RESILIENCE_|JUPYTER)") > "{tmp_path}/called"\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    return tmp_path / "called"


def test_the_whole_repository_is_served_and_a_workspace_of_its_own_opens_the_notebook(
    type_in: Type, team: Path, jupyter: Path
) -> None:
    folder = team / ".resilience" / "notebooks"
    said = type_in("notebook", "--no-browser")
    assert said.code == 0, said.err
    assert str(folder / "00_incident.ipynb") in said.out.replace("\n", "")
    called = jupyter.read_text().splitlines()
    assert called[0] == str(folder)
    assert f"--ServerApp.root_dir={team}" in called
    assert "--ContentsManager.allow_hidden=True" in called
    assert "--LabApp.default_url=/lab/workspaces/resilience/tree/.resilience/notebooks/00_incident.ipynb" in called
    assert f"--LabApp.workspaces_dir={folder / '.jupyter' / 'workspaces'}" in called
    assert "--no-browser" in called
    assert f"RESILIENCE_NOTEBOOK_ROOT={team}" in called
    page = json.loads((folder / ".jupyter" / "labconfig" / "page_config.json").read_text())
    assert page["disabledExtensions"]["@jupyterlab/apputils-extension:announcements"] is True
    assert any(line.startswith(f"JUPYTER_CONFIG_PATH={folder / '.jupyter'}") for line in called)


def test_a_folder_outside_of_the_repository_is_served_alone(
    type_in: Type, team: Path, jupyter: Path, tmp_path: Path
) -> None:
    assert type_in("notebook", "--folder", str(tmp_path / "mine")).code == 0
    called = jupyter.read_text().splitlines()
    assert f"--ServerApp.root_dir={tmp_path / 'mine'}" in called
    assert "--LabApp.default_url=/lab/workspaces/resilience/tree/00_incident.ipynb" in called


@pytest.mark.parametrize(("user", "told"), [(0, True), (1000, False)])
def test_only_as_root_it_is_told_that_root_may_start_it(
    type_in: Type, team: Path, jupyter: Path, monkeypatch: pytest.MonkeyPatch, user: int, told: bool
) -> None:
    """In a container one is root, and JupyterLab refuses."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert type_in("notebook").code == 0
    assert ("--allow-root" in jupyter.read_text().splitlines()) is told


def test_a_second_start_keeps_what_was_typed_and_what_was_saved(type_in: Type, team: Path, jupyter: Path) -> None:
    """A copy with the same cells was replaced by ours, and its outputs of the outage were lost."""
    folder = team / ".resilience" / "notebooks"
    assert type_in("notebook").code == 0
    typed, seen, untouched = (folder / f"{name}.ipynb" for name in ("00_incident", "01_assess", "02_choose_mode"))
    mine = json.loads(typed.read_text())
    mine["cells"][0]["source"] = ["mine"]
    typed.write_text(json.dumps(mine))
    executed = json.loads(seen.read_text())
    executed["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["STAGING: DOWN"]}]
    seen.write_text(json.dumps(executed))
    said = type_in("notebook")
    assert said.code == 0
    assert json.loads(typed.read_text()) == mine
    assert json.loads(seen.read_text()) == executed
    assert "Kept as they were saved: 00_incident.ipynb, 01_assess.ipynb" in " ".join(said.out.split())
    assert untouched.read_bytes() == (notebooks_folder() / untouched.name).read_bytes()


def test_a_copy_of_an_older_version_that_nobody_touched_is_replaced(type_in: Type, team: Path, jupyter: Path) -> None:
    assert type_in("notebook").code == 0
    folder = team / ".resilience" / "notebooks"
    older = folder / "02_choose_mode.ipynb"
    older.write_text("{}")
    noted = json.loads((folder / ".copied.json").read_text())
    noted[older.name] = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of those two characters
    (folder / ".copied.json").write_text(json.dumps(noted))
    said = type_in("notebook")
    assert "Kept" not in said.out
    assert older.read_bytes() == (notebooks_folder() / older.name).read_bytes()


def test_without_jupyterlab_it_says_how_to_get_it(
    type_in: Type, team: Path, jupyter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (jupyter.parent / "bin" / "jupyter-lab").unlink()
    monkeypatch.setenv("PATH", str(team))
    type_in("notebook").complains("JupyterLab is not installed", "pipx inject")

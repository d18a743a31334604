"""The notebooks are opened as a copy; what somebody typed into it stays."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from resilience.notebook.engine import notebooks_folder
from tests.kits.typing_in import Type


@pytest.fixture
def jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JupyterLab that only notes what it was called with."""
    program = tmp_path / "bin" / "jupyter-lab"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$PWD" "$@" > "{tmp_path}/called"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    return tmp_path / "called"


def test_a_copy_is_opened_and_what_was_typed_into_it_is_kept(type_in: Type, team: Path, jupyter: Path) -> None:
    folder = team / ".resilience" / "notebooks"
    said = type_in("notebook", "--no-browser")
    assert said.code == 0, said.err
    assert jupyter.read_text() == f"{folder} {folder / '00_incident.ipynb'} --no-browser\n"
    first, other = folder / "00_incident.ipynb", folder / "01_assess.ipynb"
    mine = json.loads(first.read_text())
    mine["cells"][0]["source"] = ["mine"]
    first.write_text(json.dumps(mine))
    executed = json.loads(other.read_text())
    executed["metadata"]["executed"] = True
    other.write_text(json.dumps(executed))
    assert type_in("notebook").code == 0
    assert json.loads(first.read_text())["cells"][0]["source"] == ["mine"]
    assert other.read_bytes() == (notebooks_folder() / other.name).read_bytes()


def test_without_jupyterlab_it_says_how_to_get_it(
    type_in: Type, team: Path, jupyter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (jupyter.parent / "bin" / "jupyter-lab").unlink()
    monkeypatch.setenv("PATH", str(team))
    type_in("notebook").complains("JupyterLab is not installed", "pipx inject")

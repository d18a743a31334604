"""Open a copy of the notebooks in JupyterLab."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from resilience.cli.group import verb
from resilience.cli.output import leave
from resilience.core.errors import UsageError
from resilience.host.files import make_folder
from resilience.notebook.engine import notebooks_folder
from resilience.runs.configuration import load_settings
from resilience.show import terminal

app = verb()


@app.command()
def notebook(
    no_browser: Annotated[bool, typer.Option("--no-browser")] = False,
    folder: Annotated[str, typer.Option("--folder", help="Where the copy goes.")] = "",
) -> None:
    """Open a copy of the notebooks in JupyterLab."""
    leave(_open_notebooks(folder, browser=not no_browser))


def _open_notebooks(folder: str, *, browser: bool) -> int:
    """Open a copy of the notebooks in JupyterLab, so that what is typed into them changes nothing of ours."""
    jupyter = Path(sys.executable).with_name("jupyter-lab")
    found = str(jupyter) if jupyter.exists() else shutil.which("jupyter-lab")
    if found is None:
        raise UsageError(
            "JupyterLab is not installed beside this tool.", hint='pipx inject resilience-runbook "jupyterlab>=4.2"'
        )
    source = notebooks_folder()
    target = Path(folder).expanduser() if folder else load_settings().root / ".resilience" / "notebooks"
    make_folder(target)
    for notebook in sorted(source.glob("*.ipynb")):
        copy = target / notebook.name
        if not copy.exists() or _same_cells(copy, notebook):
            shutil.copyfile(notebook, copy)
    terminal.out.print(f"Opening {target / '00_incident.ipynb'}", markup=False)
    command = [found, str(target / "00_incident.ipynb")] + ([] if browser else ["--no-browser"])
    return subprocess.call(command, cwd=target)


def _same_cells(one: Path, other: Path) -> bool:
    """Say whether two notebooks hold the same sources, so that replacing one loses nothing that was typed."""

    def cells(path: Path) -> list[str]:
        return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]

    try:
        return cells(one) == cells(other)
    except (ValueError, KeyError, OSError):
        return False

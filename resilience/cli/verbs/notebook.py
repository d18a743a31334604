"""Open a copy of the notebooks in JupyterLab."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.output import leave
from resilience.core.errors import UsageError

with on_demand():
    from resilience.host import files
    from resilience.notebook import engine
    from resilience.runs import configuration
    from resilience.show import terminal


app = verb()


@app.command()
def notebook(
    no_browser: Annotated[bool, typer.Option("--no-browser")] = False,
    folder: Annotated[str, typer.Option("--folder", help="Where the copy goes.")] = "",
) -> None:
    """Open a copy of the notebooks in JupyterLab.

    \b
      resilience notebook
      resilience notebook --no-browser --folder ~/incident
    """
    program = _jupyter_lab()
    target = Path(folder).expanduser() if folder else configuration.load_settings().root / ".resilience" / "notebooks"
    _copy_notebooks(target)
    first = target / "00_incident.ipynb"
    terminal.out.print(f"Opening {first}", markup=False)
    leave(subprocess.call([program, str(first), *(["--no-browser"] if no_browser else [])], cwd=target))


def _jupyter_lab() -> str:
    """Return the JupyterLab beside this tool, else the one on PATH."""
    beside = Path(sys.executable).with_name("jupyter-lab")
    program = str(beside) if beside.exists() else shutil.which("jupyter-lab")
    if program is None:
        raise UsageError(
            "JupyterLab is not installed beside this tool.", hint='pipx inject resilience-runbook "jupyterlab>=4.2"'
        )
    return program


def _copy_notebooks(target: Path) -> None:
    """Copy ours, so that what is typed into them changes nothing of ours; a copy somebody has typed into is kept."""
    files.make_folder(target)
    for notebook in sorted(engine.notebooks_folder().glob("*.ipynb")):
        copy = target / notebook.name
        if not copy.exists() or _same_cells(copy, notebook):
            shutil.copyfile(notebook, copy)


def _same_cells(one: Path, other: Path) -> bool:
    """Say whether two notebooks hold the same sources, so that replacing one loses nothing that was typed."""

    def cells(path: Path) -> list[str]:
        return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]

    try:
        return cells(one) == cells(other)
    except (ValueError, KeyError, OSError):
        return False

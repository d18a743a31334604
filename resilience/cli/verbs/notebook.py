"""Open a copy of the notebooks in JupyterLab."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
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
    from resilience.notebook import serving, shipped
    from resilience.runs import configuration
    from resilience.show import terminal


app = verb()

_COPIED = ".copied.json"
"""Beside the copies: what each held when it was copied, by which an untouched one is told from one that was saved since."""

_UNUSED = (
    "@jupyterlab/apputils-extension:announcements",  # asks whether one wants news of Jupyter
    "@jupyterlab/debugger-extension",
    "@jupyterlab/extensionmanager-extension",  # asks an index for extensions
    "@jupyterlab/lsp-extension",
)
"""Plug-ins of JupyterLab that are left out: they ask people or other hosts, or only cost time here."""


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
    program, ours = _jupyter_lab()
    root = configuration.load_settings().root.resolve()
    target = Path(folder).expanduser().resolve() if folder else root / ".resilience" / "notebooks"
    served = root if target.is_relative_to(root) else target
    kept = _copy_notebooks(target)
    first = target / "00_incident.ipynb"
    terminal.out.print(f"Opening {first}", markup=False)
    if kept:
        terminal.say(f"Kept as they were saved: {', '.join(kept)}. Fresh copies: resilience notebook --folder DIR")
    opens = first.relative_to(served).as_posix()
    workspaces, config = target / ".jupyter" / "workspaces", target / ".jupyter"
    files.make_folder(workspaces)
    files.make_folder(config / "labconfig")
    page = {"disabledExtensions": dict.fromkeys(_UNUSED, True)}
    files.write_atomically(config / "labconfig" / "page_config.json", json.dumps(page).encode(), mode=0o644)
    paths = os.pathsep.join(filter(None, (str(config), os.environ.get("JUPYTER_CONFIG_PATH", ""))))
    command = [program, *_options(served, opens, workspaces, ours=ours), *(["--no-browser"] if no_browser else [])]
    told = {
        serving.ROOT: str(served),
        serving.OPENS: opens,
        serving.WORKSPACES: str(workspaces),
        "JUPYTER_CONFIG_PATH": paths,
    }
    leave(_serve(command, cwd=target, environ={**os.environ, **told}))


def _options(served: Path, opens: str, workspaces: Path, *, ours: bool) -> list[str]:
    """Return how JupyterLab is started, without changing its settings on this machine.

    It serves the whole repository, hidden folders too, so that reports, logs and tests open from the page. Its workspace is of
    its own, as another's tabs would hide the notebook. What is not needed here is not loaded. JupyterLab refuses to start as
    root, which is who one is in a container; only there is it told to.
    """
    extensions = {"jupyter_lsp": False, **({"resilience.notebook.serving": True} if ours else {})}
    return [
        f"--ServerApp.root_dir={served}",
        "--ContentsManager.allow_hidden=True",
        f"--LabApp.default_url=/lab/workspaces/{serving.WORKSPACE}/tree/{opens}",
        f"--LabApp.workspaces_dir={workspaces}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        f"--ServerApp.jpserver_extensions={extensions}",
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    ]


def _serve(command: list[str], *, cwd: Path, environ: dict[str, str]) -> int:
    """Run JupyterLab until it ends, and return its exit code. Ctrl-C is its own, which asks first; a SIGTERM is passed on."""
    server = subprocess.Popen(command, cwd=cwd, env=environ)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        return server.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _jupyter_lab() -> tuple[str, bool]:
    """Return the JupyterLab beside this tool, else the one on PATH; and whether it is beside, and so knows our extension."""
    beside = Path(sys.executable).with_name("jupyter-lab")
    program = str(beside) if beside.exists() else shutil.which("jupyter-lab")
    if program is None:
        raise UsageError(
            "JupyterLab is not installed beside this tool.", hint='pipx inject resilience-runbook "jupyterlab>=4.2"'
        )
    return program, beside.exists()


def _copy_notebooks(target: Path) -> list[str]:
    """Copy ours, so that what is typed into them changes nothing of ours; return the names of those that are kept.

    A copy that was saved since is kept, whatever was changed in it: its outputs are what was seen in an outage. Only one that
    is as it was copied is replaced by ours of today.
    """
    files.make_folder(target)
    noted = target / _COPIED
    copied = _noted(noted)
    kept = []
    for notebook in sorted(shipped.notebooks_folder().glob("*.ipynb")):
        copy, ours = target / notebook.name, notebook.read_bytes()
        if copy.exists() and _digest(copy.read_bytes()) not in (copied.get(copy.name), _digest(ours)):
            kept.append(copy.name)
            continue
        files.write_atomically(copy, ours, mode=0o644)
        copied[copy.name] = _digest(ours)
    files.write_atomically(noted, json.dumps(copied, indent=1).encode(), mode=0o644)
    return kept


def _noted(path: Path) -> dict[str, str]:
    try:
        return {str(name): str(digest) for name, digest in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

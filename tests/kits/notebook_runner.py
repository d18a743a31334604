"""Run a notebook's code cells in this process: the same cells, without the second that a kernel takes to start."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any

from resilience.notebook.engine import notebooks_folder

NOTEBOOKS = notebooks_folder()
NAMES = tuple(sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))


def cells(name: str, kind: str = "code") -> list[dict[str, Any]]:
    """Give the cells of one kind, each with `source` as one text."""
    document = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    return [{**cell, "source": "".join(cell["source"])} for cell in document["cells"] if cell["cell_type"] == kind]


async def run_cells(name: str, **injected: object) -> dict[str, Any]:
    """Run all code cells as a kernel would, with what papermill would inject; give their globals."""
    namespace: dict[str, Any] = {"__name__": "__main__", "In": [""]}
    for cell in cells(name):
        await _run(cell["source"], namespace)
        if "parameters" in cell["metadata"].get("tags", []) and injected:
            lines = [f"{key} = {value!r}" for key, value in injected.items()]
            await _run("\n".join(["# Parameters", *lines]), namespace)
    return namespace


async def _run(source: str, namespace: dict[str, Any]) -> None:
    namespace["In"].append(source)
    code = compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, namespace)
    if inspect.isawaitable(result):
        await result


def folder_of(namespace: dict[str, Any]) -> Path:
    """Give the run's folder that the notebook opened."""
    return Path(namespace["runbook"].run.folder)

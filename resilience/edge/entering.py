"""Turn a folder of ours into a way into any pytest that a command starts, whatever its interpreter."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from resilience.edge.files import scratch

VARIABLE = "RESILIENCE_PYTEST"
RUN = "RESILIENCE_RUN_ID"
MODULE = "resilience_pytest_plugin"
_PASSED_BY_TOX = ("PYTHONPATH", VARIABLE, RUN, "RESILIENCE_SNAPSHOT", "RESILIENCE_APPLIED")


class Entrance:
    """A private folder on PYTHONPATH with the plug-in and its entry point, and the files that are exchanged with it.

    An entry point there never broke a run; `-p` and PYTEST_PLUGINS end a run with exit 4 wherever PYTHONPATH is dropped.
    """

    def __init__(self, run: str) -> None:
        self.run = run
        self.folder = scratch("resilience-tests")
        self.path = self.folder / "enter"
        info = self.path / f"{MODULE}-1.dist-info"
        info.mkdir(parents=True)
        shutil.copyfile(Path(__file__).with_name("pytest_plugin.py"), self.path / f"{MODULE}.py")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {MODULE.replace('_', '-')}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[pytest11]\nresilience = {MODULE}\n")
        # The team's interpreter may run as somebody else who has to read this; what is written holds no secret.
        self.control = self.folder / "control.json"
        self.stacks = self.folder / "stacks"
        self.stacks.mkdir()

    def __enter__(self) -> Entrance:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def configure(self, name: str, settings: Mapping[str, Any]) -> Path:
        """Write what the plug-in is told; give its path."""
        path = self.folder / f"{name}.json"
        replace_json(path, settings)
        return path

    def environment(self, environ: Mapping[str, str], configuration: Path) -> dict[str, str]:
        """Give the environment of a command: everything of the team's, and the way in."""
        child = dict(environ)
        had = child.get("PYTHONPATH", "")
        child["PYTHONPATH"] = f"{had}{os.pathsep}{self.path}" if had else str(self.path)
        child[VARIABLE] = str(configuration)
        child[RUN] = self.run
        # tox passes nothing on that it is not told to.
        override = "testenv.pass_env+=" + ",".join(_PASSED_BY_TOX)
        child["TOX_OVERRIDE"] = f"{child['TOX_OVERRIDE']};{override}" if child.get("TOX_OVERRIDE") else override
        return child


def replace_json(path: Path, value: object) -> None:
    """Write aside, then rename: a reader sees the old text or the new one."""
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(value), encoding="utf-8")
    aside.replace(path)

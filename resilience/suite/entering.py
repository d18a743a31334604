"""Turn a folder of ours into a way into any pytest that a command starts, whatever its interpreter."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from resilience.host.files import scratch

VARIABLE = "RESILIENCE_PYTEST"
RUN = "RESILIENCE_RUN_ID"
MODULE = "resilience_pytest_plugin"
_PASSED_BY_TOX = ("PYTHONPATH", VARIABLE, RUN, "RESILIENCE_SNAPSHOT", "RESILIENCE_APPLIED", "RESILIENCE_WORKERS")


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
        """Write what the plug-in is told; return its path."""
        path = self.folder / f"{name}.json"
        replace_json(path, settings)
        return path

    def environment(self, environ: Mapping[str, str], configuration: Path, root: Path) -> dict[str, str]:
        """Return the environment of a command that runs in `root`: everything of the team's, and the way in."""
        child = dict(environ)
        had = child.get("PYTHONPATH", "")
        child["PYTHONPATH"] = f"{had}{os.pathsep}{self.path}" if had else str(self.path)
        child[VARIABLE] = str(configuration)
        child[RUN] = self.run
        # tox passes nothing on that it is not told to.
        override = tox_override(root)
        child["TOX_OVERRIDE"] = f"{child['TOX_OVERRIDE']};{override}" if child.get("TOX_OVERRIDE") else override
        return child


def tox_override(root: Path) -> str:
    """Return the TOX_OVERRIDE that adds our variables to what the tox configuration in `root` passes on already.

    tox 4 up to 4.32 at least takes an override in one spelling (`pass_env`, `passenv`) for a setting of its own where the
    file uses the other one, and drops the file's. So each section is extended in the spelling that tox reads there:
    `pass_env` anywhere goes before `passenv`, and a section of its own (`[testenv:py312]`) before `[testenv]`.
    """
    declared = _pass_env_of(root)
    old = "passenv" in set().union(*declared.values())
    base = declared.get("testenv", set())
    spellings = {"testenv": "passenv" if old and "pass_env" not in base else "pass_env"}
    spellings |= {section: "pass_env" if "pass_env" in names else "passenv" for section, names in declared.items()}
    return ";".join(f"{section}.{name}+={','.join(_PASSED_BY_TOX)}" for section, name in spellings.items())


def _pass_env_of(root: Path) -> dict[str, set[str]]:
    """Return for each section of tox's configuration that says what is passed on the spellings it uses."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    try:
        parser.read_string(_tox_text(root))
    except configparser.Error:
        return {}  # tox says what is wrong with it
    found = {
        section: {"pass_env", "passenv"} & set(parser[section])
        for section in parser.sections()
        if section == "testenv" or section.startswith("testenv:")
    }
    return {section: names for section, names in found.items() if names}


def _tox_text(root: Path) -> str:
    """Return the ini text that tox finds in `root`: tox.ini, setup.cfg, or what pyproject.toml holds of it."""
    for name, mark in (("tox.ini", ""), ("setup.cfg", "[tox:tox]")):
        with suppress(OSError, UnicodeDecodeError):
            text = (root / name).read_text(encoding="utf-8")
            if mark in text:
                return text
    with suppress(OSError, ValueError, LookupError, TypeError):
        document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        return str(document["tool"]["tox"]["legacy_tox_ini"])
    return ""


def replace_json(path: Path, value: object) -> None:
    """Write aside, then rename: a reader sees the old text or the new one."""
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(value), encoding="utf-8")
    aside.replace(path)

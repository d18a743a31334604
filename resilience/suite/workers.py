"""Turn the team's commands and pytest's own configuration into how many workers of pytest-xdist the tests will run in."""

from __future__ import annotations

import configparser
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

AT_MOST = 16
_OPTION = re.compile(r"(?:^|\s)(?:-n[ =]?|--numprocesses[ =])['\"]?(\d+|auto|logical)\b")
_PYTEST = re.compile(r"\bpy\.?test\b")
_FILES = (("pytest.ini", "pytest"), (".pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest"))


def workers_asked(commands: Sequence[str], root: Path, environ: Mapping[str, str]) -> int:
    """Return for how many workers something has to be made; 0 where nothing that can be read asks for any.

    A command's own `-n` goes before that of PYTEST_ADDOPTS, and that before the file's. `auto` may be fewer than there are
    processors, never more. What a script or a Makefile passes on is not seen.
    """
    told = [
        _number(match, environ) for text in commands if _PYTEST.search(text) for match in _OPTION.findall(text)[-1:]
    ]
    if not told:
        for text in (environ.get("PYTEST_ADDOPTS", ""), _addopts(root)):
            if found := _OPTION.findall(text):
                told = [_number(found[-1], environ)]
                break
    return min(max(told, default=0), AT_MOST)


def _number(text: str, environ: Mapping[str, str]) -> int:
    if text.isdecimal():
        return int(text)
    wished = environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS", "")
    return int(wished) if wished.isdecimal() else os.cpu_count() or 1


def _addopts(root: Path) -> str:
    """Return `addopts` of the first of pytest's files that has it, on one line; one that cannot be read has none."""
    for name, section in _FILES:
        parser = configparser.ConfigParser(interpolation=None)
        with suppress(configparser.Error, OSError, UnicodeDecodeError):
            parser.read(root / name, encoding="utf-8")
            if text := parser.get(section, "addopts", fallback=""):
                return " ".join(text.split())
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        told = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"][
            "addopts"
        ]
        return " ".join(told.split() if isinstance(told, str) else map(str, told))
    return ""

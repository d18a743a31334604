"""Turn pytest's settings of a repository into the variables that pytest-env gives its tests, which its migrations need as well."""

from __future__ import annotations

import configparser
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FILES = (
    ("pytest.ini", "pytest"),
    (".pytest.ini", "pytest"),
    ("pyproject.toml", ""),
    ("tox.ini", "pytest"),
    ("setup.cfg", "tool:pytest"),
)
"""In the order in which pytest itself looks; the section of an ini file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PytestEnv:
    """What pytest-env sets, and in which file that stands; values may be secrets of the team's, and are not shown."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    where: Path | None = None


def pytest_env(folder: Path, root: Path, environ: Mapping[str, str]) -> PytestEnv:
    """Return what pytest-env sets for tests in `folder`, from the nearest settings at or above it that name any.

    A value goes before `environ`, as it does for the tests, but for those marked as a default. A file that cannot be
    read names none here: pytest cannot read it either, and says so by itself.
    """
    for here in (folder, *folder.parents):
        for name, section in _FILES:
            found = dict(_read(here / name, section, environ))
            if found:
                return PytestEnv(values=found, where=here / name)
        if here == root or root not in here.parents:
            break
    return PytestEnv()


def _read(path: Path, section: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    try:
        text = path.read_text("utf-8-sig")
        if not section:
            tool = tomllib.loads(text).get("tool", {})
            pytest = tool.get("pytest", {})
            lines, table = pytest.get("ini_options", pytest).get("env", []), tool.get("pytest_env", {})
        else:
            parser = configparser.ConfigParser(interpolation=None, strict=False)
            parser.read_string(text)
            lines, table = parser.get(section, "env", fallback=""), {}
        for line in lines.splitlines() if isinstance(lines, str) else lines:
            yield from _of_line(str(line).strip(), environ)
        for name, told in table.items():
            yield from _of_table(name, told, environ)
    except (OSError, ValueError, AttributeError, configparser.Error):
        return


def _of_line(line: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the variable of `NAME=value`, before which D: makes a default of it, and R: keeps its braces."""
    is_default = is_raw = False
    while line[:2].upper() in ("D:", "R:"):
        is_default |= line[:1].upper() == "D"
        is_raw |= line[:1].upper() == "R"
        line = line[2:]
    name, equals, value = (part.strip() for part in line.partition("="))
    if name and equals and not (is_default and name in environ):
        yield name, value if is_raw else _filled(value, environ)


def _of_table(name: str, told: Any, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if not isinstance(told, dict):
        yield name, str(told)
    elif "value" in told and not (told.get("skip_if_set") and name in environ):
        value = str(told["value"])
        yield name, _filled(value, environ) if told.get("transform") else value


def _filled(value: str, environ: Mapping[str, str]) -> str:
    """Return the value with {NAME} replaced from the environment, as pytest-env does; unchanged where that has no such name."""
    try:
        return value.format(**environ)
    except (KeyError, IndexError, ValueError, AttributeError):
        return value

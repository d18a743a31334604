"""Look at a repository, and say what it holds that a configuration can be made from."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from resilience.core.envtext import read_env_text
from resilience.core.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What was found in a repository; values of variables are not part of it."""

    root: Path
    settings_file: str
    """Where pytest's settings stand; empty: nowhere."""
    tests: tuple[str, ...]
    """The folders of tests, as pytest is told or by their usual names."""
    markers: tuple[str, ...]
    variables: Mapping[str, tuple[str, ...]]
    """Env file → the names of its variables."""
    images: tuple[tuple[str, str], ...]
    """Image, and the compose file that names it."""
    python: str
    """The interpreter of its virtual environment; empty: it has none by a usual name."""
    migration: str
    """What brings a database up to the schema; empty: no tool for it is known here."""

    @property
    def names(self) -> frozenset[str]:
        """The variables of all env files."""
        return frozenset(name for names in self.variables.values() for name in names)


def look_at(root: Path) -> Repository:
    """Return what the files in `root` say. Nothing is run, and of env files only the names are kept."""
    settings_file, paths, markers = _pytest_settings(root)
    return Repository(
        root=root,
        settings_file=settings_file,
        tests=paths or tuple(name for name in ("tests", "test") if (root / name).is_dir()),
        markers=markers,
        variables=_variable_names(root),
        images=_images(root),
        python=next((name for name in (".venv/bin/python", "venv/bin/python") if (root / name).exists()), ""),
        migration=_migration(root),
    )


def _pytest_settings(root: Path) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the file with pytest's settings, its test paths and its markers, in the order pytest itself looks."""
    for name, section in (
        ("pytest.ini", "pytest"),
        (".pytest.ini", "pytest"),
        ("pyproject.toml", ""),
        ("tox.ini", "pytest"),
        ("setup.cfg", "tool:pytest"),
    ):
        values = _toml_section(root / name) if not section else _ini_section(root / name, section)
        if values is not None:
            markers = (re.match(r"[A-Za-z_]\w*", line.strip()) for line in _lines(values.get("markers", "")))
            paths = (word for line in _lines(values.get("testpaths", "")) for word in line.split())
            return name, tuple(paths), tuple(marker[0] for marker in markers if marker)
    return "", (), ()


def _lines(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else str(value).splitlines()


def _toml_section(path: Path) -> Mapping[str, object] | None:
    try:
        tool = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("pytest")
    except (OSError, ValueError, AttributeError):
        return None
    return tool.get("ini_options", tool) if isinstance(tool, dict) else None


def _ini_section(path: Path, section: str) -> Mapping[str, object] | None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(path.read_text("utf-8"))
    except (OSError, ValueError, configparser.Error):
        return None
    return dict(parser[section]) if parser.has_section(section) else None


def _variable_names(root: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted((*root.glob(".env*"), *root.glob("config/.env*"))):
        if not path.is_file() or path.stat().st_size > 200_000:
            continue
        try:
            found[str(path.relative_to(root))] = tuple(read_env_text(path.read_text("utf-8"), path.name))
        except (OSError, UnicodeDecodeError, SettingsError):
            found[str(path.relative_to(root))] = ()
    return found


def _images(root: Path) -> tuple[tuple[str, str], ...]:
    """Return the images in compose files. Names are all that is needed, so that no YAML reader is."""
    files = {path for folder in (root, root / "docker") for path in folder.glob("*compose*.y*ml") if path.is_file()}
    found: list[tuple[str, str]] = []
    for path in sorted(files):
        text = path.read_text("utf-8", "replace")[:200_000]
        for match in re.finditer(r"^\s*image:\s*[\"']?([^\s\"'#]+)", text, re.M):
            found.append((match[1][:80], str(path.relative_to(root))))
    return tuple(found)


def _migration(root: Path) -> str:
    if (root / "alembic.ini").exists():
        return "alembic upgrade head"
    return "python manage.py migrate" if (root / "manage.py").exists() else ""

"""Find the scenarios that come with us, by name and title; it costs little, so that `drill --help` can name them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

MAIN = "database-unavailable"


def scenario_folder() -> Path:
    """Return the folder of the shipped scenarios: in the wheel, else in the checkout."""
    package = Path(__file__).parents[1]
    shipped = package / "_shipped" / "config" / "drills"
    return shipped if shipped.is_dir() else package.parent / "config" / "drills"


def scenario_names() -> tuple[str, ...]:
    """Return the names of the shipped scenarios, the main one first."""
    names = sorted(path.stem for path in scenario_folder().glob("*.toml"))
    return tuple(sorted(names, key=lambda name: name != MAIN))


def scenario_titles() -> Mapping[str, str]:
    """Return the title of each shipped scenario, by name."""
    folder = scenario_folder()
    return {
        name: tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))["title"] for name in scenario_names()
    }

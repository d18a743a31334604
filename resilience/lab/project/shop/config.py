"""Where the shop's services are: the environment, else the team's defaults, which are staging."""

import os
from functools import cache
from pathlib import Path

DEFAULTS = Path(__file__).parents[1] / "config" / "staging.env"


@cache
def defaults() -> dict[str, str]:
    lines = DEFAULTS.read_text(encoding="utf-8").splitlines() if DEFAULTS.is_file() else []
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip('"') for name, _, value in pairs}


def setting(name: str) -> str:
    """Give the variable, or fail as a deployment would."""
    value = os.environ.get(name) or defaults().get(name)
    if not value:
        raise RuntimeError(f"{name} is not set")
    return value
